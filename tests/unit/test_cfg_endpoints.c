/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_endpoints.c - what is said of endpoints and listeners that do not
 * fit each other, or the world */
#include "cfg_rig.h"

/* clang-format off */

static const struct cfg_case bad_paths[] = {
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\"}, "
	 "o: {path: /a, mode: svix, secrets: \"file:other.secret\"}}\n"
	 SINKS ROUTES,
	    "2:76: endpoints.o.path: expected a path of its own "
	    "(endpoint \"e\" has \"/a\"), got \"/a\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\"}, "
	 "o: {path: /a}}\n"
	 SINKS ROUTES,
	    "2:69: warning: endpoints.o: it has no mode, which means "
	    "disabled: webhooks are answered 404\n"
	    "    mode: svix, direct, or disabled if meant\n"
	    "2:76: endpoints.o.path: expected a path of its own "
	    "(endpoint \"e\" has \"/a\"), got \"/a\"\n"
	    "1 error, 1 warning\n"},
	{LISTEN
	 "endpoints: {e: {path: a, mode: svix, secrets: \"file:e.secret\"}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.e.path: expected a path that begins with /, "
	    "got \"a\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: \"/a b\", mode: svix, secrets: "
	 "\"file:e.secret\"}, f: {path: \"/a?b\", mode: svix, secrets: "
	 "\"file:other.secret\"}, g: {path: \"/é\", mode: direct, token: {in: "
	 "bearer, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.e.path: expected a path as it stands in a "
	    "URL, other characters as %XX, got \"/a b\"\n"
	    "2:80: endpoints.f.path: expected a path as it stands in a "
	    "URL, other characters as %XX, got \"/a?b\"\n"
	    "2:141: endpoints.g.path: expected a path as it stands in a "
	    "URL, other characters as %XX, got \"/é\"\n"
	    "3 errors\n"},
	{LISTEN
	 "endpoints: {e: {path: \"/{token}\", mode: svix, secrets: "
	 "\"file:e.secret\"}, d: {path: \"/{tok}\", mode: direct, token: {in: "
	 "bearer, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.e.path: expected a path without {token}, "
	    "which belongs to mode direct with token.in: path, got "
	    "\"/{token}\"\n"
	    "2:84: endpoints.d.path: expected a path as it stands in a "
	    "URL, other characters as %XX, got \"/{tok}\"\n"
	    "2 errors\n"},
	{LISTEN
	 "endpoints: {d: {path: \"/d/{token}\", mode: direct, token: {in: "
	 "path, secret: \"file:token\"}}, c: {path: \"/d/{token}\", mode: "
	 "direct, token: {in: path, secret: \"env:HB_TEST_TOKEN\"}}}\n"
	 SINKS ROUTES,
	    "2:103: endpoints.c.path: expected a path of its own "
	    "(endpoint \"d\" has \"/d/{token}\"), got \"/d/{token}\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: \"/d\", mode: direct, token: {in: path, "
	 "secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.d.path: expected a path with one segment "
	    "{token}, as token.in is path, got \"/d\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: \"/{token}/{token}\", mode: direct, token: "
	 "{in: path, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.d.path: expected a path with one segment "
	    "{token}, as token.in is path, got \"/{token}/{token}\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: \"/x{token}\", mode: direct, token: {in: "
	 "path, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:23: endpoints.d.path: expected a path as it stands in a "
	    "URL, other characters as %XX, got \"/x{token}\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: "
	 "/01234567890123456789012345678901234567890123456789012345678901"
	 "23456789, mode: svix, secrets: \"file:e.secret\"}}\n"
	 SINKS ROUTES
	 "http: {target_size: 64}\n",
	    "2:23: endpoints.e.path: expected a path no longer than "
	    "http.target_size\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {bad name: {path: /e, mode: svix, secrets: "
	 "\"file:e.secret\"}, -x: {path: /f, mode: svix, secrets: "
	 "\"file:other.secret\"}, \"\": {path: /g, mode: direct, token: {in: "
	 "bearer, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:13: endpoints.bad name: expected a name of 1 to 64 "
	    "letters, digits, \".\", \"_\" and \"-\", got \"bad name\"\n"
	    "2:73: endpoints.-x: expected a name of 1 to 64 letters, "
	    "digits, \".\", \"_\" and \"-\", got \"-x\"\n"
	    "2:131: endpoints.: expected a name of 1 to 64 letters, "
	    "digits, \".\", \"_\" and \"-\", got \"\"\n"
	    "3 errors\n"},
};

static const struct cfg_case bad_endpoints[] = {
	{LISTEN
	 "endpoints: {e: {path: /e, secrets: \"file:e.secret\"}}\n"
	 SINKS ROUTES,
	    "2:12: warning: endpoints: every endpoint is disabled: "
	    "nothing is received\n"
	    "2:16: warning: endpoints.e: it has no mode, which means "
	    "disabled: webhooks are answered 404\n"
	    "    mode: svix, direct, or disabled if meant\n"
	    "2 warnings\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: disabled}}\n"
	 SINKS ROUTES,
	    "2:12: warning: endpoints: every endpoint is disabled: "
	    "nothing is received\n"
	    "1 warning\n"},
	{LISTEN
	 "endpoints: {e: {path: /e, mode: svix, secrets: \"file:e.secret\", "
	 "token: {in: bearer, secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:65: endpoints.e.token: mode svix has no token: signatures "
	    "are its only proof\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, secrets: "
	 "\"file:e.secret\"}}\n"
	 SINKS ROUTES,
	    "2:13: endpoints.d: expected a token or an allow list, got "
	    "neither: anybody could post here\n"
	    "2:41: endpoints.d.secrets: mode direct has no signatures\n"
	    "    its secret is a token: token: {in: bearer, secret: "
	    "...}\n"
	    "2 errors\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, allow: 10.0.0.0/8}}\n"
	 SINKS ROUTES,
	    "2:48: warning: endpoints.d.allow: without a token, whoever "
	    "has one of these addresses can post here\n"
	    "1 warning\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearer, secret: "
	 "\"file:token\"}, tolerance: 1m}}\n"
	 SINKS ROUTES,
	    "2:95: warning: endpoints.d.tolerance: not used: mode direct "
	    "has no signed time\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT(", tolerance: 999ms") SINKS ROUTES,
	    "2:76: endpoints.e.tolerance: expected a duration from 1s to "
	    "1d, got \"999ms\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", tolerance: 2d") SINKS ROUTES,
	    "2:76: endpoints.e.tolerance: expected a duration from 1s to "
	    "1d, got \"2d\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: header, secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:53: endpoints.d.token.in: expected bearer, basic, path, "
	    "query.NAME or metadata.PATH, got \"header\"\n"
	    "    did you mean \"bearer\"?\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearr, secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:53: endpoints.d.token.in: expected bearer, basic, path, "
	    "query.NAME or metadata.PATH, got \"bearr\"\n"
	    "    did you mean \"bearer\"?\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: query., secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:53: endpoints.d.token.in: expected query. and the name of "
	    "a parameter, got \"query.\"\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: metadata., "
	 "secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:53: endpoints.d.token.in: path \"\": a name is empty\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: metadata.a..b, "
	 "secret: \"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:53: endpoints.d.token.in: path \"a..b\": a name is "
	    "empty\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearer, secret: "
	 "\"file:token\", user: x}}}\n"
	 SINKS ROUTES,
	    "2:83: endpoints.d.token.user: only a token in basic has a "
	    "user\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {d: {path: /d, mode: direct, token: {in: basic, secret: "
	 "\"file:token\", user: \"me:hunter2\"}}}\n"
	 SINKS ROUTES,
	    "2:88: endpoints.d.token.user: expected a user name without "
	    "a colon\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", source: reducto") SINKS ROUTES,
	    "2:73: endpoints.e.source: expected an absolute URI such as "
	    "https://example.com/reducto, got \"reducto\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", source: \"1https://a\"") SINKS ROUTES,
	    "2:73: endpoints.e.source: expected an absolute URI such as "
	    "https://example.com/reducto, got \"1https://a\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", source: \"https:\"") SINKS ROUTES,
	    "2:73: endpoints.e.source: expected an absolute URI such as "
	    "https://example.com/reducto, got \"https:\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", source: \"https://a b\"") SINKS ROUTES,
	    "2:73: endpoints.e.source: expected an absolute URI such as "
	    "https://example.com/reducto, got \"https://a b\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", body_size: 9MiB") SINKS ROUTES,
	    "2:76: endpoints.e.body_size: expected at most "
	    "http.body_size, 8MiB, got \"9MiB\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", body_size: 0") SINKS ROUTES,
	    "2:76: endpoints.e.body_size: expected a size from 1B to "
	    "1GiB, got \"0\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", body_size: 4MiB") SINKS ROUTES
	 "http: {body_size: 3MiB}\n",
	    "2:76: endpoints.e.body_size: expected at most "
	    "http.body_size, 3MiB, got \"4MiB\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", metadata_size: 0") SINKS ROUTES,
	    "2:80: endpoints.e.metadata_size: expected a size from 1B to "
	    "1GiB, got \"0\"\n"
	    "1 error\n"},
};

static const struct cfg_case bad_channels[] = {
	{LISTEN
	 ENDPOINT(
		", channels: [\"a b\", \"\", production]")
	 SINKS ROUTES,
	    "2:76: endpoints.e.channels[0]: expected a label of 1 to 128 "
	    "letters, digits and \"-_.:+\", got \"a b\"\n"
	    "2:83: endpoints.e.channels[1]: expected a text, got an "
	    "empty one\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT(", channels: \"{metadata.environment}\"") SINKS ROUTES,
	    "2:75: endpoints.e.channels: expected channel_values for a "
	    "templated channel, got none\n"
	    "    list what it may become: channel_values: [staging, "
	    "production]\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", channels: {metadata.environment}") SINKS ROUTES,
	    "2:75: endpoints.e.channels: expected a text, got a map\n"
	    "    quote it: \"{metadata.environment}\"\n"
	    "1 error\n"},
	{LISTEN
	 ENDPOINT(
		", channels: \"{metadata.environment}\", channel_values: "
		"[staging, \"a b\"]")
	 SINKS ROUTES,
	    "2:127: endpoints.e.channel_values[1]: expected a label of 1 "
	    "to 128 letters, digits and \"-_.:+\", got \"a b\"\n"
	    "1 error\n"},
	{LISTEN
	 ENDPOINT(
		", channels: production, channel_values: [staging]")
	 SINKS ROUTES,
	    "2:103: warning: endpoints.e.channel_values: not used: no "
	    "channel is a template without values of its own\n"
	    "1 warning\n"},
	{LISTEN
	 ENDPOINT(
		", channels: [{template: production, values: [a]}]")
	 SINKS ROUTES,
	    "2:87: endpoints.e.channels[0].template: expected a template "
	    "such as \"{metadata.environment}\", got \"production\"\n"
	    "1 error\n"},
	{LISTEN
	 ENDPOINT(
		", channels: [{template: \"{metadata.a}\", values: [a]}], "
		"channel_values: b")
	 SINKS ROUTES,
	    "2:134: warning: endpoints.e.channel_values: not used: no "
	    "channel is a template without values of its own\n"
	    "1 warning\n"},
	{LISTEN
	 ENDPOINT(
		", channels: [\"{channel}\", \"{job_typ}\", \"{}\", "
		"\"{metadata.a\", \"a}\"], channel_values: a")
	 SINKS ROUTES,
	    "2:76: endpoints.e.channels[0]: expected a template, got "
	    "\"{channel}\": at character 1: unknown name \"channel\"\n"
	    "    known here: job_id, status, endpoint, metadata.NAME\n"
	    "2:89: endpoints.e.channels[1]: expected a template, got "
	    "\"{job_typ}\": at character 1: unknown name \"job_typ\"\n"
	    "    known here: job_id, status, endpoint, metadata.NAME\n"
	    "2:102: endpoints.e.channels[2]: expected a template, got "
	    "\"{}\": at character 1: no name between the braces\n"
	    "2:108: endpoints.e.channels[3]: expected a template, got "
	    "\"{metadata.a\": at character 1: the brace is not closed\n"
	    "2:123: endpoints.e.channels[4]: expected a template, got "
	    "\"a}\": at character 2: a closing brace with no opening one "
	    "(a brace as text is written twice)\n"
	    "5 errors\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: x}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: x}}\n"
	 SINKS
	 "routes: [{name: trusting, when: {channel: x}, to: {sink: f}}, {to: "
	 "{sink: f}}]\n",
	    "2:145: endpoints.o.channels: expected a channel of its own "
	    "(endpoint \"e\" has it too, and route \"trusting\" goes by "
	    "it alone), got \"x\"\n"
	    "    rename it, or let the route test the endpoint as well\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: x}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: x}}\n"
	 SINKS
	 "routes: [{when: {channel: x, endpoint: e}, to: {sink: f}}, {to: "
	 "{sink: f}}]\n",
	    ""},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: x}, o: {path: /b, channels: x, mode: disabled}}\n"
	 SINKS
	 "routes: [{when: {channel: x}, to: {sink: f}}, {to: {sink: f}}]\n",
	    ""},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: x}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: \"{metadata.a}\", channel_values: "
	 "[w, x]}}\n"
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: \"t.{channel}\", topics: [t.x]}}]\n",
	    "2:181: endpoints.o.channel_values[1]: expected a channel of "
	    "its own (endpoint \"e\" has it too, and route \"route-1\" "
	    "goes by it alone), got \"x\"\n"
	    "    rename it, or let the route test the endpoint as well\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: x}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: x}}\n"
	 SINKS
	 "routes: [{when: {channel: {not: y}}, to: {sink: f}}, {to: {sink: "
	 "f}}]\n",
	    "4:33: warning: routes[0].when.channel.not: no endpoint has "
	    "the channel \"y\"\n"
	    "1 warning\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: xy}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: xy}}\n"
	 SINKS
	 "routes: [{when: {channel: {prefix: x}}, to: {sink: f}}, {to: {sink: "
	 "f}}]\n",
	    "2:146: endpoints.o.channels: expected a channel of its own "
	    "(endpoint \"e\" has it too, and route \"route-1\" goes by "
	    "it alone), got \"xy\"\n"
	    "    rename it, or let the route test the endpoint as well\n"
	    "1 error\n"},
	{LISTEN
	 "endpoints: {e: {path: /a, mode: svix, secrets: \"file:e.secret\", "
	 "channels: xy}, o: {path: /b, mode: svix, secrets: "
	 "\"file:other.secret\", channels: xy}}\n"
	 SINKS
	 "routes: [{when: {channel: {glob: \"?y*\"}}, to: {sink: f}}, {when: "
	 "{channel: {glob: \"*x\"}}, to: {sink: f}}, {to: {sink: f}}]\n",
	    "2:146: endpoints.o.channels: expected a channel of its own "
	    "(endpoint \"e\" has it too, and route \"route-1\" goes by "
	    "it alone), got \"xy\"\n"
	    "    rename it, or let the route test the endpoint as well\n"
	    "1 error\n"},
};

static const struct cfg_case bad_listeners[] = {
	{"listen: {address: \"127.0.0.1\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"127.0.0.1\"\n"
	    "    a port is missing: \"127.0.0.1:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"8080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"8080\"\n"
	    "    a port is missing: \"127.0.0.1:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \":8080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \":8080\"\n"
	    "    for all addresses: \"0.0.0.0:8080\" or \"[::]:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"*:8080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"*:8080\"\n"
	    "    for all addresses: \"0.0.0.0:8080\" or \"[::]:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"::1:8080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"::1:8080\"\n"
	    "    IPv6 addresses stand in brackets: \"[::1]:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"[::1]\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"[::1]\"\n"
	    "    a port is missing: \"127.0.0.1:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"[::1]:99999\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"[::1]:99999\"\n"
	    "1 error\n"},
	{"listen: {address: \"[::g]:80\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"[::g]:80\"\n"
	    "1 error\n"},
	{"listen: {address: \"127.0.0.1:-1\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"127.0.0.1:-1\"\n"
	    "1 error\n"},
	{"listen: {address: \"127.0.0.1:080\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"127.0.0.1:080\"\n"
	    "1 error\n"},
	{"listen: {address: \"127.0.0.1:http\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"127.0.0.1:http\"\n"
	    "1 error\n"},
	{"listen: {address: \"a b:80\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"a b:80\"\n"
	    "1 error\n"},
	{"listen: {address: \"unix:run/x\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected unix: and an absolute path "
	    "of at most 107 characters, got \"unix:run/x\"\n"
	    "1 error\n"},
	{"listen: {address: \"unix:\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected unix: and an absolute path "
	    "of at most 107 characters, got \"unix:\"\n"
	    "1 error\n"},
	{"listen: {address: \"http://127.0.0.1:80\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"http://127.0.0.1:80\"\n"
	    "    an address has no scheme and no path: "
	    "\"127.0.0.1:8080\"\n"
	    "1 error\n"},
	{"listen: {address: \"\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected a text, got an empty one\n"
	    "1 error\n"},
	{"listen:\n"
	 "  - address: 127.0.0.1:80\n"
	 "  - address: \"127.0.0.1:80\"\n"
	 "  - address: 127.0.0.1:0\n"
	 "  - address: 127.0.0.1:0\n"
	 ENDPOINT("") SINKS ROUTES,
	    "3:14: listen[1].address: expected an address of its own, "
	    "got \"127.0.0.1:80\"\n"
	    "1 error\n"},
	{"listen: {address: "
	 "\"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    "1:19: listen.address: expected unix: and an absolute path "
	    "of at most 107 characters, got "
	    "\"unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\"\n"
	    "1 error\n"},
};

static const struct cfg_case exposed_tokens[] = {
	{"listen: {address: \"0.0.0.0:80\"}\n"
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearer, secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    "2:48: warning: endpoints.d.token: the token crosses the "
	    "network unencrypted: a listener is not loopback and has no "
	    "TLS\n"
	    "    listen on 127.0.0.1 behind a proxy that does TLS\n"
	    "1 warning\n"},
	{"listen: [{address: \"127.0.0.1:80\"}, {address: \"[::1]:80\"}, "
	 "{address: \"localhost:80\"}, {address: \"unix:/s\"}]\n"
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearer, secret: "
	 "\"file:token\"}}}\n"
	 SINKS ROUTES,
	    ""},
	{"listen: [{address: \"127.0.0.1:80\"}, {address: \"[::]:80\"}]\n"
	 "endpoints: {d: {path: /d, mode: direct, token: {in: bearer, secret: "
	 "\"file:token\"}}, c: {path: /c, mode: direct, allow: 10.0.0.1}}\n"
	 SINKS ROUTES,
	    "2:48: warning: endpoints.d.token: the token crosses the "
	    "network unencrypted: a listener is not loopback and has no "
	    "TLS\n"
	    "    listen on 127.0.0.1 behind a proxy that does TLS\n"
	    "2:120: warning: endpoints.c.allow: without a token, whoever "
	    "has one of these addresses can post here\n"
	    "2 warnings\n"},
	{"listen: {address: \"hooks.example.com:80\"}\n"
	 ENDPOINT("") SINKS ROUTES,
	    ""},
};

/* clang-format on */

CFG_TEST_OF(bad_paths)
CFG_TEST_OF(bad_endpoints)
CFG_TEST_OF(bad_channels)
CFG_TEST_OF(bad_listeners)
CFG_TEST_OF(exposed_tokens)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_paths),
	    cmocka_unit_test(test_bad_endpoints),
	    cmocka_unit_test(test_bad_channels),
	    cmocka_unit_test(test_bad_listeners),
	    cmocka_unit_test(test_exposed_tokens),
	};

	setenv("HB_TEST_TOKEN", "another-token-of-the-tests", 1);
	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
