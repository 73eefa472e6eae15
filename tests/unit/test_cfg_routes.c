/* SPDX-License-Identifier: Apache-2.0 */
/* test_cfg_routes.c - what is said of routes: where they lead, what they
 * name, and when */
#include "cfg_rig.h"

/* clang-format off */

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
	    "answered 503, again and again: there is no default, no "
	    "dead_letter and no spool\n"
	    "    add a route with default: true, dead_letter: {sink: ...}, or "
	    "spool: {directory: ...}\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: done, when: {status: completed}, to: {sink: f}}\n"
	 "  - {name: other, default: true, when: {status: failed}, to: {sink: "
	 "f}}\n",
	    "5:3: warning: routes: an event that matches none of them is "
	    "answered 503, again and again: there is no default, no "
	    "dead_letter and no spool\n"
	    "    add a route with default: true, dead_letter: {sink: ...}, or "
	    "spool: {directory: ...}\n"
	    "1 warning\n"},
	{LISTEN ENDPOINT("") SINKS
	 "routes:\n"
	 "  - {name: done, when: {status: completed}, to: {sink: f}}\n"
	 "  - {name: other, default: true, when: {status: failed}, to: {sink: "
	 "f}}\n"
	 "dead_letter: {sink: f}\n",
	    ""},
	{LISTEN ENDPOINT("") SINKS
	 "routes: [{name: done, when: {status: completed}, to: {sink: f}}]\n"
	 "spool: {directory: /var/spool/hb}\n",
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

/* clang-format on */

CFG_TEST_OF(bad_routes)
CFG_TEST_OF(bad_targets)
CFG_TEST_OF(bad_templates)
CFG_TEST_OF(bad_headers)
CFG_TEST_OF(bad_conditions)
CFG_TEST_OF(bad_dead_letters)

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad_routes),
	    cmocka_unit_test(test_bad_targets),
	    cmocka_unit_test(test_bad_templates),
	    cmocka_unit_test(test_bad_headers),
	    cmocka_unit_test(test_bad_conditions),
	    cmocka_unit_test(test_bad_dead_letters),
	    cmocka_unit_test(test_too_many_targets),
	};

	setenv("HB_TEST_TOKEN", "another-token-of-the-tests", 1);
	return cmocka_run_group_tests(tests, cfg_setup, cfg_teardown);
}
