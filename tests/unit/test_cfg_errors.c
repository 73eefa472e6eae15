/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_errors.c - what is said of settings that do not fit each other, or
 * the world: endpoints, routes, templates, conditions, limits */
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

static const struct cfg_case bad_routes[] = {
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: a, to: {sink: ff}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].to.sink: expected the name of a sink, got "
	    "\"ff\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: a, to: {sink: f}}\n"
	 "  - {name: a, to: {sink: f}}\n"
	 "  - {name: \"a b\", to: {sink: f}}\n",
	    "6:12: routes[1].name: expected a name of its own, \"a\" is "
	    "routes[0] too\n"
	    "7:12: routes[2].name: expected a name of 1 to 64 letters, "
	    "digits, \".\", \"_\" and \"-\", got \"a b\"\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: route-2, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "6:5: routes[1]: expected a name of its own, \"route-2\" is "
	    "routes[0] too\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: x, to: []}\n"
	 "  - {to: {sink: f}}\n",
	    "5:19: routes[0].to: expected a list of destinations, got an "
	    "empty list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: all, to: {sink: f}}\n"
	 "  - {name: rest, default: true, to: {sink: f}}\n",
	    "6:5: warning: routes[1]: route \"rest\" never acts: \"all\" "
	    "matches every event, and this is a default\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: all, final: true, to: {sink: f}}\n"
	 "  - {name: late, when: {status: failed}, to: {sink: f}}\n",
	    "6:5: warning: routes[1]: route \"late\" never acts: \"all\" "
	    "before it matches every event and is final\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: done, when: {status: completed}, to: {sink: f}}\n",
	    "5:3: warning: routes: an event that matches none of them is "
	    "answered 503, again and again: there is no default and no "
	    "dead_letter\n"
	    "    add a route with default: true, or dead_letter: {sink: "
	    "...}\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: done, when: {status: completed}, to: {sink: f}}\n"
	 "  - {name: other, default: true, when: {status: failed}, to: {sink: "
	 "f}}\n",
	    "5:3: warning: routes: an event that matches none of them is "
	    "answered 503, again and again: there is no default and no "
	    "dead_letter\n"
	    "    add a route with default: true, or dead_letter: {sink: "
	    "...}\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: done, when: {status: completed}, to: {sink: f}}\n"
	 "  - {name: other, default: true, when: {status: failed}, to: {sink: "
	 "f}}\n"
	 "dead_letter: {sink: f}\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: /f}, g: {type: file, path: /g}}\n"
	 "routes:\n"
	 "  - {to: {sink: f}}\n",
	    "3:39: warning: sinks.g: no route leads here\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file, path: /f}, g: {type: file, path: /f}}\n"
	 "routes:\n"
	 "  - {to: [{sink: f}, {sink: g}]}\n",
	    "3:39: sinks.g: expected a file of its own, sink \"f\" has "
	    "the same\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {f: {type: file}, g: {type: file}}\n"
	 "routes:\n"
	 "  - {to: [{sink: f}, {sink: g}]}\n",
	    "3:9: sinks.f.path: expected a value, got nothing\n"
	    "    path: absolute, or - for stdout\n"
	    "3:26: sinks.g.path: expected a value, got nothing\n"
	    "    path: absolute, or - for stdout\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: {sink: k, topic: t}}\n"
	 "  - {name: b, when: {status: failed}, to: {sink: k, topic: t, key: "
	 "\"{status}\"}}\n",
	    "6:43: warning: routes[1].to: names k:t as route \"a\" does, "
	    "but with another key, format, headers or settings; where "
	    "both match, those of \"a\" count\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: {sink: k, topic: t}}\n"
	 "  - {name: b, to: {sink: k, topic: \"{status}\", topics: [s, t], "
	 "format: raw}}\n",
	    "6:19: warning: routes[1].to: names k:t as route \"a\" does, "
	    "but with another key, format, headers or settings; where "
	    "both match, those of \"a\" count\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: {sink: k, topic: t}}\n"
	 "  - {name: b, to: {sink: k, topic: t, headers: {x: y}}}\n",
	    "6:19: warning: routes[1].to: names k:t as route \"a\" does, "
	    "but with another key, format, headers or settings; where "
	    "both match, those of \"a\" count\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: {sink: r, stream: t}}\n"
	 "  - {name: b, to: {sink: r, stream: t, idempotent: 48h}}\n",
	    "6:19: warning: routes[1].to: names r:t as route \"a\" does, "
	    "but with another key, format, headers or settings; where "
	    "both match, those of \"a\" count\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: {sink: k, topic: t}}\n"
	 "  - {name: b, to: {sink: k, topic: t}}\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {name: a, to: [{sink: k, topic: t}, {sink: k, topic: t}]}\n",
	    "5:41: warning: routes[0].to[1]: names k:t a second time in "
	    "one route\n"
	    "1 warning\n"},
};

static const struct cfg_case bad_targets[] = {
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k}}\n",
	    "5:6: routes[0].to.topic: expected a value, got nothing\n"
	    "    topic: a name, or a template and the list of what it "
	    "may become\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, stream: t}}\n",
	    "5:6: routes[0].to.topic: expected a value, got nothing\n"
	    "    topic: a name, or a template and the list of what it "
	    "may become\n"
	    "5:20: routes[0].to.stream: sinks of type kafka have no "
	    "stream\n"
	    "    they have topic\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: t, maxlen: 5}}\n",
	    "5:30: routes[0].to.maxlen: sinks of type kafka have no "
	    "maxlen\n"
	    "    they have topic\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, topic: t}}\n",
	    "5:6: routes[0].to.stream: expected a value, got nothing\n"
	    "    stream: a name, or a template and the list of what it "
	    "may become\n"
	    "5:20: routes[0].to.topic: sinks of type redis have no "
	    "topic\n"
	    "    they have stream\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, topic: t}}\n",
	    "5:20: routes[0].to.topic: sinks of type file have no "
	    "topic\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: t, maxlen: 0}}\n",
	    "5:39: routes[0].to.maxlen: expected a number of at least 1, "
	    "got \"0\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: t, maxlen: 1000}}\n",
	    "5:39: warning: routes[0].to.maxlen: the server deletes "
	    "older entries, read or unread\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: t, idempotent: true}}\n",
	    "5:43: routes[0].to.idempotent: expected a duration such as "
	    "500ms, 3s or 48h, got \"true\"\n"
	    "    durations take ms, s, m, h and d\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: \"t.{status}\"}}\n",
	    "5:27: routes[0].to.topic: expected a list topics for a "
	    "templated topic, got none\n"
	    "    list what it may become: topics: [...]\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: \"t:{status}\"}}\n",
	    "5:28: routes[0].to.stream: expected a list streams for a "
	    "templated stream, got none\n"
	    "    list what it may become: streams: [...]\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: t, topics: [t]}}\n",
	    "5:30: routes[0].to.topics: the topic is no template: a list "
	    "has no use\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: \"t.{status}\", topics: []}}\n",
	    "5:49: routes[0].to.topics: expected at least one topic, got "
	    "an empty list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: \"t.{status}\", topics: [t.a, \"t b\", "
	 "\".\", \"\"]}}\n",
	    "5:55: routes[0].to.topics[1]: expected a valid name of a "
	    "topic, got \"t b\"\n"
	    "5:62: routes[0].to.topics[2]: expected a valid name of a "
	    "topic, got \".\"\n"
	    "5:67: routes[0].to.topics[3]: expected a text, got an empty "
	    "one\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: \"a b\"}}\n",
	    "5:27: routes[0].to.topic: expected a valid name of a topic, "
	    "got \"a b\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: \"a:b\"}}\n",
	    "5:27: routes[0].to.topic: expected a valid name of a topic, "
	    "got \"a:b\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: "
	 "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
	 "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
	 "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt"
	 "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt}}\n",
	    "5:27: routes[0].to.topic: expected a valid name of a topic, "
	    "got "
	    "\"tttttttttttttttttttttttttttttttttttttttttttttttttttttt"
	    "tttttttttttttttttttttttttttttttttttttt…\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: \"a b\"}}\n",
	    "5:28: routes[0].to.stream: expected a valid name of a "
	    "stream, got \"a b\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: r, stream: \"{{tag}}:a\"}}\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes:\n"
	 "  - {to: {sink: k, topic: {status}}}\n",
	    "5:27: routes[0].to.topic: expected a text, got a map\n"
	    "    quote it: \"{status}\"\n"
	    "1 error\n"},
};

static const struct cfg_case bad_templates[] = {
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{statu}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{statu}\": at character 1: unknown name \"statu\"\n"
	    "    did you mean \"status\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{foo}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got \"{foo}\": "
	    "at character 1: unknown name \"foo\"\n"
	    "    known here: job_id, status, channel, endpoint, "
	    "job_type, metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"a{status\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"a{status\": at character 2: the brace is not closed\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"a}b\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got \"a}b\": "
	    "at character 2: a closing brace with no opening one (a "
	    "brace as text is written twice)\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got \"{}\": at "
	    "character 1: no name between the braces\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{a{b}}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{a{b}}\": at character 1: a brace inside of braces\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{metadata.}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{metadata.}\": at character 1: path \"\": a name is "
	    "empty\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{metadata.a..b}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{metadata.a..b}\": at character 1: path \"a..b\": a name "
	    "is empty\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{metadata.a\\\\b}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{metadata.a\\\\b}\": at character 1: path \"a\\b\": a "
	    "backslash must stand before a dot or a backslash\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{metadata}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{metadata}\": at character 1: unknown name \"metadata\"\n"
	    "    known here: job_id, status, channel, endpoint, "
	    "job_type, metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{Status}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{Status}\": at character 1: unknown name \"Status\"\n"
	    "    did you mean \"status\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"{result}\"}}\n",
	    "5:25: routes[0].to.key: expected a template, got "
	    "\"{result}\": at character 1: unknown name \"result\"\n"
	    "    known here: job_id, status, channel, endpoint, "
	    "job_type, metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: \"\"}}\n",
	    "5:25: routes[0].to.key: expected a text, got an empty one\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, key: {job_id}}}\n",
	    "5:25: routes[0].to.key: expected a text, got a map\n"
	    "    quote it: \"{job_id}\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", job_type: \"{channel}\"") SINKS ROUTES,
	    "2:75: endpoints.e.job_type: expected a template, got "
	    "\"{channel}\": at character 1: unknown name \"channel\"\n"
	    "    known here: job_id, status, endpoint, metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", job_type: \"{job_type}\"") SINKS ROUTES,
	    "2:75: endpoints.e.job_type: expected a template, got "
	    "\"{job_type}\": at character 1: unknown name \"job_type\"\n"
	    "    known here: job_id, status, endpoint, metadata.NAME\n"
	    "1 error\n"},
};

static const struct cfg_case bad_headers[] = {
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, headers: {hb_x: a, HB_Y: b, ce_id: c, "
	 "Content-Type: d, data: e, traceparent: f}}}\n",
	    "5:30: routes[0].to.headers.hb_x: headers of this name are "
	    "hookbridge's own\n"
	    "5:39: routes[0].to.headers.HB_Y: headers of this name are "
	    "hookbridge's own\n"
	    "5:48: routes[0].to.headers.ce_id: headers of this name are "
	    "hookbridge's own\n"
	    "5:58: routes[0].to.headers.Content-Type: headers of this "
	    "name are hookbridge's own\n"
	    "5:75: routes[0].to.headers.data: headers of this name are "
	    "hookbridge's own\n"
	    "5:84: routes[0].to.headers.traceparent: headers of this "
	    "name are hookbridge's own\n"
	    "6 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, headers: {\"a b\": a, \"\": b, \"ä\": c}}}\n",
	    "5:30: routes[0].to.headers.a b: expected a header's name, "
	    "got \"a b\"\n"
	    "5:40: routes[0].to.headers.: expected a header's name, got "
	    "\"\"\n"
	    "5:47: routes[0].to.headers.ä: expected a header's name, got "
	    "\"ä\"\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, headers: {x: a, X: b}}}\n",
	    "5:36: routes[0].to.headers.X: expected each header once, "
	    "got it again in other letters\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, headers: {x: \"{nope}\"}}}\n",
	    "5:33: routes[0].to.headers.x: expected a template, got "
	    "\"{nope}\": at character 1: unknown name \"nope\"\n"
	    "    known here: job_id, status, channel, endpoint, "
	    "job_type, metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {to: {sink: f, headers: {h0: v, h1: v, h2: v, h3: v, h4: v, h5: "
	 "v, h6: v, h7: v, h8: v, h9: v, h10: v, h11: v, h12: v, h13: v, h14: "
	 "v, h15: v, h16: v, h17: v, h18: v, h19: v, h20: v, h21: v, h22: v, "
	 "h23: v, h24: v, h25: v, h26: v, h27: v, h28: v, h29: v, h30: v, "
	 "h31: v, h32: v}}}\n",
	    "5:29: routes[0].to.headers: expected at most 32 headers, "
	    "got 33\n"
	    "1 error\n"},
};

static const struct cfg_case bad_conditions[] = {
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {regex: \"a.*\"}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].when.metadata.a.regex: unknown condition\n"
	    "    known here: not, prefix, glob, exists, gt, ge, lt, le\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {match: b}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].when.metadata.a.match: unknown condition\n"
	    "    known here: not, prefix, glob, exists, gt, ge, lt, le\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {prefx: b}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].when.metadata.a.prefx: unknown condition\n"
	    "    did you mean \"prefix\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {prefix: [a, b]}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:34: routes[0].when.metadata.a.prefix: expected a text, "
	    "got a list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {glob: }}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:32: routes[0].when.metadata.a.glob: expected a text, got "
	    "nothing\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {prefix: \"\"}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:34: routes[0].when.metadata.a.prefix: expected a text, "
	    "got an empty one\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {gt: five}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:30: routes[0].when.metadata.a.gt: expected a number, got "
	    "\"five\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {gt: 1e}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:30: routes[0].when.metadata.a.gt: expected a number, got "
	    "\"1e\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {ge: 0x10, le: +5, lt: .5, gt: 01}}, to: "
	 "{sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:30: routes[0].when.metadata.a.ge: expected a number, got "
	    "\"0x10\"\n"
	    "5:40: routes[0].when.metadata.a.le: expected a number, got "
	    "\"+5\"\n"
	    "5:48: routes[0].when.metadata.a.lt: expected a number, got "
	    "\".5\"\n"
	    "5:56: routes[0].when.metadata.a.gt: expected a number, got "
	    "\"01\"\n"
	    "4 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {status: {gt: 5}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:22: routes[0].when.status.gt: only metadata compares as a "
	    "number\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {gt: [1]}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:30: routes[0].when.metadata.a.gt: expected a number, got "
	    "a list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {exists: 1}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:34: routes[0].when.metadata.a.exists: expected true or "
	    "false, got \"1\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {not: {exists: true}}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:32: routes[0].when.metadata.a.not.exists: expected exists "
	    "alone, got it below not\n"
	    "    write {exists: true} or {exists: false}\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {not: {not: x}}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:37: routes[0].when.metadata.a.not.not: expected one "
	    "condition below not\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {not: {prefix: a, glob: b}}}, to: {sink: "
	 "f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:31: routes[0].when.metadata.a.not: expected one condition "
	    "below not\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: {}}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:25: routes[0].when.metadata.a: expected a condition, got "
	    "an empty map\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: []}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:25: routes[0].when.metadata.a: expected a list of values, "
	    "got an empty list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: }, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:25: routes[0].when.metadata.a: expected a text, got "
	    "nothing\n"
	    "    absence is tested by {exists: false}, the text by "
	    "quotes\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: [[b]]}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].when.metadata.a[0]: expected a text, got a "
	    "list\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a: [{prefix: b}]}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:26: routes[0].when.metadata.a[0]: expected a text, got a "
	    "map\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata: a}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.metadata: unknown name\n"
	    "    known here: status, channel, endpoint, job_type, "
	    "metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.: a}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.metadata.: path \"\": a name is "
	    "empty\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a..b: c}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.metadata.a..b: path \"a..b\": a name "
	    "is empty\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {.a: c}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when..a: unknown name\n"
	    "    known here: status, channel, endpoint, job_type, "
	    "metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {metadata.a\\b: c}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.metadata.a\\\\b: path \"a\\b\": a "
	    "backslash must stand before a dot or a backslash\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {document_type: invoice}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.document_type: unknown name\n"
	    "    known here: status, channel, endpoint, job_type, "
	    "metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {job_id: x}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.job_id: unknown name\n"
	    "    known here: status, channel, endpoint, job_type, "
	    "metadata.NAME\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {chanel: x}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:13: routes[0].when.chanel: unknown name\n"
	    "    did you mean \"channel\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {status: Completed}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:21: routes[0].when.status: expected a status in lower "
	    "case, got \"Completed\"\n"
	    "    did you mean \"completed\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {status: done!}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:21: routes[0].when.status: expected a status in lower "
	    "case, got \"done!\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {status: [succeeded, canceled, error, complete]}, to: "
	 "{sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:22: routes[0].when.status[0]: the status \"succeeded\" "
	    "arrives as \"completed\"\n"
	    "5:33: routes[0].when.status[1]: the status \"canceled\" "
	    "arrives as \"cancelled\"\n"
	    "5:43: routes[0].when.status[2]: the status \"error\" "
	    "arrives as \"failed\"\n"
	    "5:50: routes[0].when.status[3]: the status \"complete\" "
	    "arrives as \"completed\"\n"
	    "4 errors\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {status: \"\"}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:21: routes[0].when.status: expected a status in lower "
	    "case, got \"\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {endpoint: ee}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:23: routes[0].when.endpoint: expected the name of an "
	    "endpoint, got \"ee\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {when: {channel: production}, to: {sink: f}}\n"
	 "  - {to: {sink: f}}\n",
	    "5:22: warning: routes[0].when.channel: no endpoint has the "
	    "channel \"production\"\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT(", channels: production") SINKS
	 "routes: [{when: {channel: prodution}, to: {sink: f}}, {to: {sink: "
	 "f}}]\n",
	    "4:27: warning: routes[0].when.channel: no endpoint has the "
	    "channel \"prodution\"\n"
	    "    did you mean \"production\"?\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT(
		", channels: \"{metadata.e}\", channel_values: [staging]")
	 SINKS
	 "routes: [{when: {channel: [staging, stagin]}, to: {sink: f}}, {to: "
	 "{sink: f}}]\n",
	    "4:37: warning: routes[0].when.channel[1]: no endpoint has "
	    "the channel \"stagin\"\n"
	    "    did you mean \"staging\"?\n"
	    "1 warning\n"},
};

static const struct cfg_case bad_dead_letters[] = {
	{BASE
	 "dead_letter: {sink: g}\n",
	    "5:21: dead_letter.sink: expected the name of a sink, got "
	    "\"g\"\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "dead_letter: {sink: k}\n",
	    "5:1: dead_letter.topic: expected a value, got nothing\n"
	    "    topic: a name, not a template\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "dead_letter: {sink: k, topic: \"dead.{status}\", topics: "
	 "[dead.failed]}\n",
	    "5:31: dead_letter.topic: expected a fixed topic, got "
	    "\"dead.{status}\"\n"
	    "5:48: dead_letter.topics: unknown key\n"
	    "    did you mean \"topic\"?\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "dead_letter: {sink: k, topic: dead, topics: dead}\n",
	    "5:37: dead_letter.topics: unknown key\n"
	    "    did you mean \"topic\"?\n"
	    "1 error\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "dead_letter: {sink: k, stream: dead}\n",
	    "5:1: dead_letter.topic: expected a value, got nothing\n"
	    "    topic: a name, not a template\n"
	    "5:24: dead_letter.stream: sinks of type kafka have no "
	    "stream\n"
	    "    they have topic\n"
	    "2 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "dead_letter: {sink: k, topic: dead, key: a, format: raw, headers: "
	 "{}}\n",
	    "5:37: dead_letter.key: unknown key\n"
	    "    known here: sink, topic\n"
	    "5:45: dead_letter.format: unknown key\n"
	    "    known here: sink, topic\n"
	    "5:58: dead_letter.headers: unknown key\n"
	    "    known here: sink, topic\n"
	    "3 errors\n"},
	{LISTEN ENDPOINT("")
	 "sinks: {r: {type: redis, url: \"redis://127.0.0.1\"}}\n"
	 "routes: [{to: {sink: r, stream: t}}]\n"
	 "dead_letter: {sink: r, stream: dead, maxlen: 5, idempotent: 1d}\n",
	    "5:38: dead_letter.maxlen: unknown key\n"
	    "    known here: sink, stream\n"
	    "5:49: dead_letter.idempotent: unknown key\n"
	    "    known here: sink, stream\n"
	    "2 errors\n"},
	{BASE
	 "dead_letter: {sink: f, topic: dead}\n",
	    "5:24: dead_letter.topic: sinks of type file have no topic\n"
	    "1 error\n"},
};

static const struct cfg_case bad_limits[] = {
	{BASE
	 "dedup: {window: 10m}\n",
	    "5:17: dedup.window: expected a dedup.window of at least 11m "
	    "(twice the longest tolerance and a minute), got 10m\n"
	    "1 error\n"},
	{BASE
	 "dedup: {window: 11m}\n",
	    ""},
	{LISTEN ENDPOINT(", tolerance: 1h") SINKS ROUTES
	 "dedup: {window: 2h}\n",
	    "5:17: dedup.window: expected a dedup.window of at least "
	    "121m (twice the longest tolerance and a minute), got 2h\n"
	    "1 error\n"},
	{LISTEN ENDPOINT(", dedup: false") SINKS ROUTES
	 "dedup: {window: 1s}\n",
	    ""},
	{LISTEN ENDPOINT(", tolerance: 1d") SINKS ROUTES
	 "dedup: {max_entries: 5}\n",
	    "5:8: dedup: expected a dedup.window of at least 2881m "
	    "(twice the longest tolerance and a minute), got 2d\n"
	    "1 error\n"},
	{BASE
	 "delivery: {ack_timeout: 10s}\n",
	    "5:25: delivery.ack_timeout: expected an ack_timeout below "
	    "10s (the hard_timeout), got 10s\n"
	    "1 error\n"},
	{BASE
	 "delivery: {hard_timeout: 2s}\n",
	    "5:11: delivery: expected an ack_timeout below 2s (the "
	    "hard_timeout), got 3s\n"
	    "1 error\n"},
	{BASE
	 "delivery: {hard_timeout: 15s}\n",
	    "5:26: warning: delivery.hard_timeout: Svix waits 15s for an "
	    "answer: what is confirmed later is sent again\n"
	    "1 warning\n"},
	{BASE
	 "delivery: {ack_timeout: 1499ms}\n",
	    ""},
	{LISTEN ENDPOINT("")
	 "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
	 "routes: [{to: {sink: k, topic: t}}]\n"
	 "delivery: {ack_timeout: 1499ms}\n",
	    "5:25: delivery.ack_timeout: expected an ack_timeout of at "
	    "least 1500ms (to Kafka, messages must expire 1200ms "
	    "earlier), got 1499ms\n"
	    "1 error\n"},
	{BASE
	 "http: {idle_timeout: 20s}\n",
	    "5:22: warning: http.idle_timeout: Svix closes idle "
	    "connections after 20s: what closes them earlier may cross a "
	    "webhook on its way\n"
	    "1 warning\n"},
	{BASE
	 "http: {target_size: 16KiB}\n",
	    "5:21: http.target_size: expected a target_size below the "
	    "head_size\n"
	    "1 error\n"},
	{BASE
	 "memory: 16MiB\n",
	    "5:9: warning: memory: bodies not yet verified may hold a "
	    "quarter of memory, 4MiB: larger ones are refused, whatever "
	    "http.body_size says\n"
	    "1 warning\n"},
	{BASE
	 "http: {body_size: 65MiB}\n",
	    "5:19: warning: http.body_size: bodies not yet verified may "
	    "hold a quarter of memory, 64MiB: larger ones are refused, "
	    "whatever http.body_size says\n"
	    "1 warning\n"},
};

static const struct cfg_case many_faults[] = {
	{"routes:\n"
	 "  - {to: {sink: g}}\n"
	 "sinks: {f: {type: file, path: x}}\n"
	 "listen: {address: 80}\n"
	 "endpoints:\n"
	 "  e: {path: e, mode: svix, secrets: \"file:e.secret\", tolerence: "
	 "1}\n"
	 "  d: {path: /e, mode: direct, allow: 10.0.0.1}\n"
	 "zz: 1\n"
	 "log: {level: loud}\n",
	    "2:17: routes[0].to.sink: expected the name of a sink, got "
	    "\"g\"\n"
	    "3:31: sinks.f.path: expected the absolute path of a file, "
	    "or - for stdout\n"
	    "4:19: listen.address: expected host:port, [v6]:port or "
	    "unix:PATH, got \"80\"\n"
	    "    a port is missing: \"127.0.0.1:8080\"\n"
	    "6:13: endpoints.e.path: expected a path that begins with /, "
	    "got \"e\"\n"
	    "6:54: endpoints.e.tolerence: unknown key\n"
	    "    did you mean \"tolerance\"?\n"
	    "7:38: warning: endpoints.d.allow: without a token, whoever "
	    "has one of these addresses can post here\n"
	    "8:1: zz: unknown key\n"
	    "    known here: listen, workers, http, memory, log, "
	    "endpoints, sinks, routes, dead_letter, delivery, dedup\n"
	    "9:14: log.level: expected \"error\", \"warning\", \"info\" "
	    "or \"debug\", got \"loud\"\n"
	    "7 errors, 1 warning\n"},
};

/* clang-format on */

#define TEST_OF(table)                \
	static void                   \
	test_##table(void **state)    \
	{                             \
		(void)state;          \
		cfg_check_all(table); \
	}

TEST_OF(bad_paths)
TEST_OF(bad_endpoints)
TEST_OF(bad_channels)
TEST_OF(bad_listeners)
TEST_OF(exposed_tokens)
TEST_OF(bad_routes)
TEST_OF(bad_targets)
TEST_OF(bad_templates)
TEST_OF(bad_headers)
TEST_OF(bad_conditions)
TEST_OF(bad_dead_letters)
TEST_OF(bad_limits)
/* In the file's order, with one line of totals. */
TEST_OF(many_faults)

/* One event goes to at most 32 destinations. */
static void
test_too_many_targets(void **state)
{
	char yaml[4096], *report;
	size_t len;

	(void)state;
	len = (size_t)snprintf(yaml, sizeof(yaml), "%s",
	    LISTEN ENDPOINT("") "sinks: {k: {type: kafka, brokers: \"k:1\"}}\n"
				"routes:\n  - to:\n");
	for (int i = 0; i < 33; i++)
		len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
		    "      - {sink: k, topic: t%d}\n", i);
	assert_null(cfg_load(yaml, &report));
	assert_string_equal(report,
	    "6:7: routes[0].to: expected at most 32 destinations, got 33\n"
	    "1 error\n");
	free(report);
}

/* A line says FILE:LINE:COLUMN: PATH: SENTENCE, the remedy is indented. */
static void
test_lines_are_whole(void **state)
{
	char expected[640], *report;
	size_t len;
	FILE *out = open_memstream(&report, &len);

	(void)state;
	cfg_write(FILE_NAME, BASE "htpp: {}\n");
	assert_null(
	    hb_config_load(cfg_path(FILE_NAME), hb_sink_types(), out));
	assert_int_equal(fclose(out), 0);
	snprintf(expected, sizeof(expected),
	    "%s:5:1: htpp: unknown key\n"
	    "    did you mean \"http\"?\n"
	    "1 error\n",
	    cfg_path(FILE_NAME));
	assert_string_equal(report, expected);
	free(report);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_paths),
	    cmocka_unit_test(test_bad_endpoints),
	    cmocka_unit_test(test_bad_channels),
	    cmocka_unit_test(test_bad_listeners),
	    cmocka_unit_test(test_exposed_tokens),
	    cmocka_unit_test(test_bad_routes),
	    cmocka_unit_test(test_bad_targets),
	    cmocka_unit_test(test_bad_templates),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_bad_conditions),
	    cmocka_unit_test(test_bad_dead_letters),
	    cmocka_unit_test(test_bad_limits),
	    cmocka_unit_test(test_many_faults),
	    cmocka_unit_test(test_too_many_targets),
	    cmocka_unit_test(test_lines_are_whole),
	};

	setenv("HB_TEST_TOKEN", "another-token-of-the-tests", 1);
	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
