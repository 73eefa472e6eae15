# SPDX-License-Identifier: Apache-2.0
"""What the sender is told, situation by situation: the code, the headers, the
body. Svix shows the body to its users and repeats whatever was no 2xx."""

import contextlib
import json
import threading
import time

import pytest

import hookbridge as rig
from http1 import request_bytes
from process import free_port

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def svix(path="/all", **rest):
    return {"path": path, "mode": "svix", **rest}


def to_file(tmp_path, name="events"):
    return {"type": "file", "path": str(tmp_path / f"{name}.ndjson")}


@pytest.fixture
def files_only(tmp_path):
    """A configuration without any server: answers do not depend on the sink."""
    def make(**rest):
        return {"endpoints": {"all": svix(), "other": svix("/other")},
                "sinks": {"out": to_file(tmp_path),
                          "dead": to_file(tmp_path, "dead")},
                "routes": [{"to": [{"sink": "out"}]}],
                "dead_letter": {"sink": "dead"}, **rest}
    return make


def check_error(answer, code, **headers):
    """A short JSON object for people, with its code."""
    assert answer.status == code, answer
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json()) == {"error", "detail"}
    assert len(answer.body) < 300
    for name, value in headers.items():
        assert answer.headers[name.replace("_", "-")] == value
    assert "webhook-delivery" not in answer.headers
    assert "server" not in answer.headers


# --- 2xx ----------------------------------------------------------------------

def test_confirmed(hookbridge, outlets):
    daemon = hookbridge(outlets.config()).wait_up()
    answer = daemon.post_signed("all", BODY, webhook_id="msg_2b")
    assert answer.status == 200
    assert answer.json() == {"id": "msg_2b", "outcome": "confirmed"}
    assert answer.headers["content-type"].startswith("application/json")
    outlets.messages(1)


def test_duplicate(hookbridge, files_only):
    daemon = hookbridge(files_only())
    first = daemon.post_signed("all", BODY, webhook_id="msg_2b")
    assert first.json()["outcome"] == "confirmed"
    for _ in range(2):
        again = daemon.post_signed("all", BODY, webhook_id="msg_2b")
        assert again.status == 200
        assert again.json() == {"id": "msg_2b", "outcome": "duplicate"}
    # The same id at another endpoint is another event.
    other = daemon.post_signed("other", BODY, webhook_id="msg_2b")
    assert other.json()["outcome"] == "confirmed"
    assert daemon.terminate() == 0
    assert daemon.metric("dedup_hits_total", endpoint="all") == 2


def test_duplicate_that_is_not_wanted(hookbridge, files_only):
    daemon = hookbridge(files_only(endpoints={"all": svix(dedup=False)}))
    for _ in range(2):
        answer = daemon.post_signed("all", BODY, webhook_id="msg_2b")
        assert answer.json()["outcome"] == "confirmed"


def in_thread(function, *arguments):
    """Runs it beside; call the result to get its value."""
    values = []
    thread = threading.Thread(
        target=lambda: values.append(function(*arguments)))
    thread.start()

    def result():
        thread.join(60)
        assert values, "the thread failed"
        return values[0]
    return result


@pytest.mark.threads
def test_duplicates_in_flight_share_the_answer(hookbridge, own_redis):
    """While the first waits for Redis, others with its id wait with it."""
    daemon = hookbridge({
        "endpoints": {"all": svix()},
        "sinks": {"r": {"type": "redis", "url": own_redis.url,
                        "timeout": "9s"}},
        "routes": [{"to": [{"sink": "r", "stream": "s"}]}],
        "delivery": {"ack_timeout": "9s"}}).wait_up()
    own_redis.pause()
    headers = daemon.signed_headers("all", BODY, webhook_id="msg_2b")
    waiting = [in_thread(daemon.post, "/all", BODY, headers)
               for _ in range(5)]
    time.sleep(0.5)  # all of them are in: nothing else tells
    assert not daemon.log_records("request.done")
    own_redis.resume()
    answers = [w() for w in waiting]
    assert {a.status for a in answers} == {200}
    assert {a.json()["outcome"] for a in answers} == {"confirmed"}
    assert len(own_redis.entries("s")) == 1
    again = daemon.post("/all", BODY, headers)
    assert again.json()["outcome"] == "duplicate"


UNUSABLE = {
    "not JSON": b"hello",
    "empty": b"",
    "half": b'{"job_id":"a"',
    "no job_id": b'{"status":"Completed"}',
    "number for a job_id": b'{"job_id":7,"status":"Completed"}',
    "empty job_id": b'{"job_id":"","status":"Completed"}',
    "long job_id": b'{"job_id":"%s","status":"Completed"}' % (b"x" * 257),
    "control in job_id": b'{"job_id":"a\\u0007b","status":"Completed"}',
    "job_id twice": b'{"job_id":"a","job_id":"a","status":"Completed"}',
    "status twice": b'{"job_id":"a","status":"Failed","status":"Completed"}',
    "twice by an escape": b'{"job_id":"a","result":1,"re\\u0073ult":2}',
    "metadata twice": b'{"job_id":"a","metadata":{},"metadata":{}}',
    "array": b'[{"job_id":"a","status":"Completed"}]',
    "string": b'"job_id"',
    "NaN": b'{"job_id":"a","metadata":{"x":NaN}}',
    "bad UTF-8 in a string": b'{"job_id":"a","metadata":{"x":"\xff"}}',
}


def test_dead_lettered(hookbridge, files_only, tmp_path):
    daemon = hookbridge(files_only())
    for i, body in enumerate(UNUSABLE.values()):
        if body == UNUSABLE["bad UTF-8 in a string"]:
            continue  # Svix's library cannot sign it; see test_verify
        answer = daemon.post_signed("all", body, webhook_id=f"msg_{i}")
        assert answer.status == 202, (body, answer)
        assert answer.json() == {"id": f"msg_{i}", "outcome": "dead-lettered"}
    assert (tmp_path / "events.ndjson").read_bytes() == b""
    assert len((tmp_path / "dead.ndjson").read_bytes().splitlines()) == \
        len(UNUSABLE) - 1


def test_dead_lettered_nowhere(hookbridge, files_only):
    """Without a place for dead letters nothing of it may be lost."""
    config = files_only()
    del config["dead_letter"]
    daemon = hookbridge(config)
    check_error(daemon.post_signed("all", b"hello"), 503, retry_after="5")


# --- 4xx ----------------------------------------------------------------------

def refusals(daemon, body=BODY):
    """Requests that nobody who knows the secret would send: (why, headers)."""
    good = daemon.signed_headers("all", body, webhook_id="msg_1")
    signature = good["svix-signature"]
    now = int(time.time())

    def without(name):
        return {k: v for k, v in good.items() if k != name}

    def instead(**changed):
        return {**good, **{k.replace("_", "-"): v
                           for k, v in changed.items()}}
    return [
        ("nothing", {}),
        ("no id", without("svix-id")),
        ("no timestamp", without("svix-timestamp")),
        ("no signature", without("svix-signature")),
        ("empty signature", instead(svix_signature="")),
        ("wrong secret", daemon.signed_headers(
            "all", body, secret=rig.new_secret())),
        ("other endpoint's secret", daemon.signed_headers("other", body)),
        ("other body", daemon.signed_headers("all", body + b" ")),
        ("old", daemon.signed_headers("all", body, timestamp=now - 330)),
        ("future", daemon.signed_headers("all", body, timestamp=now + 330)),
        ("timestamp moved", instead(svix_timestamp=str(now + 1))),
        ("id changed", instead(svix_id="msg_2")),
        ("dotted id", instead(svix_id="msg.1")),
        ("unknown version", instead(svix_signature=signature.replace(
            "v1,", "v2,"))),
        ("cut short", instead(svix_signature=signature[:-5])),
        ("mixed families", {
            "svix-id": good["svix-id"],
            "webhook-timestamp": good["svix-timestamp"],
            "webhook-signature": signature}),
        ("id twice", [*good.items(), ("svix-id", "msg_1")]),
        ("timestamp twice", [*good.items(), (
            "Svix-Timestamp", good["svix-timestamp"])]),
        ("signature twice", [*good.items(), ("svix-signature", signature)]),
        ("many entries", instead(svix_signature=" ".join(["v1,x"] * 17))),
    ]


def raw_post(daemon, path, body, headers):
    pairs = list(headers.items() if hasattr(headers, "items") else headers)
    with daemon.connect() as connection:
        return connection.request(
            "POST", path, body, [("Content-Type", "application/json"), *pairs])


def test_unauthorized_has_one_answer(hookbridge, files_only):
    daemon = hookbridge(files_only())
    answers = {}
    for why, headers in refusals(daemon):
        answer = raw_post(daemon, "/all", BODY, headers)
        check_error(answer, 401)
        # Who fails before the body loses the connection: no secret in that.
        answers[why] = (answer.body, {
            k: v for k, v in answer.headers.items()
            if k not in ("date", "connection")})
    first = answers["nothing"]
    assert {why for why, a in answers.items() if a != first} == set()
    # The log and the counters know more.
    assert daemon.log_contains("verify.failed", endpoint="all")
    assert daemon.terminate() == 0
    assert daemon.metric("verify_failures_total", endpoint="all") == \
        len(answers)
    reasons = {s for s in daemon.metrics() if s.startswith("verify_fail")}
    assert len(reasons) > 4
    assert daemon.metric("events_total") == 0


def test_unauthorized_by_address_or_token_is_the_same(hookbridge, files_only):
    token = {"in": "bearer", "secret": "file:token"}
    daemon = hookbridge(files_only(endpoints={
        "all": svix(),
        "far": svix("/far", allow="203.0.113.0/24"),
        "direct": {"path": "/direct", "mode": "direct", "token": token}}),
        files={"token": "a-token-that-is-long-enough\n"})
    wanted = raw_post(daemon, "/all", BODY, {})
    wanted.headers.pop("date")
    answers = [
        daemon.post_signed("far", BODY),
        raw_post(daemon, "/direct", BODY, {}),
        raw_post(daemon, "/direct", BODY, {"Authorization": "Bearer wrong"})]
    for answer in answers:
        answer.headers.pop("date")
        assert (answer.status, answer.headers, answer.body) == \
            (wanted.status, wanted.headers, wanted.body)


def test_unknown_is_disabled(hookbridge, files_only):
    daemon = hookbridge(files_only(endpoints={
        "all": svix(), "off": {"path": "/off", "mode": "disabled"},
        "forgotten": {"path": "/forgotten"}}))
    answers = []
    for path in ("/off", "/forgotten", "/nowhere", "/", "/all/", "/ALL",
                 "/al%6c", "/a/../all", "/off?x=1"):
        for method in ("POST", "GET", "PUT"):
            with daemon.connect() as connection:
                answer = connection.request(method, path, BODY)
            check_error(answer, 404)
            answer.headers.pop("date")
            answers.append((answer.headers, answer.body))
    assert all(a == answers[0] for a in answers)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_method(hookbridge, files_only, method):
    daemon = hookbridge(files_only())
    with daemon.connect() as connection:
        check_error(connection.request(method, "/all"), 405, allow="POST",
                    connection="close")
        assert connection.is_closed()


@pytest.mark.parametrize("headers, code", [
    ({"Content-Type": "application/json"}, 200),
    ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ({"Content-Type": "APPLICATION/JSON"}, 200),
    ({"Content-Type": "application/cloudevents+json"}, 200),
    ({}, 200),
    ({"Content-Encoding": "identity"}, 200),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ({"Content-Type": "application/jsonp"}, 415),
    ({"Content-Type": ""}, 415),
    ({"Content-Encoding": "gzip"}, 415),
    ({"Content-Encoding": "identity, gzip"}, 415),
])
def test_media_type(hookbridge, files_only, headers, code):
    daemon = hookbridge(files_only())
    with daemon.connect() as connection:
        answer = connection.request(
            "POST", "/all", BODY,
            {**headers, **daemon.signed_headers("all", BODY)})
    assert answer.status == code, answer
    if code == 415:
        check_error(answer, 415)


def test_too_large(hookbridge, files_only):
    daemon = hookbridge(files_only(
        endpoints={"all": svix(body_size="2KiB"), "other": svix("/other")}))
    fits = b'{"job_id":"a","metadata":"%s"}' % (b"x" * (2048 - 28))
    assert len(fits) == 2048
    assert daemon.post_signed("all", fits).status == 200
    for target, size in (("/all", 2049), ("/other", 2 * 1024 * 1024 + 1),
                         ("/all", 10 ** 18)):
        with daemon.connect() as connection:
            # Nothing of the body is needed for the answer.
            head = request_bytes("POST", target, b"", daemon.signed_headers(
                target.strip("/"), b""))
            connection.send(head.replace(b"Content-Length: 0",
                                         b"Content-Length: %d" % size))
            check_error(connection.read_answer(), 413, connection="close")
            connection.finish_sending()
            assert connection.is_closed()


def test_too_large_in_chunks(hookbridge, files_only):
    daemon = hookbridge(files_only(endpoints={"all": svix(body_size="2KiB")}))
    headers = daemon.signed_headers("all", b"x" * 4000)
    with daemon.connect() as connection:
        connection.send(request_bytes(
            "GET", "/all", b"", {**headers, "Transfer-Encoding": "chunked"}
        ).replace(b"GET", b"POST"))
        for _ in range(4):
            connection.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
        check_error(connection.read_answer(), 413, connection="close")


def test_head_limits(hookbridge, files_only):
    daemon = hookbridge(files_only())

    def answer_to(head):
        with daemon.connect() as connection:
            connection.send(head)
            answer = connection.read_answer()
            connection.finish_sending()
            assert connection.is_closed()
            return answer
    end = b"Content-Length: 0\r\n\r\n"
    first = b"POST /all HTTP/1.1\r\nHost: a\r\n"
    check_error(answer_to(first + b"X: %s\r\n" % (b"x" * 17000) + end), 431)
    check_error(answer_to(first + b"X: 1\r\n" * 120 + end), 431)
    check_error(answer_to(b"POST /%s HTTP/1.1\r\nHost: a\r\n" % (b"a" * 2100)
                          + end), 414)
    signed = "".join(f"{name}: {value}\r\n" for name, value
                     in daemon.signed_headers("all", b"").items()).encode()
    check_error(answer_to(first + signed + b"\r\n"), 411)


MALFORMED = [
    b"hello\r\n\r\n",
    b"POST /all HTTP/1.1\r\n\r\n",
    b"POST /all HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST /all HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
    b"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    b"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Content-Length: 5\r\n\r\nhello",
    b"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n"
    b"\r\n0\r\n\r\n",
    b"POST /all HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"POST /all HTTP/1.1\r\nHost: a\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
    b"POST all HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST /all HTTP/1.10\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n",
]


def test_malformed(hookbridge, files_only):
    """400, and nothing more is read from such a peer."""
    daemon = hookbridge(files_only())
    smuggled = request_bytes("POST", "/all", BODY,
                             daemon.signed_headers("all", BODY))
    for head in MALFORMED:
        with daemon.connect() as connection:
            connection.send(head + smuggled)
            answer = connection.read_answer()
            check_error(answer, 400, connection="close")
            connection.finish_sending()
            assert connection.is_closed(), head
    assert daemon.terminate() == 0
    assert daemon.metric("events_total") == 0
    assert daemon.metric("http_malformed_total") == len(MALFORMED)


# --- 503 ----------------------------------------------------------------------

def test_sink_down(hookbridge, tmp_path):
    daemon = hookbridge({
        "endpoints": {"all": svix()},
        "sinks": {"k": {"type": "kafka",
                        "brokers": f"127.0.0.1:{free_port()}"},
                  "r": {"type": "redis",
                        "url": f"redis://127.0.0.1:{free_port()}"},
                  "f": to_file(tmp_path)},
        "routes": [
            {"when": {"metadata.to": "k"}, "to": [{"sink": "k", "topic": "t"}]},
            {"when": {"metadata.to": "r"},
             "to": [{"sink": "r", "stream": "s"}]},
            {"to": [{"sink": "f"}]}]})
    daemon.wait_log("sink.down", sink="k")
    daemon.wait_log("sink.down", sink="r")
    for to in ("k", "r"):
        begun = time.monotonic()
        answer = daemon.post_signed(
            "all", {"job_id": "a", "metadata": {"to": to}})
        # Known to be down: no reason to let the sender wait.
        assert time.monotonic() - begun < 1
        check_error(answer, 503, retry_after="5")
    # Nothing was sent anywhere else, so that the retry makes no duplicate.
    assert (tmp_path / "events.ndjson").read_bytes() == b""
    assert daemon.post_signed("all", {"job_id": "a"}).status == 200


@pytest.mark.threads
def test_over_the_byte_budget(hookbridge, own_redis):
    """Bodies in flight hold the budget; then new ones are refused, at once and
    before they are read."""
    daemon = hookbridge({
        "endpoints": {"all": svix(), "other": svix("/other")},
        "sinks": {"r": {"type": "redis", "url": own_redis.url,
                        "timeout": "9s"}},
        "routes": [{"to": [{"sink": "r", "stream": "s"}]}],
        "memory": "8MiB",
        "delivery": {"ack_timeout": "9s"}}).wait_up()
    own_redis.pause()
    large = b'{"job_id":"a","metadata":"%s"}' % (b"x" * 1_000_000)
    waiting, refused = [], None
    with contextlib.ExitStack() as connections:
        while refused is None:
            assert len(waiting) < 8
            connection = connections.enter_context(daemon.connect())
            headers = daemon.signed_headers("all", large)
            # Most of the body is enough, once there is no room for all of it.
            request = request_bytes("POST", "/all", large, headers)
            connection.send(request[:600_000])
            refused = answer_within(connection, 0.3)
            if refused is None:
                connection.send(request[600_000:])
                refused = answer_within(connection, 0.3)
            if refused is None:
                waiting.append(connection)
        check_error(refused, 503, retry_after="5")
        assert waiting
        own_redis.resume()
        assert {c.read_answer().status for c in waiting} == {200}
    # And when they are gone there is room again.
    assert daemon.post("/all", large, headers).status == 200
    assert daemon.terminate() == 0
    assert len(own_redis.entries("s")) == len(waiting) + 1


def answer_within(connection, seconds):
    """The answer, or None: there is none yet."""
    connection.socket.settimeout(seconds)
    try:
        return connection.read_answer()
    except TimeoutError:
        return None
    finally:
        connection.socket.settimeout(20)


@pytest.mark.threads
def test_draining(hookbridge, own_redis):
    """A request that was received is served; its connection is closed."""
    daemon = hookbridge({
        "endpoints": {"all": svix()},
        "sinks": {"r": {"type": "redis", "url": own_redis.url,
                        "timeout": "9s"}},
        "routes": [{"to": [{"sink": "r", "stream": "s"}]}],
        "delivery": {"ack_timeout": "9s"}}).wait_up()
    own_redis.pause()
    with daemon.connect() as idle, daemon.connect() as busy:
        # The idle one has been used, so that it is kept alive.
        assert idle.request("POST", "/nowhere", b"").status == 404
        busy.send(request_bytes("POST", "/all", BODY,
                                daemon.signed_headers("all", BODY)))
        time.sleep(0.3)  # it is in: nothing tells
        daemon.popen.terminate()
        daemon.wait_log("daemon.drain")
        assert idle.is_closed()
        own_redis.resume()
        answer = busy.read_answer()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert busy.is_closed()
    daemon.popen.wait(20)
    assert len(own_redis.entries("s")) == 1


@pytest.mark.threads
def test_draining_too_long(hookbridge, own_redis):
    daemon = hookbridge({
        "endpoints": {"all": svix()},
        "sinks": {"r": {"type": "redis", "url": own_redis.url,
                        "timeout": "10s"}},
        "routes": [{"to": [{"sink": "r", "stream": "s"}]}],
        "delivery": {"ack_timeout": "20s", "hard_timeout": "30s",
                     "drain_timeout": "500ms"}}).wait_up()
    own_redis.pause()
    with daemon.connect() as busy:
        busy.send(request_bytes("POST", "/all", BODY,
                                daemon.signed_headers("all", BODY)))
        time.sleep(0.3)  # it is in: nothing tells
        begun = time.monotonic()
        daemon.popen.terminate()
        check_error(busy.read_answer(), 503, retry_after="5",
                    connection="close")
        assert time.monotonic() - begun < 5
    assert daemon.popen.wait(20) == 0


# --- nothing is reflected -----------------------------------------------------

MARK = "zqxREFLECTEDzqx"


def test_nothing_is_reflected(hookbridge, files_only):
    """No answer repeats anything of the request but the event's id."""
    daemon = hookbridge(files_only())
    body = json.dumps({"job_id": MARK, "status": MARK,
                       "metadata": {MARK: MARK}}).encode()
    signed = daemon.signed_headers("all", body)
    mark = MARK.encode()
    requests = [
        request_bytes("POST", "/all", body, {**signed, "X-" + MARK: MARK}),
        request_bytes("POST", "/all?" + MARK, body, signed),
        request_bytes("POST", "/" + MARK, body, signed),
        request_bytes(MARK, "/all", body),
        request_bytes("GET", "/all?" + MARK, b"", {"X": MARK}),
        request_bytes("POST", "/all", body, {"svix-id": MARK}),
        request_bytes("POST", "/all", body, {**signed, "svix-id": MARK}),
        request_bytes("POST", "/all", body, {"Content-Type": MARK}),
        request_bytes("POST", "/all", body, {"Content-Encoding": MARK}),
        request_bytes("POST", "/all", body, {"Expect": MARK}),
        request_bytes("POST", "/all", body, {"Transfer-Encoding": MARK}),
        b"POST /all HTTP/1.1\r\n%s\r\n\r\n" % mark,
        b"POST /all %s\r\nHost: a\r\n\r\n" % mark,
        b"POST /all HTTP/1.1\r\nHost: %s\r\n\r\n" % mark,
        mark + b"\r\n\r\n",
    ]
    for request in requests:
        with daemon.connect() as connection:
            connection.send(request)
            with contextlib.suppress(OSError):
                connection.finish_sending()
            answered = connection.read_to_end()
        assert answered.startswith(b"HTTP/1.1 "), request
        assert mark.lower() not in answered.lower(), (request, answered)
    # Nor is a payload in the log, nor what a stranger wrote into a header.
    assert "X-" + MARK not in daemon.log()
