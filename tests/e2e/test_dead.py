# SPDX-License-Identifier: Apache-2.0
"""What cannot be delivered: set aside on disk with its reason, looked at, sent
again once the reason is gone, or dropped. And what outlives a restart besides:
which webhooks were settled, and bodies that were published by reference."""

import hashlib
import json

import pytest

from events import of_kafka, of_redis
from process import wait_until

pytestmark = pytest.mark.timeout(300)


def config(redis, stream, **rest):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": redis.url}},
            "routes": [{"when": {"status": "completed"},
                        "to": [{"sink": "r", "stream": stream}]}],
            "spool": {}, **rest}


def body(number, status="Completed"):
    return b'{"status":"%s","job_id":"job-%d"}' % (status.encode(), number)


def letters(daemon, query=""):
    code, answer = daemon.admin("GET", f"/api/v1/dead{query}")
    assert code == 200, answer
    return answer["dead"]


def ids_of(entries):
    return [of_redis(e).headers["ce_id"].decode() for e in entries]


# --- dead letters -------------------------------------------------------------

@pytest.mark.threads
def test_set_aside_with_everything(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    for number, (text, reason) in enumerate((
            (body(1, "Failed"), "unrouted"), (b"[]", "array"),
            (b"{", "not-json"), (b"{}", "no-job-id"))):
        answer = daemon.post_signed("all", text, webhook_id=f"msg_{number}")
        assert answer.status == 202
        assert answer.json()["outcome"] == "dead-lettered"
        letter = letters(daemon)[-1]
        assert (letter["reason"], letter["endpoint"], letter["event_id"]) == (
            reason, "all", f"msg_{number}")
        code, whole = daemon.admin("GET", f"/api/v1/dead/{letter['id']}")
        assert (code, whole["body"].encode()) == (200, text)
        assert whole["webhook_id"] == f"msg_{number}"
    # Settled is settled.
    again = daemon.post_signed("all", b"[]", webhook_id="msg_1")
    assert again.json()["outcome"] == "duplicate"
    before = letters(daemon)
    daemon.kill9()
    daemon.start()
    assert letters(daemon) == before
    assert daemon.metric("dead_letters", reason="unrouted") == 1
    assert len(redis_server.entries(unique)) == 0


def test_retry_by_todays_routes(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    answer = daemon.post_signed("all", body(1, "Failed"), webhook_id="msg_1")
    assert answer.json()["outcome"] == "dead-lettered"
    letter = letters(daemon)[0]
    # Nothing has changed: it is a dead letter again, a new one.
    code, answer = daemon.admin("POST", f"/api/v1/dead/{letter['id']}/retry")
    assert (code, answer) == (200, {"outcome": "dead-lettered"})
    fresh = letters(daemon)
    assert len(fresh) == 1 and fresh[0]["id"] > letter["id"]
    assert daemon.terminate() == 0
    changed = config(redis_server, unique)
    del changed["routes"][0]["when"]
    daemon.configure(changed)
    daemon.start().wait_up()
    code, answer = daemon.admin("POST",
                                f"/api/v1/dead/{fresh[0]['id']}/retry")
    assert (code, answer) == (200, {"outcome": "confirmed"})
    assert letters(daemon) == []
    message = of_redis(redis_server.entries(unique, 1)[0])
    assert message.headers["ce_id"] == b"msg_1"
    assert json.loads(message.value)["job_id"] == "job-1"
    # It was settled before, and is.
    again = daemon.post_signed("all", body(1, "Failed"), webhook_id="msg_1")
    assert again.json()["outcome"] == "duplicate"


def test_drop_and_filters(hookbridge, redis_server, unique):
    two = config(redis_server, unique)
    two["endpoints"]["other"] = {"path": "/other", "mode": "svix"}
    daemon = hookbridge(two).wait_up()
    for number in range(4):
        daemon.post_signed("all", body(number, "Failed"))
        daemon.post_signed("other", b"[]")
    assert len(letters(daemon)) == 8
    assert len(letters(daemon, "?endpoint=all")) == 4
    assert len(letters(daemon, "?reason=array")) == 4
    page = letters(daemon, "?limit=3")
    rest = letters(daemon, f"?after={page[-1]['id']}")
    assert [d["id"] for d in page + rest] == sorted(
        d["id"] for d in letters(daemon))
    for letter in letters(daemon, "?endpoint=all"):
        code, answer = daemon.admin("POST",
                                    f"/api/v1/dead/{letter['id']}/drop")
        assert (code, answer) == (200, {"dropped": True})
    assert {d["endpoint"] for d in letters(daemon)} == {"other"}
    assert daemon.admin("POST", "/api/v1/dead/999999/drop")[0] == 404


def test_refused_by_the_broker(hookbridge, kafka, redis_server, unique):
    """One destination refuses for good: its dead letter names it, and a retry
    goes there only."""
    kafka.create_topic(unique, max_message_bytes=20000)
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"k": {"type": "kafka", "brokers": kafka.address},
                  "r": {"type": "redis", "url": redis_server.url}},
        "routes": [{"to": [{"sink": "k", "topic": unique},
                           {"sink": "r", "stream": unique}]}],
        "spool": {}}).wait_up()
    large = b'{"job_id":"j","result":"%s"}' % (b"x" * 50000)
    answer = daemon.post_signed("all", large, webhook_id="msg_1")
    assert (answer.status, answer.json()["outcome"]) == (202, "dead-lettered")
    letter, = letters(daemon)
    assert letter["destination"] == f"k:{unique}"
    kafka.alter_topic(unique, max_message_bytes=200000)
    code, answer = daemon.admin("POST", f"/api/v1/dead/{letter['id']}/retry")
    assert (code, answer) == (200, {"outcome": "confirmed"})
    assert of_kafka(kafka.messages(unique, 1)[0]).headers["ce_id"] == b"msg_1"
    assert len(redis_server.entries(unique)) == 1


def test_a_copy_at_a_destination(hookbridge, redis_server, own_redis, unique):
    """Confirmed there, it need not stay here; while that is away, it does."""
    daemon = hookbridge(config(
        redis_server, unique,
        sinks={"r": {"type": "redis", "url": redis_server.url},
               "d": {"type": "redis", "url": own_redis.url}},
        dead_letter={"sink": "d", "stream": "dead"})).wait_up()
    assert daemon.post_signed("all", b"[]").json()["outcome"] == \
        "dead-lettered"
    assert len(own_redis.entries("dead", 1)) == 1
    wait_until(lambda: letters(daemon) == [], 20, "no dead letters on disk")
    own_redis.stop()
    wait_until(lambda: any(s["health"] == "down"
                           for s in daemon.status()["sinks"]), 20, "a loss")
    assert daemon.post_signed("all", b"[]").json()["outcome"] == \
        "dead-lettered"
    assert len(letters(daemon)) == 1


# --- dedup --------------------------------------------------------------------

@pytest.mark.threads
def test_settled_webhooks_are_remembered(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    for number in range(20):
        assert daemon.post_signed(
            "all", body(number), webhook_id=f"msg_{number}").status == 200
    assert daemon.terminate() == 0
    daemon.start().wait_up()
    for number in range(20):
        answer = daemon.post_signed("all", body(number),
                                    webhook_id=f"msg_{number}")
        assert answer.json()["outcome"] == "duplicate"
    assert len(redis_server.entries(unique)) == 20
    # A death forgets no more than the last moments.
    daemon.post_signed("all", body(20), webhook_id="msg_20")
    wait_until(lambda: daemon.status()["dedup"]["bytes"] > 0, 20, "a journal")
    daemon.kill9()
    daemon.start().wait_up()
    assert daemon.post_signed(
        "all", body(3), webhook_id="msg_3").json()["outcome"] == "duplicate"


def test_forget(hookbridge, redis_server, unique):
    """For a deliberate repetition; with the idempotent script, Redis forgets
    too. Not forgotten by mistake after a restart: it stays so."""
    daemon = hookbridge(config(
        redis_server, unique,
        routes=[{"to": [{"sink": "r", "stream": unique,
                         "idempotent": "1h"}]}])).wait_up()

    def post():
        return daemon.post_signed(
            "all", body(1), webhook_id="msg_1").json()["outcome"]

    def forget(webhook_id):
        code, answer = daemon.admin("POST", "/api/v1/dedup/forget",
                                    {"endpoint": "all", "id": webhook_id})
        assert code == 200, answer
        return answer["forgotten"]
    assert post() == "confirmed"
    assert post() == "duplicate"
    assert not forget("msg_2")
    assert forget("msg_1")
    wait_until(lambda: not list(redis_server.client().scan_iter(
        f"hb:dedup:*{unique}*")), 20, "that Redis forgets")
    assert daemon.terminate() == 0
    daemon.start().wait_up()
    assert post() == "confirmed"
    assert len(redis_server.entries(unique)) == 2


# --- claim checks -------------------------------------------------------------

@pytest.mark.threads
def test_published_by_reference(hookbridge, kafka, unique):
    kafka.create_topic(unique)
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"k": {"type": "kafka", "brokers": kafka.address,
                        "properties": {"message.max.bytes": "20000"}}},
        "routes": [{"to": [{"sink": "k", "topic": unique,
                            "oversize": "claim-check"}]}],
        "spool": {}}).wait_up()
    large = b'{"job_id":"j","metadata":{"a":1.50},"result":"%s"}' % (
        b"x" * 100000)
    answer = daemon.post_signed("all", large)
    assert (answer.status, answer.json()["outcome"]) == (200, "confirmed")
    digest = hashlib.sha256(large).hexdigest()
    message = of_kafka(kafka.messages(unique, 1)[0])
    urn = f"urn:hookbridge:claim:{digest}"
    assert message.headers["ce_dataref"].decode() == urn
    value = json.loads(message.value)
    assert "result" not in value
    assert (value["dataref"], value["dataref_size"],
            value["dataref_sha256"]) == (urn, len(large), digest)
    assert b'"metadata":{"a":1.50}' in message.value
    daemon.restart()
    code, claims = daemon.admin("GET", "/api/v1/claims")
    assert [c["digest"] for c in claims["claims"]] == [digest]
    code, text = daemon.admin("GET", f"/api/v1/claims/{digest}")
    assert (code, text.encode()) == (200, large)
    # A small one goes as it is.
    assert daemon.post_signed("all", body(1)).json()["outcome"] == "confirmed"
    assert "ce_dataref" not in of_kafka(kafka.messages(unique, 2)[1]).headers


def test_no_room_for_the_body(hookbridge, kafka, unique):
    """A dead letter, which keeps the body too; claims that were acknowledged
    stay."""
    kafka.create_topic(unique)
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"k": {"type": "kafka", "brokers": kafka.address,
                        "properties": {"message.max.bytes": "20000"}}},
        "routes": [{"to": [{"sink": "k", "topic": unique,
                            "oversize": "claim-check"}]}],
        "claims": {"max_size": "1MiB"}, "spool": {}}).wait_up()
    outcomes = []
    for number in range(4):
        large = b'{"job_id":"j%d","result":"%s"}' % (number, b"x" * 400000)
        outcomes.append(daemon.post_signed("all", large).json()["outcome"])
    assert outcomes == ["confirmed", "confirmed", "dead-lettered",
                        "dead-lettered"]
    assert {d["reason"] for d in letters(daemon)} == {"claims-full"}
    assert len(daemon.admin("GET", "/api/v1/claims")[1]["claims"]) == 2
