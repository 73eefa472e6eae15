# SPDX-License-Identifier: Apache-2.0
"""hookbridgectl explain: what it says of a request is what the daemon does with
it, message for message; and what its report, its codes and its sentences are."""

import base64
import collections
import json
import os
import re
import select
import socket
import time

import pytest

import ctl
import hookbridge as rig
from ctl import CONFIG, NO, NO_INPUT, OK, USAGE

SAMPLES = os.path.join(os.path.dirname(__file__), "../samples")
TOKEN = "d1rect-t0ken-of-the-tests"
ISO = "%Y-%m-%dT%H:%M:%S"


def run(config, *arguments, body=b"", **options):
    """The finished program, with the body on stdin."""
    return ctl.run("-c", config, "explain", *arguments,
                   input=rig.to_bytes(body), text=False, **options)


def explain(config, endpoint, body, headers=(), *arguments):
    """(exit code, the document)"""
    for name, value in dict(headers).items():
        arguments += ("--header", f"{name}: {value}")
    result = run(config, "--json", endpoint, *arguments, body=body)
    assert result.stdout.count(b"\n") == 1, (result.stdout, result.stderr)
    return result.returncode, json.loads(result.stdout)


# --- equal to the daemon ------------------------------------------------------

def said(message):
    """(key, headers, value) as explain has them, in bytes."""
    value = (message["value"].encode() if "value" in message
             else base64.b64decode(message["value_base64"], validate=True))
    assert len(value) == message["value_bytes"]
    return (message["key"].encode(),
            {k: v.encode() for k, v in message["headers"].items()}, value)


class Arrived:
    """All messages that stand in a test's outlets, by type of sink, name, id,
    and what a dead letter is instead of."""

    def __init__(self, broker, server, topics, streams):
        self.found = {}
        for topic in topics:
            for m in broker.messages(topic):
                self._add("kafka", topic, m.key(), dict(m.headers()), m.value())
        for stream in streams:
            for _, fields in server.entries(stream):
                headers = {k.decode(): v for k, v in fields.items()}
                data = headers.pop("data")
                self._add("redis", stream, None, headers, data)

    def _add(self, kind, name, key, headers, value):
        place = (kind, name, headers["ce_id"].decode(),
                 headers.get("hb_destination", b"").decode())
        assert place not in self.found, place
        self.found[place] = (key, headers, value)

    def time_of(self, event_id):
        for place, (_, headers, _) in self.found.items():
            if place[2] == event_id:
                return headers["ce_time"].decode()
        raise KeyError(event_id)

    def take(self, message):
        """The message that explain announced."""
        key, headers, value = said(message)
        place = (message["to"]["type"], message["to"]["name"],
                 headers["ce_id"].decode(),
                 headers.get("hb_destination", b"").decode())
        got_key, got_headers, got_value = self.found.pop(place)
        if message["to"]["type"] == "kafka":
            assert got_key == key
        else:
            assert got_headers["ce_partitionkey"] == key
        assert got_headers == headers
        assert got_value == value


@pytest.fixture
def site(hookbridge, kafka, redis_server, unique):
    """A daemon with something of everything."""
    class Site:
        topics = [f"{unique}-{n}" for n in ("main", "failed", "dead", "ce")]
        streams = [f"{unique}:{n}" for n in ("production", "staging", "raw")]

        def __init__(self):
            for topic in self.topics:
                kafka.create_topic(topic, max_message_bytes=4000000)
            self.daemon = hookbridge(self.config(), files={
                "token": TOKEN + "\n"}).wait_up()

        def config(self):
            main, failed, dead, events = self.topics
            return {
                "endpoints": {
                    "all": {"path": "/all", "mode": "svix",
                            "channels": ["production", "analytics"]},
                    "small": {"path": "/small", "mode": "svix",
                              "body_size": "1KiB"},
                    "direct": {
                        "path": "/direct", "mode": "direct",
                        "token": {"in": "metadata.hook_token",
                                  "secret": "file:token"},
                        "channels": ["{metadata.env}"],
                        "channel_values": ["staging", "test"]},
                    "bearer": {"path": "/bearer", "mode": "direct",
                               "token": {"in": "bearer",
                                         "secret": "file:token"}}},
                "sinks": {
                    "kafka": {"type": "kafka", "brokers": [kafka.address]},
                    "large": {"type": "kafka", "brokers": [kafka.address],
                              "properties": {"message.max.bytes": "3000000"}},
                    "redis": {"type": "redis", "url": redis_server.url}},
                "routes": [
                    {"name": "failures", "when": {
                        "status": {"not": "completed"}},
                     "to": {"sink": "kafka", "topic": failed,
                            "key": "{status}"}},
                    {"name": "completed", "when": {"status": "completed"},
                     "to": [
                         {"sink": "kafka", "topic": main,
                          "key": "{metadata.organization_id}",
                          "headers": {"x-org": "{metadata.organization_id}",
                                      "x-about": "{job_id}/{channel|none}"}},
                         {"sink": "kafka", "topic": events,
                          "format": "cloudevents"},
                         {"sink": "redis", "stream": unique + ":{channel}",
                          "streams": self.streams[:2]}]},
                    {"name": "raw", "when": {"metadata.raw": "true"},
                     "final": True,
                     "to": {"sink": "redis", "stream": self.streams[2],
                            "format": "raw"}}],
                "dead_letter": {"sink": "large", "topic": dead}}

        def arrived(self):
            return Arrived(kafka, redis_server, self.topics, self.streams)
    return Site()


def bodies():
    for name in sorted(os.listdir(SAMPLES)):
        with open(os.path.join(SAMPLES, name), "rb") as f:
            yield f.read()
    for metadata in ({"raw": True, "organization_id": "org-1"},
                     {"organization_id": "x" * 2000}, {"organization_id": "a\n"},
                     {"raw": "true", "organization_id": {"deep": 1}}):
        yield json.dumps({"job_id": "j", "status": "completed",
                          "metadata": metadata}).encode()
    yield b'{"job_id":"Zo\xc3\xab","status":"odd \\u001b"}'
    yield from (b"[]", b"", b"{", b"1", b"{}", b'{"job_id":1}',
                b'{"job_id":"a\\n"}', b'{"job_id":"1","job_id":"2"}',
                b'{"job_id":"1","metadata":{"raw":1,"r\\u0061w":2}}')
    yield b'{"job_id":"big","status":"completed","result":"%s"}' % (
        b"x" * 1100000)


def requests(daemon):
    """(endpoint, headers, body) of requests of all kinds."""
    trace = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
             "tracestate": "x=y"}
    for body in bodies():
        yield "all", {**daemon.signed_headers("all", body), **trace}, body
    for metadata in ({"env": "staging"}, {"env": "nowhere"}, {}):
        body = {"job_id": "d", "status": "completed",
                "metadata": {"hook_token": TOKEN, **metadata}}
        yield "direct", {}, rig.to_bytes({**body, "job_id": str(metadata)})
    yield ("bearer", {"Authorization": "Bearer " + TOKEN},
           b'{"job_id":"b","status":"failed"}')


def test_messages_are_the_daemons(site):
    """Every destination, key, header and value, and the answer."""
    daemon = site.daemon
    posted = []
    for endpoint, headers, body in requests(daemon):
        headers = {"Content-Type": "application/json", **headers}
        path = daemon.config["endpoints"][endpoint]["path"]
        posted.append((endpoint, headers, body,
                       daemon.post(path, body, headers)))
    arrived = site.arrived()
    for endpoint, headers, body, answer in posted:
        when = arrived.time_of(answer.json()["id"])
        code, document = explain(daemon.config_path, endpoint, body, headers,
                                 "--at", when)
        assert document["verification"]["result"] == "verified"
        assert document["answer"]["code"] == answer.status
        assert document["answer"]["body"].encode() == answer.body
        assert (code, document["accepted"]) == (OK, True)
        for message in document["messages"]:
            arrived.take(message)
    assert list(arrived.found) == []  # nothing that was not announced
    statuses = {answer.status for _, _, _, answer in posted}
    assert statuses == {200, 202}


BODY = b'{"job_id":"j","status":"completed"}'


def refused(daemon):
    """(endpoint, headers, body) that are not accepted."""
    now = int(time.time())
    good = daemon.signed_headers("all", BODY)
    yield "all", {}, BODY
    yield "all", good, BODY + b"\n"
    yield "all", daemon.signed_headers("all", BODY, timestamp=now - 1000), BODY
    yield "all", daemon.signed_headers("all", BODY, timestamp=now + 1000), BODY
    yield "all", daemon.signed_headers(
        "all", BODY, secret=rig.new_secret()), BODY
    yield "all", {**good, "svix-id": "a.b"}, BODY
    yield "all", {**good, "svix-timestamp": "soon"}, BODY
    yield "all", {**good, "Content-Type": "text/plain"}, BODY
    yield "all", {**good, "Content-Encoding": "gzip"}, BODY
    yield "all", {**good, "X-Long": "x" * 20000}, BODY
    yield "small", daemon.signed_headers("small", b" " * 1025), b" " * 1025
    yield "direct", {}, b"{"
    yield "direct", {}, b'{"metadata":{"hook_token":"x"}}'
    yield "direct", {}, BODY
    yield "bearer", {"Authorization": "Basic x"}, BODY
    yield "bearer", {"Authorization": "Bearer x"}, BODY


def test_refusals_are_the_daemons(site):
    daemon = site.daemon
    reasons = collections.Counter()
    for endpoint, headers, body in refused(daemon):
        headers = {"Content-Type": "application/json", **headers}
        path = daemon.config["endpoints"][endpoint]["path"]
        answer = daemon.post(path, body, headers)
        code, document = explain(daemon.config_path, endpoint, body, headers)
        assert code == NO and not document["accepted"]
        assert document["answer"]["code"] == answer.status, document
        assert document["answer"]["body"].encode() == answer.body
        assert document["event"] is None and document["messages"] == []
        reason = document["verification"]["reason"]
        assert (answer.status == 401) == (reason is not None)
        if reason is not None:
            reasons[reason] += 1
            assert document["verification"]["advice"]
    assert daemon.terminate() == 0
    counted = {reason: daemon.metric("verify_failures_total", reason=reason)
               for reason in reasons}
    assert counted == dict(reasons) and len(reasons) > 7
    assert daemon.metric("verify_failures_total") == sum(reasons.values())


# --- on its own ---------------------------------------------------------------

CONFIG_TEXT = """\
listen: [{address: "127.0.0.1:1"}]
endpoints:
  production: {path: /p, mode: svix, secrets: "file:e.secret"}
  staging: {path: /s, mode: svix, secrets: "file:s.secret"}
  unused: {path: /u, mode: disabled}
  hidden: {path: "/h/{token}", mode: direct, token: {in: path,
    secret: "file:token"}, allow: [203.0.113.0/24]}
sinks:
  k: {type: kafka, brokers: ["127.0.0.1:%d"]}
  r: {type: redis, url: "redis://127.0.0.1:%d/0"}
  f: {type: file, path: "%s/events"}
routes:
  - {name: all, to: [{sink: k, topic: t}, {sink: r, stream: s}, {sink: f}]}
dead_letter: {sink: f}
"""


@pytest.fixture
def alone(tmp_path):
    """A configuration whose brokers are two sockets that nobody serves."""
    class Alone:
        brokers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        config = tmp_path / "hookbridge.yaml"
        secret = rig.new_secret()

    for name, text in (("e.secret", Alone.secret), ("token", TOKEN),
                       ("s.secret", rig.new_secret())):
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o600)
    Alone.config.write_text(CONFIG_TEXT % (
        *(b.getsockname()[1] for b in Alone.brokers), tmp_path))
    Alone.config.chmod(0o600)
    yield Alone
    for broker in Alone.brokers:
        broker.close()


def test_nothing_is_touched(alone, tmp_path):
    """No connection, no file."""
    before = sorted(os.listdir(tmp_path))
    code, document = explain(alone.config, "production", BODY)
    assert code == OK and len(document["messages"]) == 3
    readable, _, _ = select.select(alone.brokers, [], [], 0)
    assert readable == []
    assert sorted(os.listdir(tmp_path)) == before


def test_a_body_alone(alone):
    """The main use: it is said plainly that nothing was proven."""
    result = run(alone.config, "production", body=BODY)
    assert (result.returncode, result.stderr) == (OK, b"")
    text = result.stdout.decode()
    assert "verification  not checked: no signature was given\n" in text
    assert "--header 'svix-signature: ...'" in text
    assert "msg_unknown, made up: no webhook id was given" in text
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text


def test_a_file_or_stdin(alone, tmp_path):
    body = tmp_path / "body.json"
    body.write_bytes(BODY)
    for arguments in ((str(body),), ("-",), ()):
        result = run(alone.config, "--json", "production", *arguments,
                     body=BODY)
        assert json.loads(result.stdout)["body_bytes"] == len(BODY)


@pytest.mark.parametrize("arguments, code, expected", [
    ([], USAGE, "name the endpoint"),
    (["production", "a", "b"], USAGE, "one body at a time"),
    (["producton"], USAGE, 'did you mean "production"?'),
    (["xyz"], USAGE, "    production\n    staging\n    unused\n    hidden"),
    (["production", "--header", "x"], USAGE, '"Name: value"'),
    (["production", "--header", "a: b\nc: d"], USAGE, '"Name: value"'),
    (["production", "--header", "@-"], USAGE, "stdin is for the body"),
    (["production", "--header", "@/nonexistent/h"], NO_INPUT, "/nonexistent/h"),
    (["production", "--target", "p"], USAGE, 'begins with "/"'),
    (["production", "--target", "/s"], USAGE,
     'belongs to the endpoint "staging"'),
    (["production", "--at", "yesterday"], USAGE, "Unix seconds"),
    (["production", "--at", "2026-01-01T00:00:00"], USAGE, "Unix seconds"),
    (["production", "--at", "2026-02-30T00:00:00.000Z"], USAGE, "a time"),
    (["production", "--at", "2026-01-01T00:00:00.1Z"], USAGE, "a time"),
    (["production", "--peer", "localhost"], USAGE, "an IP address"),
    (["production", "--nonsense"], USAGE, "--nonsense"),
    (["production", "/nonexistent/body"], NO_INPUT, "/nonexistent/body"),
])
def test_wrong_usage(alone, arguments, code, expected):
    result = run(alone.config, *arguments, body=BODY)
    assert (result.returncode, result.stdout) == (code, b"")
    assert expected in result.stderr.decode()


def test_configurations(alone, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text(alone.config.read_text() + "htpp: {}\n")
    bad.chmod(0o600)
    result = run(bad, "production", body=BODY)
    assert (result.returncode, result.stdout) == (CONFIG, b"")
    assert b'did you mean "http"' in result.stderr
    result = run(tmp_path / "none.yaml", "production", body=BODY)
    assert (result.returncode, result.stdout) == (NO_INPUT, b"")


def test_verification_as_of_a_time(alone):
    """A webhook of last week, judged then and now."""
    then = int(time.time()) - 7 * 86400
    headers = rig.sign(alone.secret, BODY, timestamp=then)
    code, document = explain(alone.config, "production", BODY, headers)
    assert (code, document["verification"]["reason"]) == (
        NO, "timestamp_too_old")
    assert "--at" in document["verification"]["advice"]
    iso = time.strftime(ISO, time.gmtime(then)) + ".250Z"
    for when, received in ((str(then), iso.replace(".250", ".000")),
                           (iso, iso)):
        code, document = explain(alone.config, "production", BODY, headers,
                                 "--at", when)
        assert (code, document["verification"]["key"]) == (OK, 0)
        assert document["received_at"] == received
        assert document["event"]["id"] == headers["svix-id"]
    code, document = explain(alone.config, "production", BODY, headers,
                             "--no-verify")
    assert (code, document["verification"]["result"]) == (OK, "passed-over")
    assert document["event"]["id"] == headers["svix-id"]


def test_a_newline_too_many(alone):
    """What an editor adds is found out; so is a length that was another."""
    headers = {**rig.sign(alone.secret, BODY), "Content-Length": len(BODY)}
    arguments = [x for k, v in headers.items()
                 for x in ("--header", f"{k}: {v}")]
    result = run(alone.config, "production", *arguments, body=BODY + b"\n")
    assert result.returncode == NO
    text = re.sub(r"\s+", " ", result.stdout.decode())
    assert "without the newline at its end the signature is right" in text
    assert (f"Content-Length is {len(BODY)}, but the body has {len(BODY) + 1}"
            in result.stderr.decode())


def test_headers_of_a_file(alone, tmp_path):
    """As they were captured, with either line end."""
    file = tmp_path / "headers"
    for end in ("\n", "\r\n"):
        headers = rig.sign(alone.secret, BODY, prefix="webhook")
        file.write_bytes("".join(f"{k}: {v}{end}" for k, v in
                                 headers.items()).encode() + end.encode())
        code, document = explain(alone.config, "production", BODY, {},
                                 "--header", f"@{file}")
        assert (code, document["verification"]["result"]) == (OK, "verified")
        assert document["event"]["id"] == headers["webhook-id"]
    file.write_text("no header\n")
    result = run(alone.config, "production", "--header", f"@{file}", body=BODY)
    assert (result.returncode, result.stdout) == (USAGE, b"")


def test_where_it_comes_from(alone):
    target = ("--target", "/h/" + TOKEN)
    for peer, code, reason in (("203.0.113.7", OK, None),
                               ("198.51.100.1", NO, "address"),
                               ("::1", NO, "address")):
        got, document = explain(alone.config, "hidden", BODY, {},
                                *target, "--peer", peer)
        assert (got, document["verification"]["reason"]) == (code, reason)
        assert document["verification"]["address_checked"]
    got, document = explain(alone.config, "hidden", BODY, {}, *target)
    assert got == OK and not document["verification"]["address_checked"]
    assert "--peer" in document["verification"]["advice"]
    for arguments in (target, ()):
        result = run(alone.config, "hidden", *arguments, body=BODY)
        assert TOKEN.encode() not in result.stdout + result.stderr


def test_a_disabled_endpoint(alone):
    code, document = explain(alone.config, "unused", BODY)
    assert (code, document["answer"]["code"]) == (NO, 404)
    assert "disabled" in document["answer"]["explanation"]


def names_in(document, maps=("headers", "variables")):
    """The names of all members; those of maps come from outside."""
    if isinstance(document, list):
        return set().union(*map(names_in, document))
    if not isinstance(document, dict):
        return set()
    return set(document).union(*(names_in(value)
                                 for name, value in document.items()
                                 if name not in maps))


def test_members_are_in_the_manual(alone):
    page = os.path.join(SAMPLES, "../../packaging/man/hookbridgectl.1")
    with open(page, encoding="utf-8") as f:
        described = set(re.findall(r"[a-z0-9_]+", " ".join(
            re.findall(r"^\.(?:It )?Ic (.*)$", f.read(), re.M))))
    names = set()
    for arguments in ([b""], [BODY], [BODY, {"svix-id": "x"}]):
        names |= names_in(explain(alone.config, "production", *arguments)[1])
    assert len(names) > 50
    assert names - described == set()


# --- terminals ----------------------------------------------------------------

def on_a_terminal(alone, env):
    """What is printed when stdout is a terminal."""
    body = alone.config.parent / "body"
    body.write_bytes(BODY)
    code, shown = ctl.run_on_terminal("-c", alone.config, "explain",
                                      "production", body, env=env)
    assert code == OK
    return shown


def test_colour(alone):
    """On a terminal only, and never with NO_COLOR."""
    assert "\x1b[1mWebhook\x1b[0m" in on_a_terminal(alone, {})
    assert "\x1b" in on_a_terminal(alone, {"NO_COLOR": ""})
    assert "\x1b" not in on_a_terminal(alone, {"NO_COLOR": "1"})


def test_hostile_bodies_on_a_terminal(alone):
    """What a stranger sent moves no cursor and forges no line."""
    body = {"job_id": "\x1b]0;title\x07", "status": "\x1b[2J\nAnswer\n  200"}
    text = run(alone.config, "production", body=body).stdout.decode()
    assert "\nAnswer\n" in text and text.count("\nAnswer\n") == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert "bad-job-id" in text
    body = '{"job_id":"j","status":"\x9b2J\u202e\u2028"}'
    document = run(alone.config, "--json", "production", body=body).stdout
    assert re.fullmatch(rb"[ -~]+\n", document)
    assert json.loads(document)["event"]["status_raw"] == '"\x9b2J\u202e\u2028"'
