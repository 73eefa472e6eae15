# SPDX-License-Identifier: Apache-2.0
"""From a verified webhook to its settlement: deadlines, several destinations,
dead letters, signals, and the books at the end."""

import json
import os
import signal
import time

import pytest

from events import file_lines, of_redis
from http1 import request_bytes
from load import Load, ids_of, scaled
from process import wait_until

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def redis_only(server, **rest):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": server.url,
                            "timeout": "9s"}},
            "routes": [{"to": [{"sink": "r", "stream": "s"}]}], **rest}


def wait_lost(daemon, sink):
    """Until the daemon has noticed that a sink is gone."""
    wait_until(lambda: any(r["reason"] != "connecting" for r in
                           daemon.log_records("sink.down", sink=sink)),
               10, f"the loss of {sink}")


# --- deadlines ----------------------------------------------------------------

@pytest.mark.threads
def test_the_tracker_outlives_its_503(hookbridge, own_redis):
    """At the ack deadline the sender is sent away; the delivery goes on, and
    the retry finds it done."""
    daemon = hookbridge(redis_only(
        own_redis, delivery={"ack_timeout": "1s"})).wait_up()
    own_redis.pause()
    begun = time.monotonic()
    answer = daemon.post_signed("all", BODY, webhook_id="msg_1")
    assert answer.status == 503
    assert 0.9 < time.monotonic() - begun < 3
    assert answer.headers["retry-after"] == "5"
    own_redis.resume()
    daemon.wait_log("event.settled", id="msg_1", outcome="confirmed")
    again = daemon.post_signed("all", BODY, webhook_id="msg_1")
    assert again.json() == {"id": "msg_1", "outcome": "duplicate"}
    assert len(own_redis.entries("s")) == 1


@pytest.mark.threads
def test_a_retry_joins_what_is_in_flight(hookbridge, own_redis):
    daemon = hookbridge(redis_only(
        own_redis, delivery={"ack_timeout": "1s"})).wait_up()
    own_redis.pause()
    assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 503
    with daemon.connect() as connection:
        connection.send(request_bytes(
            "POST", "/all", BODY,
            daemon.signed_headers("all", BODY, webhook_id="msg_1")))
        time.sleep(0.3)  # it has joined: nothing tells
        own_redis.resume()
        answer = connection.read_answer()
    assert answer.json() == {"id": "msg_1", "outcome": "confirmed"}
    assert len(own_redis.entries("s")) == 1


@pytest.mark.threads
def test_hard_deadline(hookbridge, own_redis):
    """Who joined is not kept waiting for ever either."""
    daemon = hookbridge(redis_only(own_redis, delivery={
        "ack_timeout": "1s", "hard_timeout": "2s"})).wait_up()
    own_redis.pause()
    assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 503
    begun = time.monotonic()
    answer = daemon.post_signed("all", BODY, webhook_id="msg_1")
    assert answer.status == 503
    assert 1.5 < time.monotonic() - begun < 4
    own_redis.resume()
    daemon.wait_log("event.settled", id="msg_1")
    assert daemon.post_signed(
        "all", BODY, webhook_id="msg_1").json()["outcome"] == "duplicate"


def test_dedup_is_full(hookbridge, redis_server, unique):
    """An id that is young is never forgotten for another one's sake: it could
    be replayed."""
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"r": {"type": "redis", "url": redis_server.url}},
        "routes": [{"to": [{"sink": "r", "stream": unique}]}],
        "dedup": {"max_entries": 2}}).wait_up()
    codes = [daemon.post_signed("all", BODY, webhook_id=f"msg_{n}").status
             for n in (1, 2, 3, 1, 2, 3)]
    assert codes == [200, 200, 503, 200, 200, 503]
    assert len(redis_server.entries(unique)) == 2


# --- several destinations -----------------------------------------------------

def test_one_of_two_is_down(hookbridge, kafka, own_redis, unique):
    """An event that cannot settle now is sent nowhere: no duplicates there."""
    kafka.create_topic(unique)
    daemon = hookbridge(redis_only(
        own_redis,
        sinks={"r": {"type": "redis", "url": own_redis.url},
               "k": {"type": "kafka", "brokers": kafka.address}},
        routes=[{"to": [{"sink": "k", "topic": unique},
                        {"sink": "r", "stream": "s"}]}])).wait_up()
    own_redis.stop()
    wait_lost(daemon, "r")
    for _ in range(3):
        assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 503
    assert kafka.messages(unique) == []
    own_redis.start()
    wait_until(lambda: daemon.post_signed(
        "all", BODY, webhook_id="msg_1").status == 200, 20, "a 200")
    assert len(kafka.messages(unique)) == 1
    assert len(own_redis.entries("s")) == 1


def test_one_of_two_does_not_answer(hookbridge, kafka, own_redis, unique):
    """503 although one has it; the retry brings the same id to both."""
    kafka.create_topic(unique)
    daemon = hookbridge(redis_only(
        own_redis,
        sinks={"r": {"type": "redis", "url": own_redis.url,
                     "timeout": "500ms"},
               "k": {"type": "kafka", "brokers": kafka.address}},
        routes=[{"to": [{"sink": "k", "topic": unique},
                        {"sink": "r", "stream": "s"}]}])).wait_up()
    own_redis.pause()
    assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 503
    own_redis.resume()
    wait_until(lambda: daemon.post_signed(
        "all", BODY, webhook_id="msg_1").status == 200, 30, "a 200")
    for messages in (
            [dict(m.headers()) for m in kafka.messages(unique, 1)],
            [of_redis(e).headers for e in own_redis.entries("s", 1)]):
        assert {m["ce_id"] for m in messages} == {b"msg_1"}


def test_a_dead_letter_does_not_hold_back_the_others(hookbridge, outlets):
    daemon = hookbridge(outlets.config(to=[
        outlets.to_redis(),
        {"sink": "kafka", "topic": "{metadata.t}", "topics": [outlets.name]}])
    ).wait_up()
    answer = daemon.post_signed(
        "all", {"job_id": "a", "metadata": {"t": "elsewhere"}})
    assert answer.status == 202
    assert answer.json()["outcome"] == "dead-lettered"
    assert len(outlets.redis_messages(1)) == 1
    letter = outlets.dead_letters("kafka", 1)[0]
    assert letter.headers["hb_reason"] == b"name-not-allowed"
    assert letter.headers["hb_destination"] == b"kafka:elsewhere"
    assert outlets.kafka_messages() == []


# --- dead letters -------------------------------------------------------------

@pytest.mark.parametrize("sink", ["kafka", "redis", "file"])
def test_dead_letters(hookbridge, outlets, sink):
    """The body as received, who it came from, and why."""
    daemon = hookbridge(outlets.config(
        dead=sink,
        routes=[{"when": {"status": "failed"},
                 "to": [outlets.to_kafka()]}])).wait_up()
    cases = [
        (b'{"job_id": not JSON \xc3\xa9\n}', "not-json", None),
        (b'[\r\n1]', "array", None),
        (b'{"status":"Failed"}', "no-job-id", None),
        (b'{"job_id":"a","job_id":"b"}', "repeated-member", None),
        (b'{ "job_id" : "job-7", "status":"Completed" }', "unrouted",
         b"job-7"),
    ]
    for n, (body, _, _) in enumerate(cases):
        answer = daemon.post_signed("all", body, webhook_id=f"msg_{n}")
        assert answer.status == 202, answer
        assert answer.json() == {"id": f"msg_{n}", "outcome": "dead-lettered"}
    letters = {m.headers["ce_id"]: m
               for m in outlets.dead_letters(sink, len(cases))}
    for n, (body, reason, job) in enumerate(cases):
        letter = letters[b"msg_%d" % n]
        assert letter.value == body
        headers = letter.headers
        assert headers["hb_reason"] == reason.encode()
        assert headers["hb_endpoint"] == b"all"
        assert headers["hb_webhook_id"] == b"msg_%d" % n
        assert headers["hb_received_at"] == headers["ce_time"]
        assert "hb_destination" not in headers
        if job is None:
            assert headers["ce_type"] == b"ai.reducto.webhook.unrecognized"
            assert headers["content-type"] != b"application/json"
        else:
            assert headers["ce_type"] == b"ai.reducto.job.completed"
            assert headers["ce_subject"] == job
        if sink == "kafka" and job is not None:
            assert letter.key == job
    # A repetition of one is answered and not written again.
    assert daemon.post_signed("all", cases[0][0], webhook_id="msg_0").json() \
        == {"id": "msg_0", "outcome": "duplicate"}
    assert len(outlets.dead_letters(sink, len(cases))) == len(cases)
    assert daemon.terminate() == 0
    assert daemon.metric("dead_letters_total") == len(cases)
    assert daemon.metric("dead_letters_total", reason="unrouted") == 1


def test_another_body_under_the_same_identity(hookbridge, outlets):
    """In direct mode the identity is not signed: what differs is kept."""
    daemon = hookbridge(outlets.config({"direct": {
        "path": "/direct", "mode": "direct",
        "token": {"in": "bearer", "secret": "file:token"}}}),
        files={"token": "a-token-that-is-long-enough\n"}).wait_up()
    headers = {"Authorization": "Bearer a-token-that-is-long-enough"}
    first = {"job_id": "a", "status": "Completed", "metadata": {"n": 1}}
    other = {"job_id": "a", "status": "completed", "metadata": {"n": 2}}
    assert daemon.post("/direct", first, headers).json()["outcome"] == \
        "confirmed"
    assert daemon.post("/direct", first, headers).json()["outcome"] == \
        "duplicate"
    assert daemon.post("/direct", other, headers).json()["outcome"] == \
        "dead-lettered"
    outlets.messages(1)
    letter = outlets.dead_letters("kafka", 1)[0]
    assert json.loads(letter.value) == other
    assert letter.headers["hb_reason"] == b"conflict"


def test_dead_letters_are_down(hookbridge, own_redis, outlets):
    """What cannot even become a dead letter is not accepted."""
    config = outlets.config()
    config["sinks"]["own"] = {"type": "redis", "url": own_redis.url}
    config["dead_letter"] = {"sink": "own", "stream": "dead"}
    daemon = hookbridge(config).wait_up()
    own_redis.stop()
    wait_lost(daemon, "own")
    assert daemon.post_signed("all", b"no JSON").status == 503
    assert daemon.post_signed("all", BODY).status == 200
    own_redis.start()
    wait_until(lambda: daemon.post_signed(
        "all", b"no JSON", webhook_id="msg_1").status == 202, 20, "a 202")
    assert len(own_redis.entries("dead")) == 1


# --- signals ------------------------------------------------------------------

def test_sighup_reopens_files(hookbridge, tmp_path):
    path = tmp_path / "events.ndjson"
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"f": {"type": "file", "path": str(path)}},
        "routes": [{"to": [{"sink": "f"}]}]})
    assert daemon.post_signed("all", BODY, webhook_id="one").status == 200
    os.rename(path, tmp_path / "old")
    assert daemon.post_signed("all", BODY, webhook_id="two").status == 200
    daemon.signal(signal.SIGHUP)
    wait_until(path.exists, 10, "the new file")
    assert daemon.post_signed("all", BODY, webhook_id="three").status == 200

    def ids(name):
        return [json.loads(line)["webhook_id"]
                for line in file_lines(tmp_path / name)]
    assert ids("old") == ["one", "two"]
    assert ids("events.ndjson") == ["three"]
    # It says that it did not read the configuration again.
    daemon.wait_log("config.rejected")


@pytest.mark.threads
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_drain_under_load(hookbridge, outlets, stop):
    """What was answered with 2xx until the end is everywhere; exit code 0."""
    daemon = hookbridge(outlets.config()).wait_up()
    load = Load(daemon, "all", scaled(8000), retry=False).start()
    load.wait_acknowledged(scaled(2000))
    daemon.signal(stop)
    assert daemon.popen.wait(30) == 0
    load.stop()
    load.join()
    assert load.codes[503] == 0, load.codes
    for messages in (outlets.kafka_messages(), outlets.redis_messages()):
        ids, twice = ids_of(messages)
        assert set(load.acknowledged) <= ids
        assert twice == 0
    lines = {json.loads(m.value)["webhook_id"]
             for m in outlets.file_messages()}
    assert set(load.acknowledged) <= lines
    assert daemon.metric("http_requests_total", code="200") >= \
        len(load.acknowledged)


@pytest.mark.threads
def test_a_second_signal_is_an_end_at_once(hookbridge, own_redis):
    """Still nothing is acknowledged that was not confirmed."""
    daemon = hookbridge(redis_only(own_redis, delivery={
        "ack_timeout": "20s", "hard_timeout": "30s"})).wait_up()
    own_redis.pause()
    with daemon.connect() as connection:
        connection.send(request_bytes(
            "POST", "/all", BODY, daemon.signed_headers("all", BODY)))
        time.sleep(0.3)  # it is in: nothing tells
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("daemon.drain")
        daemon.signal(signal.SIGTERM)
        daemon.expected_exit = 1
        assert daemon.popen.wait(10) == 1
        with pytest.raises(OSError):
            connection.read_answer()


# --- the books ----------------------------------------------------------------

@pytest.mark.threads
def test_the_books_balance(hookbridge, outlets, own_redis):
    """Every request received is one answer, every 2xx one event outcome, every
    delivery one end."""
    config = outlets.config()
    config["sinks"]["own"] = {"type": "redis", "url": own_redis.url}
    config["routes"] = [
        {"when": {"metadata.to": "own"},
         "to": [{"sink": "own", "stream": "s"}]},
        {"when": {"metadata.to": "name"},
         "to": [{"sink": "kafka", "topic": "{metadata.t}",
                 "topics": [outlets.name]}]},
        {"when": {"metadata.n": {"exists": True}}, "to": outlets.to_all()}]
    daemon = hookbridge(config).wait_up()
    sent = 0

    def expect(code, answer):
        nonlocal sent
        sent += 1
        assert answer.status == code, answer
    load = Load(daemon, "all", 400, senders=16, retry=False).start()
    load.join()
    assert load.codes == {200: 400}
    sent += 400
    for webhook_id in ("m-1", "m-2", "m-3"):
        expect(200, daemon.post_signed(
            "all", b'{"job_id":"x"}', webhook_id=webhook_id))
    expect(202, daemon.post_signed("all", b"no JSON"))
    expect(202, daemon.post_signed("all", {"job_id": "unrouted"}))
    expect(202, daemon.post_signed(
        "all", {"job_id": "a", "metadata": {"to": "name", "t": "x"}}))
    expect(401, daemon.post("/all", BODY))
    expect(404, daemon.post("/nowhere", BODY))
    expect(415, daemon.post("/all", BODY, {"Content-Type": "text/plain"}))
    for head, code in ((b"GET /all HTTP/1.1\r\nHost: a\r\n\r\n", 405),
                       (b"BAD\r\n\r\n", 400)):
        with daemon.connect() as connection:
            connection.send(head)
            expect(code, connection.read_answer())
    own_redis.stop()
    wait_lost(daemon, "own")
    expect(503, daemon.post_signed(
        "all", {"job_id": "a", "metadata": {"to": "own"}}))
    assert daemon.terminate() == 0

    requests = daemon.metric("http_requests_total")
    assert requests == sent
    by_code = {code: daemon.metric("http_requests_total", code=str(code))
               for code in (200, 202, 400, 401, 404, 405, 415, 503)}
    assert by_code == {200: 403, 202: 3, 400: 1, 401: 1, 404: 1, 405: 1,
                       415: 1, 503: 1}
    events = {o: daemon.metric("events_total", outcome=o)
              for o in ("confirmed", "dead_lettered", "duplicate")}
    assert events == {"confirmed": 400, "dead_lettered": 3, "duplicate": 3}
    assert requests == sum(events.values()) + sum(
        n for code, n in by_code.items() if code >= 400)
    deliveries = {o: daemon.metric("deliveries_total", outcome=o)
                  for o in ("confirmed", "dead_lettered", "failed")}
    # Three for each event, and the dead letters.
    assert deliveries["confirmed"] == 3 * 400 + 3
    assert deliveries["failed"] == 0
    for gauge in ("deliveries_pending", "events_in_flight",
                  "memory_used_bytes", "http_connections"):
        assert daemon.metric(gauge) == 0, gauge
    assert daemon.metric("verify_success_total") == 400 + 3 + 3 + 1
    assert daemon.metric("dedup_entries") == 403
