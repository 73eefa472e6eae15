# SPDX-License-Identifier: Apache-2.0
"""The Kafka sink as its users meet it: a real broker, its topics, its limits;
and a simulated one for the faults that no real one commits on request."""

import concurrent.futures
import json
import subprocess
import time

import confluent_kafka
import pytest

from events import of_kafka
from kafka_mock import KafkaMock
from load import Load

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def config(broker, topic="t", **rest):
    base = {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"k": {"type": "kafka", "brokers": [broker]}},
            "routes": [{"to": [{"sink": "k", "topic": topic}]}]}
    base.update(rest)
    return base


def post_until(daemon, status, timeout=30):
    """Posts new webhooks until one is answered so; the others with 503."""
    deadline = time.monotonic() + timeout
    while True:
        answer = daemon.post_signed("all", BODY)
        if answer.status == status:
            return answer
        assert answer.status == 503, answer
        assert time.monotonic() < deadline, "no such answer in time"
        time.sleep(0.1)


# --- topics -------------------------------------------------------------------

def test_missing_topic_stops_itself_alone(hookbridge, kafka, unique):
    """503 until somebody makes the topic; other topics go on; no restart."""
    other = kafka.create_topic(unique + "-other")
    routes = [{"when": {"status": "failed"},
               "to": [{"sink": "k", "topic": unique}]},
              {"default": True, "to": [{"sink": "k", "topic": other}]}]
    daemon = hookbridge(config(kafka.address, routes=routes)).wait_up(
        missing=(unique,))
    failed = b'{"status":"Failed","job_id":"job-1"}'
    daemon.wait_log("destination.down", dst=unique)
    answer = daemon.post_signed("all", failed)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert daemon.post_signed("all", BODY).status == 200
    assert unique not in kafka.topics()  # we do not make topics
    kafka.create_topic(unique)
    daemon.wait_log("destination.up", dst=unique)
    assert daemon.post_signed("all", failed).status == 200
    assert len(kafka.messages(unique, 1)) == 1


def test_keys_go_where_java_clients_send_them(hookbridge, kafka, unique):
    """murmur2, so that consumers who join topics by key find them together."""
    kafka.create_topic(unique, partitions=7)
    kafka.create_topic(unique + "-java", partitions=7)
    daemon = hookbridge(config(kafka.address, unique)).wait_up()
    producer = confluent_kafka.Producer({
        "bootstrap.servers": kafka.address,
        "partitioner": "murmur2_random"})
    jobs = [f"job-{n}" for n in range(50)]
    for job in jobs:
        producer.produce(unique + "-java", b"x", key=job.encode())
        answer = daemon.post_signed("all", {"job_id": job, "status": "Failed"})
        assert answer.status == 200
    assert producer.flush(20) == 0

    def places(topic):
        return {m.key(): m.partition() for m in kafka.messages(topic, 50)}
    assert places(unique) == places(unique + "-java")
    assert len(set(places(unique).values())) > 3


def test_read_by_kcat(hookbridge, kafka, unique):
    kafka.create_topic(unique)
    daemon = hookbridge(config(kafka.address, unique)).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 200
    said = subprocess.run(
        ["kcat", "-q", "-b", kafka.address, "-C", "-e", "-o", "beginning",
         "-t", unique, "-f", "%k|%h|%s"], check=True, capture_output=True,
        text=True, timeout=30).stdout
    key, headers, value = said.split("|", 2)
    assert key == "job-1"
    assert "ce_id=msg_1" in headers.split(",")
    assert json.loads(value)["metadata"] == {"a": 1}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compression(hookbridge, kafka, unique, codec):
    kafka.create_topic(unique)
    conf = config(kafka.address, unique)
    conf["sinks"]["k"]["properties"] = {"compression.codec": codec}
    daemon = hookbridge(conf).wait_up()
    body = b'{"job_id":"j","status":"Completed","result":"%s"}' % (b"x" * 9999)
    assert daemon.post_signed("all", body).status == 200
    message = of_kafka(kafka.messages(unique, 1)[0])
    assert b"x" * 9999 in message.value


# --- sizes --------------------------------------------------------------------

@pytest.mark.threads
def test_too_large_for_the_topic(hookbridge, kafka, unique):
    """The broker refuses a whole batch for one message: only that one is a dead
    letter, whoever was sent with it arrives."""
    kafka.create_topic(unique, max_message_bytes=20000)
    kafka.create_topic(unique + "-dead")
    daemon = hookbridge(config(
        kafka.address, unique,
        dead_letter={"sink": "k", "topic": unique + "-dead"})).wait_up()

    def post(n):
        size = 50000 if n == 10 else 500
        body = b'{"job_id":"job-%d","status":"Completed","result":"%s"}' % (
            n, b"x" * size)
        return n, daemon.post_signed("all", body)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = dict(pool.map(post, range(20)))
    assert answers[10].status == 202
    assert answers[10].json()["outcome"] == "dead-lettered"
    assert {a.status for n, a in answers.items() if n != 10} == {200}
    assert len(kafka.messages(unique, 19)) == 19
    dead = of_kafka(kafka.messages(unique + "-dead", 1)[0])
    assert dead.key == b"job-10"
    assert dead.headers["hb_reason"] == b"too-large"
    assert dead.headers["hb_destination"] == unique.encode()
    assert len(dead.value) > 50000


def test_too_large_for_us(hookbridge, kafka, unique):
    """What cannot be produced at all is known before anything is sent."""
    kafka.create_topic(unique)
    conf = config(kafka.address, unique)
    conf["sinks"]["k"]["properties"] = {"message.max.bytes": "10000"}
    daemon = hookbridge(conf).wait_up()
    body = b'{"job_id":"j","status":"Completed","result":"%s"}' % (b"x" * 9999)
    assert daemon.post_signed("all", body).status == 503  # nowhere to put it
    assert kafka.messages(unique) == []


# --- brokers that go away -----------------------------------------------------

@pytest.mark.threads
def test_broker_restarts(hookbridge, own_kafka):
    own_kafka.create_topic("t")
    daemon = hookbridge(config(own_kafka.address)).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    own_kafka.kill()
    began = time.monotonic()
    assert daemon.post_signed("all", BODY).status == 503
    assert time.monotonic() - began < 5
    daemon.wait_log("sink.down", sink="k")
    began = time.monotonic()
    assert daemon.post_signed("all", BODY).status == 503
    assert time.monotonic() - began < 1  # known by now: nobody waits
    own_kafka.start()
    post_until(daemon, 200)


def test_starts_without_a_broker(hookbridge, own_kafka):
    """An unreachable broker is no reason to exit."""
    own_kafka.create_topic("t")
    own_kafka.stop()
    daemon = hookbridge(config(own_kafka.address))
    assert daemon.post_signed("all", BODY).status == 503
    own_kafka.start()
    post_until(daemon, 200)


@pytest.mark.threads
def test_broker_hangs(hookbridge, own_kafka):
    """Connected and silent: the answer comes in time all the same, and what was
    under way is not published twice when the broker wakes."""
    own_kafka.create_topic("t")
    daemon = hookbridge(config(own_kafka.address)).wait_up()
    headers = daemon.signed_headers("all", BODY, webhook_id="msg_1")
    own_kafka.pause()
    began = time.monotonic()
    assert daemon.post("/all", BODY, headers).status == 503
    assert time.monotonic() - began < 5
    own_kafka.resume()
    post_until(daemon, 200)


# --- a simulated cluster ------------------------------------------------------

@pytest.fixture
def mock():
    cluster = KafkaMock("t:1", "dead:1")
    yield cluster
    cluster.close()


@pytest.mark.parametrize("error", [
    "NOT_ENOUGH_REPLICAS", "REQUEST_TIMED_OUT", "NOT_LEADER_FOR_PARTITION",
    "_TRANSPORT"])
def test_passing_errors_are_outlived(hookbridge, mock, error):
    daemon = hookbridge(config(mock.addresses[0])).wait_up()
    mock.tell(f"fail 0 {error} 2")
    assert daemon.post_signed("all", BODY, webhook_id="msg_1").status == 200
    assert mock.ids("t", 1)[0] == "msg_1"


@pytest.mark.parametrize("error", [
    "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED",
    "INVALID_REQUIRED_ACKS"])
def test_refusals_of_the_configuration_are_no_dead_letters(
        hookbridge, mock, error):
    """Nothing is wrong with the event: the sender repeats it."""
    daemon = hookbridge(config(
        mock.addresses[0],
        dead_letter={"sink": "k", "topic": "dead"})).wait_up()
    mock.tell(f"fail 0 {error} 1")
    assert daemon.post_signed("all", BODY).status == 503
    post_until(daemon, 200)
    assert daemon.terminate() == 0
    assert daemon.metric("dead_letters_total") == 0


@pytest.mark.parametrize("error", ["INVALID_RECORD", "POLICY_VIOLATION"])
def test_refused_records_are_dead_letters(hookbridge, mock, error):
    daemon = hookbridge(config(
        mock.addresses[0],
        dead_letter={"sink": "k", "topic": "dead"})).wait_up()
    # Refused, and refused again when it is sent alone.
    mock.tell(f"fail 0 {error} 2")
    answer = daemon.post_signed("all", BODY, webhook_id="msg_1")
    assert answer.status == 202
    assert answer.json()["outcome"] == "dead-lettered"
    assert mock.ids("dead", 1) == ["msg_1"]
    assert daemon.post_signed("all", BODY).status == 200


@pytest.mark.threads
def test_all_brokers_down_and_up(hookbridge, mock):
    daemon = hookbridge(config(mock.addresses[0])).wait_up()
    with Load(daemon, "all", [f"msg_{n}" for n in range(2000)]) as load:
        load.wait_acknowledged(500)
        mock.tell("down")
        load.wait_codes(503, 50)
        mock.tell("up")
        load.wait_all()
    assert set(mock.ids("t", 2000)) >= load.acknowledged
