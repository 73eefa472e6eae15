/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_keys.c - what keys there are, and what is said when one is
 * unknown or its value wrong */
#include "cfg_rig.h"

/* clang-format off */

/* What is not known, with the name that was probably meant. */
static const struct cfg_case unknown_keys[] = {
	{BASE
	 "htpp: {}\n",
	    "5:1: htpp: unknown key\n"
	    "    did you mean \"http\"?\n"
	    "1 error\n"},
	{BASE
	 "spol: {}\n",
	    "5:1: spol: unknown key\n"
	    "    did you mean \"spool\"?\n"
	    "1 error\n"},
	{BASE
	 "zzz: 1\n",
	    "5:1: zzz: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, spool, "
	    "dedup, claims, admin\n"
	    "1 error\n"},
	{BASE
	 "http: {head_sise: 1KiB, conections: 5}\n",
	    "5:8: http.head_sise: unknown key\n"
	    "    did you mean \"head_size\"?\n"
	    "5:25: http.conections: unknown key\n"
	    "    did you mean \"connections\"?\n"
	    "2 errors\n"},
	{BASE
	 "log: {levl: info}\n",
	    "5:7: log.levl: unknown key\n"
	    "    did you mean \"level\"?\n"
	    "1 error\n"},
	{BASE
	 "delivery: {ack_timout: 3s}\n",
	    "5:12: delivery.ack_timout: unknown key\n"
	    "    did you mean \"ack_timeout\"?\n"
	    "1 error\n"},
	{BASE
	 "dedup: {windw: 48h}\n",
	    "5:9: dedup.windw: unknown key\n"
	    "    did you mean \"window\"?\n"
	    "1 error\n"},
	{"listen: {address: \"127.0.0.1:8080\", port: 1}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:37: listen.port: unknown key\n"
	    "    known here: address\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", tolerence: 5m") SINKS ROUTES,
	    "2:65: endpoints.e.tolerence: unknown key\n"
	    "    did you mean \"tolerance\"?\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: direct, token: {in: bearer, "
	 "secrets: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:41: endpoints.e.token.secret: expected a value, got "
	    "nothing\n"
	    "    secret: file:NAME or env:NAME; several while they are "
	    "changed\n"
	    "2:61: endpoints.e.token.secrets: unknown key\n"
	    "    did you mean \"secret\"?\n"
	    "2 errors\n"},
	{LISTEN
	 ENDPOINT(
		", channels: [{templat: \"{job_id}\", values: [a]}]")
	 SINKS ROUTES,
	    "2:76: endpoints.e.channels[0].template: expected a value, "
	    "got nothing\n"
	    "    template: such as \"{metadata.environment}\"\n"
	    "2:77: endpoints.e.channels[0].templat: unknown key\n"
	    "    did you mean \"template\"?\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, pth: /f}}\n"
	 ROUTES,
	    "3:9: sinks.f.path: expected a value, got nothing\n"
	    "    path: absolute, or - for stdout\n"
	    "3:25: sinks.f.pth: unknown key\n"
	    "    did you mean \"path\"?\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: kafka, broker: \"k:1\"}}\n"
	 "routes: [{to: {sink: f, topic: t}}]\n",
	    "3:9: sinks.f.brokers: expected a value, got nothing\n"
	    "    brokers: host:port of some brokers; they name the "
	    "others\n"
	    "3:26: sinks.f.broker: unknown key\n"
	    "    did you mean \"brokers\"?\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: redis, url: \"redis://r\", wait: {replica: 1}}}\n"
	 "routes: [{to: {sink: f, stream: t}}]\n",
	    "3:51: sinks.f.wait.replica: unknown key\n"
	    "    did you mean \"replicas\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: {sink: f}, finale: true}]\n",
	    "4:26: routes[0].finale: unknown key\n"
	    "    did you mean \"final\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: {sink: f, fromat: raw}}]\n",
	    "4:25: routes[0].to.fromat: unknown key\n"
	    "    did you mean \"format\"?\n"
	    "1 error\n"},
	{BASE
	 "dead_letter: {sink: f, topics: a}\n",
	    "5:24: dead_letter.topics: sinks of type file have no "
	    "topics\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{when: {statuss: completed}, to: {sink: f}}, {to: {sink: "
	 "f}}]\n",
	    "4:18: routes[0].when.statuss: unknown name\n"
	    "    did you mean \"status\"?\n"
	    "1 error\n"},
};

static const struct cfg_case later_keys[] = {
	{"listen:\n"
	 "  - {address: \"127.0.0.1:1\", tls: {certificate: c, key: k}}\n"
	 "  - {address: \"127.0.0.1:2\", proxy_protocol: v2}\n"
	 "  - {address: \"127.0.0.1:3\", trusted_proxies: [\"10.0.0.0/8\"]}\n"
	 "  - {address: \"systemd:public\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "2:30: listen[0].tls: not supported yet (TLS on listeners)\n"
	    "3:30: listen[1].proxy_protocol: not supported yet (the "
	    "PROXY protocol)\n"
	    "4:30: listen[2].trusted_proxies: not supported yet (trusted "
	    "proxies)\n"
	    "5:15: listen[3].address: not supported yet (socket "
	    "activation)\n"
	    "4 errors\n"},
	{BASE
	 "user: hookbridge\n"
	 "group: hookbridge\n"
	 "admin: {token: t, tls: {}, metrics: \"127.0.0.1:9\"}\n"
	 "http: {requests_per_second_per_address: 5}\n",
	    "5:1: user: not supported yet (dropping privileges)\n"
	    "6:1: group: not supported yet (dropping privileges)\n"
	    "7:9: admin.token: not supported yet (the admin interface over "
	    "TCP)\n"
	    "7:19: admin.tls: not supported yet (the admin interface over "
	    "TCP)\n"
	    "7:28: admin.metrics: not supported yet (a second admin "
	    "address)\n"
	    "8:8: http.requests_per_second_per_address: not supported "
	    "yet (rate limits)\n"
	    "6 errors\n"},
	{LISTEN
	 ENDPOINT(
		", in_flight: 5, rate: 5, insecure: true")
	 SINKS ROUTES,
	    "2:65: endpoints.e.in_flight: not supported yet (rate "
	    "limits)\n"
	    "2:79: endpoints.e.rate: not supported yet (rate limits)\n"
	    "2:88: endpoints.e.insecure: not supported yet (TLS on "
	    "listeners)\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"rediss://r:1\"}}\n"
	 "routes: [{to: {sink: r, stream: t}}]\n",
	    "3:31: sinks.r.url: not supported yet (TLS to Redis): "
	    "rediss:\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://r:1\", tls: {}}}\n"
	 "routes: [{to: {sink: r, stream: t}}]\n",
	    "3:46: sinks.r.tls: not supported yet (TLS to Redis)\n"
	    "1 error\n"},
};

static const struct cfg_case missing_keys[] = {
	{"{}\n",
	    "1:1: listen: expected a value, got nothing\n"
	    "    listen: a list of addresses: [{address: "
	    "\"127.0.0.1:8080\"}]\n"
	    "1:1: endpoints: expected a value, got nothing\n"
	    "    endpoints: a map of names to what receives webhooks\n"
	    "1:1: sinks: expected a value, got nothing\n"
	    "    sinks: a map of names to where events go\n"
	    "1:1: routes: expected a value, got nothing\n"
	    "    routes: a list of rules: which events go to which "
	    "sinks\n"
	    "4 errors\n"},
	{"listen:\n"
	 "endpoints:\n"
	 "sinks:\n"
	 "routes:\n",
	    "1:8: listen: expected a list of listeners, got nothing\n"
	    "    such as [{address: \"127.0.0.1:8080\"}]\n"
	    "2:11: endpoints: expected a map of names to endpoints, got "
	    "nothing\n"
	    "3:7: sinks: expected a map of names to sinks, got nothing\n"
	    "4:8: routes: expected a list of routes, got nothing\n"
	    "4 errors\n"},
	{"listen: []\n"
	 "endpoints: {}\n"
	 "sinks: {}\n"
	 "routes: []\n",
	    "1:9: listen: expected a list of listeners, got an empty "
	    "list\n"
	    "    such as [{address: \"127.0.0.1:8080\"}]\n"
	    "2:12: endpoints: expected at least one endpoint, got none\n"
	    "3:8: sinks: expected at least one sink, got none\n"
	    "4:9: routes: expected a list of routes, got an empty list\n"
	    "4 errors\n"},
	{"listen: [{}]\n"
	 "endpoints: {e: {}}\n"
	 "sinks: {f: {}}\n"
	 "routes: [{}]\n",
	    "1:10: listen[0].address: expected a value, got nothing\n"
	    "    address: host:port, [v6]:port or unix:PATH\n"
	    "2:13: endpoints.e.path: expected a value, got nothing\n"
	    "    path: compared byte for byte; begins with /\n"
	    "2:16: warning: endpoints.e: it has no mode, which means "
	    "disabled: webhooks are answered 404\n"
	    "    mode: svix, direct, or disabled if meant\n"
	    "3:9: sinks.f.type: expected a value, got nothing\n"
	    "    type: kafka, redis or file\n"
	    "4:10: routes[0].to: expected a value, got nothing\n"
	    "    to: a list of sinks with topic or stream\n"
	    "4 errors, 1 warning\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: svix}, d: {path: /d, mode: direct, "
	 "token: {}}}\n"
	 SINKS ROUTES,
	    "2:13: endpoints.e.secrets: expected a value, got nothing\n"
	    "    mode svix needs the endpoint's signing secret "
	    "(whsec_...) from Svix, in a file: secrets: \"file:NAME\"\n"
	    "2:68: endpoints.d.token.in: expected a value, got nothing\n"
	    "    in: bearer, basic, query.NAME, path or metadata.PATH\n"
	    "2:68: endpoints.d.token.secret: expected a value, got "
	    "nothing\n"
	    "    secret: file:NAME or env:NAME; several while they are "
	    "changed\n"
	    "3 errors\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: basic, secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:41: endpoints.d.token.user: expected a value, got "
	    "nothing\n"
	    "    user: the name that the sender gives with the token\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", channels: [{template: \"{job_id}\"}]") SINKS ROUTES,
	    "2:76: endpoints.e.channels[0].values: expected a value, got "
	    "nothing\n"
	    "    values: a list of what it may become\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka}, r: {type: redis}, f: {type: file}}\n"
	 "routes: [{to: [{}, {sink: k}, {sink: r}, {sink: f}]}]\n",
	    "3:9: sinks.k.brokers: expected a value, got nothing\n"
	    "    brokers: host:port of some brokers; they name the "
	    "others\n"
	    "3:27: sinks.r.url: expected a value, got nothing\n"
	    "    url: redis://[user@]host[:port][/db] or unix:PATH\n"
	    "3:45: sinks.f.path: expected a value, got nothing\n"
	    "    path: absolute, or - for stdout\n"
	    "4:16: routes[0].to[0].sink: expected a value, got nothing\n"
	    "    sink: the name of a sink\n"
	    "4:20: routes[0].to[1].topic: expected a value, got "
	    "nothing\n"
	    "    topic: a name, or a template and the list of what it "
	    "may become\n"
	    "4:31: routes[0].to[2].stream: expected a value, got "
	    "nothing\n"
	    "    stream: a name, or a template and the list of what it "
	    "may become\n"
	    "6 errors\n"},
	{BASE
	 "dead_letter: {}\n",
	    "5:1: dead_letter.sink: expected a value, got nothing\n"
	    "    sink: the name of a sink\n"
	    "1 error\n"},
	{BASE
	 "dead_letter:\n",
	    "5:1: dead_letter.sink: expected a value, got nothing\n"
	    "    sink: the name of a sink\n"
	    "1 error\n"},
};

static const struct cfg_case wrong_types[] = {
	{"listen: \"127.0.0.1:1\"\n"
	 "endpoints: [a]\n"
	 "sinks: [b]\n"
	 "routes: {c: d}\n",
	    "1:9: listen: expected a list of listeners, got "
	    "\"127.0.0.1:1\"\n"
	    "    such as [{address: \"127.0.0.1:8080\"}]\n"
	    "2:12: endpoints: expected a map of names to endpoints, got "
	    "a list\n"
	    "3:8: sinks: expected a map of names to sinks, got a list\n"
	    "4:9: routes: expected a list of routes, got a map\n"
	    "4 errors\n"},
	{"listen: [\"127.0.0.1:1\"]\n"
	 "endpoints: {e: [a]}\n"
	 "sinks: {f: b}\n"
	 "routes: [c]\n",
	    "1:10: listen[0]: expected a map of settings, got a text\n"
	    "2:16: endpoints.e: expected a map of settings, got a list\n"
	    "3:12: sinks.f: expected a map of settings, got a text\n"
	    "4:10: routes[0]: expected a map of settings, got a text\n"
	    "4 errors\n"},
	{"- a\n",
	    "1:1: expected a map of settings, got a list\n"
	    "1 error\n"},
	{"a\n",
	    "1:1: expected a map of settings, got a text\n"
	    "1 error\n"},
	{BASE
	 "http: [1]\n"
	 "log: info\n"
	 "memory: [1]\n"
	 "workers: {a: b}\n",
	    "5:7: http: expected a map of settings, got a list\n"
	    "6:6: log: expected a map of settings, got a text\n"
	    "7:9: memory: expected a size such as 64KiB, got a list\n"
	    "8:10: workers: expected a number, got a map\n"
	    "4 errors\n"},
	{BASE
	 "http: {headers: \"100\"}\n"
	 "log: {level: [info], format: {a: b}}\n",
	    "5:17: http.headers: expected a number, got \"100\"\n"
	    "    write it without quotes\n"
	    "6:14: log.level: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got a list\n"
	    "6:30: log.format: expected \"kv\" or \"json\", got a map\n"
	    "3 errors\n"},
	{LISTEN
	 ENDPOINT(
		", dedup: \"true\", path2: 1, channels: {a: b}, allow: {a: "
		"b}, source: [x], job_type: [x]")
	 SINKS ROUTES,
	    "2:72: endpoints.e.dedup: expected true or false, got "
	    "\"true\"\n"
	    "    write it without quotes\n"
	    "2:80: endpoints.e.path2: unknown key\n"
	    "    did you mean \"path\"?\n"
	    "2:90: endpoints.e.channels.template: expected a value, got "
	    "nothing\n"
	    "    template: such as \"{metadata.environment}\"\n"
	    "2:90: endpoints.e.channels.values: expected a value, got "
	    "nothing\n"
	    "    values: a list of what it may become\n"
	    "2:101: endpoints.e.channels.a: unknown key\n"
	    "    known here: template, values\n"
	    "2:115: endpoints.e.allow: expected an address or a network "
	    "such as 203.0.113.0/24, got a map\n"
	    "2:131: endpoints.e.source: expected a text, got a list\n"
	    "2:146: endpoints.e.job_type: expected a text, got a list\n"
	    "8 errors\n"},
	{LISTEN
	 "endpoints: {e: {path: [/e], mode: {a: b}, secrets: {a: b}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.e.path: expected a text, got a list\n"
	    "2:35: endpoints.e.mode: expected \"svix\", \"direct\" or "
	    "\"disabled\", got a map\n"
	    "2:52: endpoints.e.secrets: expected file:NAME or env:NAME, "
	    "got a map\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT(", dedup: yes") SINKS ROUTES,
	    "2:72: endpoints.e.dedup: expected true or false, got "
	    "\"yes\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: "
	 "hunter2hunter2hunter2}}\n"
	 SINKS ROUTES,
	    "2:48: endpoints.d.token: expected a map of settings, got a "
	    "text\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: [x]}}\n"
	 SINKS ROUTES,
	    "2:48: endpoints.d.token: expected a map of settings, got a "
	    "list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: [kafka]}, l: {type: kafka, brokers: {a: b}, "
	 "properties: [c]}, m: {type: kafka, brokers: \"k:1\", properties: "
	 "{a: [b], c: }}}\n"
	 ROUTES,
	    "3:19: sinks.k.type: expected a text, got a list\n"
	    "3:55: sinks.l.brokers: expected a text, got a map\n"
	    "3:75: sinks.l.properties: expected a map of texts, got a "
	    "list\n"
	    "3:130: sinks.m.properties.a: expected a text, got a list\n"
	    "3:138: sinks.m.properties.c: expected a text, got nothing\n"
	    "4:22: routes[0].to.sink: expected the name of a sink, got "
	    "\"f\"\n"
	    "6 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{name: [a], when: [b], to: c, final: 1, default: "
	 "\"true\"}]\n",
	    "4:17: routes[0].name: expected a text, got a list\n"
	    "4:28: routes[0].when: expected a map of names to "
	    "conditions, got a list\n"
	    "4:37: routes[0].to: expected a list of destinations, got "
	    "\"c\"\n"
	    "4:47: routes[0].final: expected true or false, got \"1\"\n"
	    "4:59: routes[0].default: expected true or false, got "
	    "\"true\"\n"
	    "    write it without quotes\n"
	    "5 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: [{sink: [f]}]}, {to: {sink: f, headers: [a], format: "
	 "[raw]}}, {to: {sink: f, headers: {a: [b], c: }}}]\n",
	    "4:23: routes[0].to[0].sink: expected a text, got a list\n"
	    "4:55: routes[1].to.headers: expected a map of names to "
	    "templates, got a list\n"
	    "4:68: routes[1].to.format: expected \"json\", "
	    "\"cloudevents\" or \"raw\", got a list\n"
	    "4:105: routes[2].to.headers.a: expected a text, got a "
	    "list\n"
	    "4:113: routes[2].to.headers.c: expected a text, got "
	    "nothing\n"
	    "5 errors\n"},
	{BASE
	 "dead_letter: f\n",
	    "5:14: dead_letter: expected a map of settings, got a text\n"
	    "1 error\n"},
};

static const struct cfg_case wrong_numbers[] = {
	{BASE
	 "http: {headers: -1, connections: 1.5, requests_per_connection: "
	 "0x10}\n",
	    "5:17: http.headers: expected a number, got \"-1\"\n"
	    "5:34: http.connections: expected a number, got \"1.5\"\n"
	    "5:64: http.requests_per_connection: expected a number, got "
	    "\"0x10\"\n"
	    "3 errors\n"},
	{BASE
	 "http: {headers: 0100, connections: 1_000, connections_per_address: "
	 "}\n",
	    "5:17: http.headers: expected a number, got \"0100\"\n"
	    "    write it without leading zeros\n"
	    "5:36: http.connections: expected a number, got \"1_000\"\n"
	    "5:68: http.connections_per_address: expected a number, got "
	    "nothing\n"
	    "3 errors\n"},
	{BASE
	 "http: {headers: 7, connections: 1000001, requests_per_connection: "
	 "18446744073709551616}\n",
	    "5:17: http.headers: expected a number from 8 to 10000, got "
	    "\"7\"\n"
	    "5:33: http.connections: expected a number from 1 to "
	    "1000000, got \"1000001\"\n"
	    "5:67: http.requests_per_connection: expected a number from "
	    "1 to 1000000000, got \"18446744073709551616\"\n"
	    "3 errors\n"},
	{BASE
	 "workers: 0\n",
	    "5:10: workers: expected a number from 1 to 256, got \"0\"\n"
	    "1 error\n"},
	{BASE
	 "workers: 257\n",
	    "5:10: workers: expected a number from 1 to 256, got "
	    "\"257\"\n"
	    "1 error\n"},
	{BASE
	 "memory: 10kb\n",
	    "5:9: memory: expected a size such as 64KiB, got \"10kb\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: 64 k\n",
	    "5:9: memory: expected a size such as 64KiB, got \"64 k\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: -1MiB\n",
	    "5:9: memory: expected a size such as 64KiB, got \"-1MiB\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: 1.5GiB\n",
	    "5:9: memory: expected a size such as 64KiB, got "
	    "\"1.5GiB\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: 1023KiB\n",
	    "5:9: memory: expected a size from 1MiB to 1024GiB, got "
	    "\"1023KiB\"\n"
	    "1 error\n"},
	{BASE
	 "memory: 18446744073709551616\n",
	    "5:9: memory: expected a size from 1MiB to 1024GiB, got "
	    "\"18446744073709551616\"\n"
	    "1 error\n"},
	{BASE
	 "memory: 17179869184GiB\n",
	    "5:9: memory: expected a size from 1MiB to 1024GiB, got "
	    "\"17179869184GiB\"\n"
	    "1 error\n"},
	{BASE
	 "memory: 08MiB\n",
	    "5:9: memory: expected a size such as 64KiB, got \"08MiB\"\n"
	    "    write it without leading zeros\n"
	    "1 error\n"},
	{BASE
	 "memory: MiB\n",
	    "5:9: memory: expected a size such as 64KiB, got \"MiB\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: 3s\n",
	    "5:9: memory: expected a size such as 64KiB, got \"3s\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "memory: \"\"\n",
	    "5:9: memory: expected a size such as 64KiB, got \"\"\n"
	    "    sizes take B, KiB, MiB and GiB\n"
	    "1 error\n"},
	{BASE
	 "http: {body_size: 2GiB, head_size: 512, target_size: 63}\n",
	    "5:19: http.body_size: expected a size from 1KiB to 1GiB, "
	    "got \"2GiB\"\n"
	    "5:36: http.head_size: expected a size from 1KiB to 1MiB, "
	    "got \"512\"\n"
	    "5:54: http.target_size: expected a size from 64B to 1MiB, "
	    "got \"63\"\n"
	    "3 errors\n"},
	{BASE
	 "http: {head_timeout: 5, body_timeout: -5s, idle_timeout: 5sec}\n",
	    "5:22: http.head_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"5\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "5:39: http.body_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"-5s\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "5:58: http.idle_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"5sec\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "3 errors\n"},
	{BASE
	 "http: {head_timeout: 1h30m, body_timeout: 1.5s, idle_timeout: s}\n",
	    "5:22: http.head_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"1h30m\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "5:43: http.body_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"1.5s\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "5:63: http.idle_timeout: expected a duration such as 500ms, "
	    "3s or 48h, got \"s\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "3 errors\n"},
	{BASE
	 "http: {head_timeout: 0, body_timeout: 99ms, idle_timeout: 2d}\n",
	    "5:22: http.head_timeout: expected a duration from 100ms to "
	    "1h, got \"0\"\n"
	    "5:39: http.body_timeout: expected a duration from 100ms to "
	    "1h, got \"99ms\"\n"
	    "5:59: http.idle_timeout: expected a duration from 100ms to "
	    "1d, got \"2d\"\n"
	    "3 errors\n"},
	{BASE
	 "dedup: {window: 18446744073709551615d, max_entries: 0}\n",
	    "5:17: dedup.window: expected a duration from 1s to 90d, got "
	    "\"18446744073709551615d\"\n"
	    "5:53: dedup.max_entries: expected a number from 1 to "
	    "1000000000, got \"0\"\n"
	    "2 errors\n"},
	{BASE
	 "dedup: {window: 99999999999999999999s}\n",
	    "5:17: dedup.window: expected a duration from 1s to 90d, got "
	    "\"99999999999999999999s\"\n"
	    "1 error\n"},
	{BASE
	 "dedup: {window: 64MiB}\n",
	    "5:17: dedup.window: expected a duration such as 500ms, 3s "
	    "or 48h, got \"64MiB\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "1 error\n"},
};

static const struct cfg_case wrong_words[] = {
	{LISTEN ENDPOINT(", mode2: x") SINKS ROUTES,
	    "2:65: endpoints.e.mode2: unknown key\n"
	    "    did you mean \"mode\"?\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: Svix, secrets: "
	 "\"file:e.secret\"}}\n"
	 SINKS ROUTES,
	    "2:33: endpoints.e.mode: expected \"svix\", \"direct\" or "
	    "\"disabled\", got \"Svix\"\n"
	    "    did you mean \"svix\"?\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: jwt, secrets: \"file:e.secret\"}}\n"
	 SINKS ROUTES,
	    "2:33: endpoints.e.mode: expected \"svix\", \"direct\" or "
	    "\"disabled\", got \"jwt\"\n"
	    "1 error\n"},
	{BASE
	 "log: {level: warn, format: jsn, access: verbose}\n",
	    "5:14: log.level: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got \"warn\"\n"
	    "5:28: log.format: expected \"kv\" or \"json\", got "
	    "\"jsn\"\n"
	    "    did you mean \"json\"?\n"
	    "5:41: log.access: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got \"verbose\"\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{to: {sink: f, format: cloudevent}}]\n",
	    "4:33: routes[0].to.format: expected \"json\", "
	    "\"cloudevents\" or \"raw\", got \"cloudevent\"\n"
	    "    did you mean \"cloudevents\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: kafak}}\n"
	 ROUTES,
	    "3:19: sinks.f.type: expected kafka, redis or file, got "
	    "\"kafak\"\n"
	    "    did you mean \"kafka\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: nats}}\n"
	 ROUTES,
	    "3:19: sinks.f.type: expected kafka, redis or file, got "
	    "\"nats\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", source: \"\"") SINKS ROUTES,
	    "2:73: endpoints.e.source: expected a text, got an empty "
	    "one\n"
	    "1 error\n"},
};

static const struct cfg_case wrong_networks[] = {
	{LISTEN
	 ENDPOINT(
		", allow: [10.0.0.0/33, \"::1/129\", 10.0.0, \"10.0.0.0/\", "
		"\"10.0.0.0/-1\", example.com, \"\", \"1.2.3.4/08\"]")
	 SINKS ROUTES,
	    "2:73: endpoints.e.allow[0]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"10.0.0.0/33\"\n"
	    "2:86: endpoints.e.allow[1]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"::1/129\"\n"
	    "2:97: endpoints.e.allow[2]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"10.0.0\"\n"
	    "2:105: endpoints.e.allow[3]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"10.0.0.0/\"\n"
	    "2:118: endpoints.e.allow[4]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"10.0.0.0/-1\"\n"
	    "2:133: endpoints.e.allow[5]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"example.com\"\n"
	    "2:146: endpoints.e.allow[6]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"\"\n"
	    "2:150: endpoints.e.allow[7]: expected an address or a "
	    "network such as 203.0.113.0/24, got \"1.2.3.4/08\"\n"
	    "8 errors\n"},
	{LISTEN
	 ENDPOINT(
		", allow: [10.1.2.3/8, \"2001:db8::1/32\"]")
	 SINKS ROUTES,
	    "2:73: endpoints.e.allow[0]: expected a network without bits "
	    "beyond its prefix, got \"10.1.2.3/8\"\n"
	    "    the network is 10.0.0.0/8\n"
	    "2:85: endpoints.e.allow[1]: expected a network without bits "
	    "beyond its prefix, got \"2001:db8::1/32\"\n"
	    "    the network is 2001:db8::/32\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT(", allow: []") SINKS ROUTES,
	    "2:72: endpoints.e.allow: expected at least 1, got 0\n"
	    "1 error\n"},
};

/* clang-format on */

static void
unknown_keys_are_named(void **state)
{
	(void)state;
	cfg_check_all(unknown_keys);
}

static void
later_keys_are_not_supported_yet(void **state)
{
	(void)state;
	cfg_check_all(later_keys);
}

static void
missing_keys_are_named(void **state)
{
	(void)state;
	cfg_check_all(missing_keys);
}

static void
types_are_checked(void **state)
{
	(void)state;
	cfg_check_all(wrong_types);
}

static void
numbers_are_checked(void **state)
{
	(void)state;
	cfg_check_all(wrong_numbers);
}

static void
words_are_checked(void **state)
{
	(void)state;
	cfg_check_all(wrong_words);
}

static void
networks_are_checked(void **state)
{
	(void)state;
	cfg_check_all(wrong_networks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unknown_keys_are_named),
	    cmocka_unit_test(later_keys_are_not_supported_yet),
	    cmocka_unit_test(missing_keys_are_named),
	    cmocka_unit_test(types_are_checked),
	    cmocka_unit_test(numbers_are_checked),
	    cmocka_unit_test(words_are_checked),
	    cmocka_unit_test(networks_are_checked),
	};

	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
