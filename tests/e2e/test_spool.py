# SPDX-License-Identifier: Apache-2.0
"""What is acknowledged while a destination is away: kept on disk, delivered
when it is back, once, in order, and nothing of it lost by a restart."""

import re
import subprocess
import time

import pytest

from cut_proxy import CutProxy
from events import of_kafka, of_redis
from hookbridge import SANITIZED
from load import Load, ids_of, scaled
from process import wait_until

pytestmark = pytest.mark.timeout(300)

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def config(sinks, to, spool=None, **rest):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": sinks, "routes": [{"to": to}],
            "log": {"access": "debug"}, "spool": spool or {}, **rest}


def redis_config(server, **rest):
    return config({"r": {"type": "redis", "url": server.url}},
                  [{"sink": "r", "stream": "s"}], **rest)


def kafka_config(broker, topic, **rest):
    sink = {"type": "kafka", "brokers": broker.address}
    sink.update(rest.pop("sink", {}))
    return config({"k": sink}, [{"sink": "k", "topic": topic}], **rest)


def wait_down(daemon, sink):
    wait_until(lambda: any(s["health"] == "down" for s in
                           daemon.status()["sinks"] if s["name"] == sink),
               20, f"{sink} down")


def post(daemon, number, outcome, code):
    body = b'{"status":"Completed","job_id":"job-%d"}' % number
    answer = daemon.post_signed("all", body, webhook_id=f"msg_{number}")
    assert (answer.status, answer.json()) == (
        code, {"id": f"msg_{number}", "outcome": outcome})


def ids_in_order(entries):
    return [of_redis(e).headers["ce_id"].decode() for e in entries]


def wanted(count):
    return [f"msg_{n}" for n in range(count)]


# --- a sink that is down ------------------------------------------------------

@pytest.mark.threads
def test_spooled_while_redis_is_down(hookbridge, own_redis):
    daemon = hookbridge(redis_config(own_redis)).wait_up()
    own_redis.stop()
    wait_down(daemon, "r")
    for n in range(50):
        post(daemon, n, "spooled", 202)
    # Settled is settled: a repetition is a duplicate, delivered or not.
    post(daemon, 7, "duplicate", 200)
    status = daemon.status()
    assert status["spool"]["records"] == 50
    assert status["sinks"][0]["destinations"][0]["spooled"] == 50
    own_redis.start()
    daemon.wait_drained()
    assert ids_in_order(own_redis.entries("s")) == wanted(50)
    # Each worker's connection comes back by itself.
    wait_until(lambda: daemon.post_signed("all", BODY).status == 200, 20,
               "a confirmation")


def test_a_backlog_survives_a_restart(hookbridge, own_redis):
    daemon = hookbridge(redis_config(own_redis)).wait_up()
    own_redis.stop()
    wait_down(daemon, "r")
    for n in range(20):
        post(daemon, n, "spooled", 202)
    daemon.restart()
    wait_down(daemon, "r")
    assert daemon.status()["spool"]["records"] == 20
    assert daemon.log_contains("spool.recovered")
    for n in range(20, 30):
        post(daemon, n, "spooled", 202)
    daemon.kill9()
    own_redis.start()
    daemon.start()
    daemon.wait_drained()
    assert ids_in_order(own_redis.entries("s")) == wanted(30)


def test_down_from_the_start(hookbridge, kafka, own_redis, unique):
    """What is never reachable costs nobody else anything."""
    kafka.create_topic(unique)
    own_redis.stop()
    daemon = hookbridge(config(
        {"k": {"type": "kafka", "brokers": kafka.address},
         "r": {"type": "redis", "url": own_redis.url}},
        [{"sink": "k", "topic": unique}, {"sink": "r", "stream": "s"}]))
    daemon.wait_log("destination.up", sink="k", dst=unique)
    post(daemon, 0, "spooled", 202)
    assert len(kafka.messages(unique, 1)) == 1
    own_redis.start()
    daemon.wait_drained()
    assert ids_in_order(own_redis.entries("s")) == wanted(1)


# --- a sink that is slow ------------------------------------------------------

@pytest.mark.threads
def test_a_silent_redis(hookbridge, own_redis):
    """At its deadline the delivery is kept; the late reply settles it, so that
    it is not delivered again."""
    daemon = hookbridge(redis_config(
        own_redis, delivery={"ack_timeout": "1s"})).wait_up()
    own_redis.pause()
    begun = time.monotonic()
    post(daemon, 0, "spooled", 202)
    assert 0.9 < time.monotonic() - begun < 4
    own_redis.resume()
    daemon.wait_drained()
    post(daemon, 1, "confirmed", 200)
    assert ids_in_order(own_redis.entries("s")) == wanted(2)


def test_redis_is_silent_under_load(hookbridge, own_redis):
    daemon = hookbridge(redis_config(own_redis)).wait_up()
    load = Load(daemon, "all", scaled(6000)).start()
    load.wait_acknowledged(scaled(6000) // 4)
    own_redis.pause()
    wait_until(lambda: "spooled" in load.acknowledged.values(), 30,
               "an event that is kept")
    own_redis.resume()
    load.join()
    daemon.wait_drained()
    check(load, map(of_redis, own_redis.entries("s")))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_connection_is_cut(hookbridge, own_redis, moment):
    """Before or after the reply has left the server: the event is kept, and
    comes again only if nobody can know that it was written."""
    with CutProxy(own_redis.port) as proxy:
        daemon = hookbridge(config(
            {"r": {"type": "redis", "url": f"redis://127.0.0.1:{proxy.port}"}},
            [{"sink": "r", "stream": "s", "idempotent": "1h"}])).wait_up()
        proxy.cut_next(moment)
        post(daemon, 0, "spooled", 202)
        daemon.wait_drained()
    assert ids_in_order(own_redis.entries("s")) == wanted(1)


# --- Kafka --------------------------------------------------------------------

def check(load, messages, most_twice=None):
    ids, twice = ids_of(messages)
    lost = set(load.acknowledged) - ids
    assert not lost, f"{len(lost)} of {len(load.acknowledged)} lost"
    assert len(load.acknowledged) == load.count
    assert twice <= (load.count / 10 if most_twice is None else most_twice)


@pytest.mark.threads
def test_kafka_is_away_for_long(hookbridge, own_kafka, unique):
    """Longer than the producer waits. Nobody is refused, everybody is answered
    in time, and all is there in the end."""
    own_kafka.create_topic(unique, partitions=3)
    daemon = hookbridge(kafka_config(own_kafka, unique)).wait_up()
    load = Load(daemon, "all", scaled(12000), senders=16).start()
    load.wait_acknowledged(scaled(12000) // 4)
    own_kafka.kill()
    load.join()
    assert load.codes[503] == 0
    assert load.slowest < 5 or SANITIZED
    assert "spooled" in load.acknowledged.values()
    time.sleep(2)  # it stays away a little longer
    own_kafka.start()
    daemon.wait_drained()
    check(load, map(of_kafka, own_kafka.messages(unique, timeout=60)))


def test_a_fatal_error(hookbridge, kafka_mock):
    """The producer is done for; what it had is kept until there is another."""
    kafka_mock.obey("topic t 1")
    daemon = hookbridge(kafka_config(kafka_mock, "t")).wait_up()
    # The simulated cluster keeps some megabytes only.
    load = Load(daemon, "all", scaled(2000)).start()
    load.wait_acknowledged(scaled(2000) // 4)
    kafka_mock.obey("fail 0 OUT_OF_ORDER_SEQUENCE_NUMBER 1")
    load.join()
    daemon.wait_drained()
    check(load, map(of_kafka, kafka_mock.messages("t", timeout=60)))


def test_a_topic_that_comes_later(hookbridge, kafka, unique):
    kafka.create_topic(unique)
    late = unique + "-late"
    daemon = hookbridge(config(
        {"k": {"type": "kafka", "brokers": kafka.address}},
        [{"sink": "k", "topic": unique}, {"sink": "k", "topic": late}]))
    daemon.wait_log("destination.up", sink="k", dst=unique)
    post(daemon, 0, "spooled", 202)
    kafka.create_topic(late)
    daemon.wait_drained()
    assert len(kafka.messages(unique, 1)) == 1
    assert len(kafka.messages(late, 1)) == 1


# --- ack: spooled -------------------------------------------------------------

@pytest.mark.threads
def test_spool_first(hookbridge, redis_server, unique):
    daemon = hookbridge(config(
        {"r": {"type": "redis", "url": redis_server.url}},
        [{"sink": "r", "stream": unique}],
        delivery={"ack": "spooled"})).wait_up()
    load = Load(daemon, "all", scaled(5000)).start()
    load.join()
    assert set(load.acknowledged.values()) == {"spooled"}
    daemon.wait_drained()
    check(load, map(of_redis, redis_server.entries(unique)), most_twice=0)


def test_spool_first_for_one_endpoint(hookbridge, redis_server, unique):
    daemon = hookbridge({
        **config({"r": {"type": "redis", "url": redis_server.url}},
                 [{"sink": "r", "stream": unique}]),
        "endpoints": {
            "all": {"path": "/all", "mode": "svix"},
            "first": {"path": "/first", "mode": "svix", "ack": "spooled"}},
    }).wait_up()
    assert daemon.post_signed("all", BODY).json()["outcome"] == "confirmed"
    assert daemon.post_signed("first", BODY).json()["outcome"] == "spooled"
    assert len(redis_server.entries(unique, 2)) == 2


# --- order --------------------------------------------------------------------

def test_ordered(hookbridge, own_kafka, unique):
    """With `ordered`, what came before stays before, whatever happens between:
    nothing overtakes what is kept."""
    own_kafka.create_topic(unique)
    daemon = hookbridge(kafka_config(
        own_kafka, unique, sink={"ordered": True})).wait_up()
    count = 0
    for _ in range(2):
        for _ in range(5):
            post(daemon, count, "confirmed", 200)
            count += 1
        own_kafka.kill()
        wait_down(daemon, "k")
        for _ in range(5):
            post(daemon, count, "spooled", 202)
            count += 1
        own_kafka.start()
        # Some while it comes back, and is behind.
        while daemon.status()["spool"]["records"] > 0:
            answer = daemon.post_signed(
                "all", b'{"job_id":"job-%d"}' % count,
                webhook_id=f"msg_{count}")
            assert answer.status in (200, 202)
            count += 1
    daemon.wait_drained()
    found = [of_kafka(m).headers["ce_id"].decode()
             for m in own_kafka.messages(unique, count)]
    once = list(dict.fromkeys(found))  # a repetition may come, never a jump
    assert once == wanted(count)


# --- bounds -------------------------------------------------------------------

SMALL = {"max_size": "8MiB", "segment_size": "256KiB"}
SMALL_ENDPOINT = {"path": "/all", "mode": "svix", "body_size": "64KiB"}


def test_a_full_spool(hookbridge, own_redis):
    """Refused before anything is sent, and taken again when there is room."""
    daemon = hookbridge({
        **redis_config(own_redis, spool=SMALL, dedup={"max_entries": 100000}),
        "endpoints": {"all": SMALL_ENDPOINT}}).wait_up()
    own_redis.stop()
    wait_down(daemon, "r")
    filler = b'{"job_id":"f","result":"%s"}' % (b"x" * 30000)
    kept = 0
    while (answer := daemon.post_signed("all", filler)).status == 202:
        kept += 1
        assert kept < 400
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert kept > 50
    status = daemon.status()
    assert status["spool"]["disk_bytes"] <= 8 << 20
    assert daemon.admin("GET", "/readyz")[0] == 503
    own_redis.start()
    daemon.wait_drained()
    assert len(own_redis.entries("s")) == kept
    assert daemon.post_signed("all", filler).status == 200
    wait_until(lambda: daemon.admin("GET", "/readyz")[0] == 200, 20,
               "readiness")


def test_a_broken_sink_leaves_the_others_their_share(hookbridge, redis_server,
                                                     own_redis, unique):
    daemon = hookbridge({
        **config({"a": {"type": "redis", "url": own_redis.url},
                  "b": {"type": "redis", "url": redis_server.url}},
                 [], spool=SMALL),
        "log": {"access": "info"},
        "endpoints": {"all": {**SMALL_ENDPOINT,
                              "channels": ["{metadata.to}"],
                              "channel_values": ["a", "b"]}},
        "routes": [
            {"when": {"channel": "a"}, "to": {"sink": "a", "stream": "s"}},
            {"when": {"channel": "b"}, "to": {"sink": "b", "stream": unique}}],
    }).wait_up()
    own_redis.stop()
    wait_down(daemon, "a")

    def body(to):
        return b'{"job_id":"f","metadata":{"to":"%s"},"result":"%s"}' % (
            to, b"x" * 30000)

    def fill():
        return daemon.post_signed("all", body(b"a")).status
    wait_until(lambda: fill() == 503, 60, "the end of its share")
    spool = daemon.status()["spool"]
    assert spool["bytes"] < spool["max_size"] * 0.6
    assert daemon.post_signed("all", body(b"b")).status == 200
    assert daemon.log_records("request.done", outcome="sink-share")
    own_redis.start()
    daemon.wait_drained()


# --- what is configured no longer ---------------------------------------------

def what_waits(daemon):
    """What is said of it where the configuration is tested only."""
    result = subprocess.run(
        [daemon.program, "-t", "-c", daemon.config_path],
        capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    first, *rest = result.stdout.splitlines()
    assert first.endswith("the configuration is valid")
    return rest


def test_orphans(hookbridge, own_redis, redis_server, unique):
    daemon = hookbridge(redis_config(own_redis)).wait_up()
    own_redis.stop()
    wait_down(daemon, "r")
    for n in range(3):
        post(daemon, n, "spooled", 202)
    assert what_waits(daemon) == []
    assert daemon.terminate() == 0
    assert what_waits(daemon) == []
    daemon.configure(config({"other": {"type": "redis",
                                       "url": redis_server.url}},
                            [{"sink": "other", "stream": "s"},
                             {"sink": "other", "stream": unique}]))
    orphans = [
        f"warning: 3 deliveries of all to r:s (redis) wait in "
        f"{daemon.spool_path('deliveries')}, and this configuration has no "
        "such destination",
        "    add it again, or: hookbridgectl spool reroute r --to SINK"]
    assert what_waits(daemon) == orphans
    daemon.start().wait_up()
    assert daemon.log_contains("delivery.orphaned", sink="r")
    assert what_waits(daemon) == orphans
    assert daemon.status()["spool"]["orphaned"] == 3
    assert daemon.metric("spool_orphaned_records") == 3
    code, answer = daemon.admin("POST", "/api/v1/spool/reroute",
                                {"sink": "r", "to": "other"})
    assert (code, answer["moved"], answer["left"]) == (200, 3, 0), answer
    daemon.wait_drained()
    found = ids_in_order(redis_server.entries("s"))
    assert [i for i in found if i in wanted(3)] == wanted(3)
    assert daemon.terminate() == 0
    assert what_waits(daemon) == []


# --- the books ----------------------------------------------------------------

def test_the_books_balance(hookbridge, own_redis, redis_server, unique):
    """At every moment when nothing moves."""
    daemon = hookbridge(config(
        {"r": {"type": "redis", "url": own_redis.url},
         "q": {"type": "redis", "url": redis_server.url}},
        [{"sink": "r", "stream": "s"}, {"sink": "q", "stream": unique}],
    )).wait_up()
    created = 0
    for n in range(3):
        post(daemon, n, "confirmed", 200)
        created += 2
    assert_balance(daemon, created)
    own_redis.stop()
    wait_down(daemon, "r")
    for n in range(3, 7):
        post(daemon, n, "spooled", 202)
        created += 2
    post(daemon, 3, "duplicate", 200)
    assert daemon.post_signed("all", b"[]").json()["outcome"] == \
        "dead-lettered"
    assert_balance(daemon, created)
    recovered = 4
    assert daemon.terminate() == 0
    daemon.start()
    wait_down(daemon, "r")
    assert_balance(daemon, recovered)
    own_redis.start()
    daemon.wait_drained()
    assert_balance(daemon, recovered)
    assert daemon.metric("spool_replayed_total") == recovered


def assert_balance(daemon, begun):
    def balance():
        m = daemon.metrics()

        def total(family, **labels):
            return sum(v for k, v in m.items()
                       if re.match(rf"{family}(\{{|$)", k) and all(
                           f'{a}="{b}"' in k for a, b in labels.items()))
        requests = total("http_requests_total")
        answered = total("events_total") + sum(
            total("http_requests_total", code=c)
            for c in (400, 401, 404, 405, 408, 411, 413, 414, 415, 417, 431,
                      499, 500, 501, 503, 505))
        ended = sum(total("deliveries_total", outcome=o) for o in
                    ("confirmed", "dead_lettered", "dropped", "failed"))
        return (requests - answered, begun - ended - total("spool_records") -
                total("deliveries_pending"), total("events_in_flight"))
    wait_until(lambda: balance() == (0, 0, 0), 20, "balanced books")
