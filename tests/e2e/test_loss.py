# SPDX-License-Identifier: Apache-2.0
"""Nothing that was acknowledged is lost, whoever dies under load: the broker,
the Redis server, the daemon itself. Senders repeat what was not acknowledged,
as Svix does."""

import json

import pytest

from events import file_lines, of_kafka, of_redis
from load import Load, ids_of, scaled

pytestmark = [pytest.mark.threads, pytest.mark.timeout(300)]

COUNT = scaled(20000)


def config(sinks, to):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": sinks, "routes": [{"to": to}],
            "log": {"access": "debug"}}


def check(load, messages):
    """All ids were acknowledged in the end, and all are there."""
    ids, twice = ids_of(messages)
    acknowledged = set(load.acknowledged)
    assert len(acknowledged) == load.count
    lost = acknowledged - ids
    assert not lost, f"{len(lost)} of {load.count} lost: {sorted(lost)[:20]}"
    assert ids <= acknowledged
    # The window of what is unknown is small: what is under way at a time.
    assert twice < load.count / 10, f"{twice} came more than once"


def test_kafka_dies(hookbridge, own_kafka, unique):
    own_kafka.create_topic(unique, partitions=3)
    daemon = hookbridge(config(
        {"k": {"type": "kafka", "brokers": own_kafka.address}},
        [{"sink": "k", "topic": unique}])).wait_up()
    load = Load(daemon, "all", COUNT).start()
    load.wait_acknowledged(COUNT // 4)
    own_kafka.kill()
    daemon.wait_log("sink.down", sink="k")
    own_kafka.start()
    load.join()
    assert load.codes[503] > 0
    check(load, map(of_kafka, own_kafka.messages(unique, timeout=60)))


def test_redis_dies(hookbridge, own_redis):
    daemon = hookbridge(config(
        {"r": {"type": "redis", "url": own_redis.url}},
        [{"sink": "r", "stream": "s"}])).wait_up()
    load = Load(daemon, "all", COUNT).start()
    for quarter in (1, 2, 3):
        load.wait_acknowledged(quarter * COUNT // 4)
        own_redis.kill()
        own_redis.start()
    load.join()
    assert load.codes[503] > 0
    check(load, map(of_redis, own_redis.entries("s")))


def test_redis_dies_idempotently(hookbridge, own_redis):
    """With the script, not even one comes twice."""
    daemon = hookbridge(config(
        {"r": {"type": "redis", "url": own_redis.url}},
        [{"sink": "r", "stream": "s", "idempotent": "1h"}])).wait_up()
    load = Load(daemon, "all", COUNT // 4).start()
    for half in (1, 2):
        load.wait_acknowledged(half * COUNT // 12)
        own_redis.kill()
        own_redis.start()
    load.join()
    messages = [of_redis(e) for e in own_redis.entries("s")]
    check(load, messages)
    assert ids_of(messages)[1] == 0


def test_the_daemon_dies(hookbridge, kafka, redis_server, unique):
    kafka.create_topic(unique, partitions=3)
    daemon = hookbridge(config(
        {"k": {"type": "kafka", "brokers": kafka.address},
         "r": {"type": "redis", "url": redis_server.url}},
        [{"sink": "k", "topic": unique},
         {"sink": "r", "stream": unique}])).wait_up()
    load = Load(daemon, "all", COUNT // 2).start()
    for third in (1, 2):
        load.wait_acknowledged(third * COUNT // 6)
        daemon.kill9()
        daemon.start()
    load.join()
    assert load.codes["lost"] > 0
    check(load, map(of_kafka, kafka.messages(unique, timeout=60)))
    check(load, map(of_redis, redis_server.entries(unique)))


def test_the_daemon_dies_with_a_file(hookbridge, tmp_path):
    """What was acknowledged is a whole line. Who dies while writing may leave
    half of one that was not, which the next start ends."""
    path = tmp_path / "events.ndjson"
    daemon = hookbridge(config(
        {"f": {"type": "file", "path": str(path)}}, [{"sink": "f"}]))
    load = Load(daemon, "all", COUNT // 4).start()
    for third in (1, 2):
        load.wait_acknowledged(third * COUNT // 12)
        daemon.kill9()
        daemon.start()
    load.join()
    found, torn = set(), 0
    for line in file_lines(path):
        try:
            found.add(json.loads(line)["webhook_id"])
        except ValueError:
            torn += 1
    assert set(load.acknowledged) <= found
    assert len(load.acknowledged) == load.count
    assert torn <= 2  # one for each death
