# SPDX-License-Identifier: Apache-2.0
"""Kafka's own troubles: a real broker that goes and comes, topics that are
missing or small, and what only a simulated cluster says on request."""

import json
import time

import confluent_kafka
import pytest

from events import of_kafka
from kafka import headers_of
from load import Load, ids_of, scaled
from process import wait_until

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def config(broker, topic, dead=None, properties=None, **target):
    sink = {"type": "kafka", "brokers": broker.address}
    if properties:
        sink["properties"] = properties
    made = {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"k": sink},
            "routes": [{"to": [{"sink": "k", "topic": topic, **target}]}]}
    if dead:
        made["dead_letter"] = {"sink": "k", "topic": dead}
    return made


def until_accepted(daemon, body=BODY, code=200, timeout=30, **options):
    """Sends it as Svix does, only sooner; the first 2xx."""
    def accepted():
        answer = daemon.post_signed("all", body, **options)
        assert answer.status in (503, code), answer
        return answer.status == code and answer
    return wait_until(accepted, timeout, f"a {code}")


# --- what arrives -------------------------------------------------------------

KEYS = ["a", "org-1", "org-2", "Zoë Müller", "東京", "x" * 1024,
        *(f"key-{n}" for n in range(40))]


def post_keys(daemon):
    for key in KEYS:
        assert daemon.post_signed("all", {
            "job_id": "j", "metadata": {"organization_id": key}}).status == 200


def produce_keys(kafka, topic):
    """By librdkafka, as a client of the Java client's choice."""
    producer = confluent_kafka.Producer({
        "bootstrap.servers": kafka.address, "partitioner": "murmur2_random"})
    for key in KEYS:
        producer.produce(topic, b"", key=key.encode())
    assert producer.flush(20) == 0


def partitions(kafka, topic):
    """{key: where its latest message is}; a topic without one of KEYS is
    waited for."""
    found = {m.key().decode(): m.partition()
             for m in kafka.messages(topic, len(KEYS))}
    return {key: found[key] for key in KEYS}


def test_partitions_are_those_of_others(hookbridge, kafka, unique):
    """The same key is in the same partition as the Java client puts it, and
    any other producer with its partitioner, so that consumers can join."""
    topics = [unique, unique + "-java", unique + "-librdkafka"]
    for topic in topics:
        kafka.create_topic(topic, partitions=7)
    post_keys(hookbridge(config(
        kafka, unique, key="{metadata.organization_id}")).wait_up())
    kafka.produce_by_java(topics[1], {key: "-" for key in KEYS})
    produce_keys(kafka, topics[2])
    ours, javas, librdkafkas = (partitions(kafka, t) for t in topics)
    assert len(set(ours.values())) == 7
    assert ours == javas == librdkafkas


@pytest.mark.threads
def test_a_topic_grows(hookbridge, kafka, unique):
    """From three partitions to six under load: nothing is lost, and the new
    ones are used as other producers would."""
    kafka.create_topic(unique, partitions=3)
    kafka.create_topic(unique + "-other", partitions=6)
    daemon = hookbridge(config(
        kafka, unique, key="{metadata.organization_id}",
        properties={"topic.metadata.refresh.interval.ms": "500"})).wait_up()
    load = Load(daemon, "all", scaled(8000), senders=16).start()
    load.wait_acknowledged(scaled(1000))
    kafka.grow_topic(unique, 6)
    load.join()
    ids, _ = ids_of(map(of_kafka, kafka.messages(unique, timeout=60)))
    assert set(load.acknowledged) <= ids
    produce_keys(kafka, unique + "-other")
    theirs = partitions(kafka, unique + "-other")
    assert {3, 4, 5} & set(theirs.values())

    def agree():
        post_keys(daemon)
        return partitions(kafka, unique) == theirs
    wait_until(agree, 30, "the same partitions")


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_compression(hookbridge, kafka, unique, codec):
    kafka.create_topic(unique)
    daemon = hookbridge(config(
        kafka, unique, properties={"compression.codec": codec})).wait_up()
    result = "x" * 100000
    assert daemon.post_signed(
        "all", {"job_id": "j", "result": result}).status == 200
    message = kafka.messages(unique, 1)[0]
    assert json.loads(message.value())["result"] == result


def test_headers_of_the_destination(hookbridge, kafka, unique):
    kafka.create_topic(unique)
    daemon = hookbridge(config(kafka, unique, headers={
        "tenant": "{metadata.tenant|nobody}", "job": "{job_id}",
        "fixed": "yes", "absent": "{metadata.absent}"})).wait_up()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert daemon.post_signed(
        "all", {"job_id": "j-1", "metadata": {"tenant": "Zoë"}},
        headers={"traceparent": trace, "tracestate": "a=1"}).status == 200
    headers = headers_of(kafka.messages(unique, 1)[0])
    assert headers["tenant"] == "Zoë".encode()
    assert headers["job"] == b"j-1"
    assert headers["fixed"] == b"yes"
    assert "absent" not in headers
    assert headers["traceparent"] == trace.encode()
    assert headers["tracestate"] == b"a=1"


# --- topics -------------------------------------------------------------------

def test_a_missing_topic(hookbridge, kafka, unique):
    """It stops alone, is not made by a typo, and is found when it comes."""
    kafka.create_topic(unique)
    absent = unique + "-absent"
    made = config(kafka, unique)
    made["routes"].insert(0, {
        "when": {"metadata.to": "absent"}, "final": True,
        "to": [{"sink": "k", "topic": absent}]})
    daemon = hookbridge(made).wait_up(missing=[absent])
    there = {"job_id": "a", "metadata": {"to": "absent"}}
    down = daemon.wait_log("destination.down", sink="k", dst=absent)
    assert down["reason"] == "unknown topic"
    assert daemon.post_signed("all", there, webhook_id="m").status == 503
    assert daemon.post_signed("all", BODY).status == 200
    assert absent not in kafka.topics()
    kafka.create_topic(absent)
    until_accepted(daemon, there, webhook_id="m")
    assert len(kafka.messages(absent, 1)) == 1
    daemon.wait_log("destination.up", sink="k", dst=absent)


def test_a_topic_is_deleted(hookbridge, kafka, unique):
    kafka.create_topic(unique)
    daemon = hookbridge(config(kafka, unique)).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    kafka.delete_topic(unique)

    def refused():
        return daemon.post_signed("all", BODY).status == 503
    wait_until(refused, 30, "a 503")
    kafka.create_topic(unique)
    until_accepted(daemon, timeout=60, webhook_id="again")
    assert b"again" in {headers_of(m)["ce_id"]
                        for m in kafka.messages(unique, 1)}


def test_too_large_for_the_producer(hookbridge, kafka, unique):
    """Known before anything is sent: message.max.bytes is 1 000 000."""
    for name in (unique, unique + "-dead"):
        kafka.create_topic(name)
    made = config(kafka, unique, unique + "-dead", properties={
        "message.max.bytes": "100000"})
    # The letter has to fit somewhere.
    made["sinks"]["big"] = {"type": "kafka", "brokers": kafka.address}
    made["dead_letter"]["sink"] = "big"
    daemon = hookbridge(made).wait_up()
    body = {"job_id": "a", "result": "x" * 150000}
    answer = daemon.post_signed("all", body)
    assert (answer.status, answer.json()["outcome"]) == (202, "dead-lettered")
    letter = of_kafka(kafka.messages(unique + "-dead", 1)[0])
    assert json.loads(letter.value) == body
    assert letter.headers["hb_reason"] == b"too-large"
    assert letter.headers["hb_destination"] == b"k:" + unique.encode()
    assert kafka.messages(unique) == []


def test_too_large_for_the_topic(hookbridge, kafka, unique):
    """Only the broker knows max.message.bytes; its word on a message that was
    alone is final."""
    kafka.create_topic(unique, max_message_bytes=5000)
    kafka.create_topic(unique + "-dead")
    daemon = hookbridge(config(kafka, unique, unique + "-dead")).wait_up()
    body = {"job_id": "a", "result": "x" * 20000}
    answer = daemon.post_signed("all", body, webhook_id="m")
    assert answer.status == 202
    assert answer.json() == {"id": "m", "outcome": "dead-lettered"}
    letter = of_kafka(kafka.messages(unique + "-dead", 1)[0])
    assert json.loads(letter.value) == body
    assert letter.headers["hb_reason"] == b"too-large"
    assert letter.headers["hb_destination"] == b"k:" + unique.encode()
    assert kafka.messages(unique) == []
    # The topic is as well as it was.
    assert daemon.post_signed("all", BODY).status == 200


@pytest.mark.threads
def test_a_large_one_among_small_ones(hookbridge, kafka, unique):
    """A batch fails whole: the small ones of it are not to blame."""
    kafka.create_topic(unique, max_message_bytes=200000)
    kafka.create_topic(unique + "-dead")
    daemon = hookbridge(config(
        kafka, unique, unique + "-dead",
        properties={"linger.ms": "20"})).wait_up()
    load = Load(daemon, "all", scaled(2000), senders=16).start()
    load.wait_acknowledged(scaled(200))
    body = {"job_id": "large", "result": "x" * 300000}
    first = daemon.post_signed("all", body, webhook_id="large").status
    assert first in (202, 503)
    load.join()
    assert set(load.acknowledged.values()) <= {"confirmed", "duplicate"}
    # After a 503 it is set aside in its own time, for the retry to find.
    until_accepted(daemon, body, code=200, webhook_id="large")
    ids, _ = ids_of(map(of_kafka, kafka.messages(unique)))
    assert ids == set(load.acknowledged)
    letters = kafka.messages(unique + "-dead", 1)
    assert {headers_of(m)["ce_id"] for m in letters} == {b"large"}


# --- the broker ---------------------------------------------------------------

def test_the_broker_restarts(hookbridge, own_kafka, unique):
    own_kafka.create_topic(unique)
    daemon = hookbridge(config(own_kafka, unique)).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="before").status == 200
    own_kafka.kill()
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="while").status == 503
    assert time.monotonic() - begun < 5
    daemon.wait_log("sink.down", sink="k")
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="while").status == 503
    assert time.monotonic() - begun < 1
    own_kafka.start()
    assert until_accepted(daemon, webhook_id="while").json()["outcome"] in (
        "confirmed", "duplicate")
    ids, _ = ids_of(map(of_kafka, own_kafka.messages(unique, 2)))
    assert ids == {"before", "while"}


@pytest.mark.threads
def test_the_broker_dies_among_batches(hookbridge, own_kafka, unique):
    """Each request has one answer, in time, and what was acknowledged is
    there."""
    own_kafka.create_topic(unique, partitions=6)
    daemon = hookbridge(config(own_kafka, unique)).wait_up()
    load = Load(daemon, "all", scaled(8000), senders=64, retry=False).start()
    load.wait_acknowledged(scaled(2000))
    own_kafka.kill()
    load.join()
    assert sum(load.codes.values()) == load.count
    assert set(load.codes) == {200, 503}
    assert len(load.acknowledged) == load.codes[200]
    own_kafka.start()
    ids, _ = ids_of(map(of_kafka, own_kafka.messages(
        unique, len(load.acknowledged), timeout=60)))
    assert set(load.acknowledged) <= ids


def test_the_broker_comes_later(hookbridge, own_kafka, unique):
    """An unreachable broker at start is no reason to exit."""
    own_kafka.create_topic(unique)
    own_kafka.stop()
    daemon = hookbridge(config(own_kafka, unique))
    daemon.wait_log("sink.down", sink="k")
    assert daemon.post_signed("all", BODY).status == 503
    own_kafka.start()
    until_accepted(daemon)
    assert len(own_kafka.messages(unique, 1)) == 1


@pytest.mark.threads
def test_the_broker_hangs(hookbridge, own_kafka, unique):
    """503 in time; what may have been written carries the same id."""
    own_kafka.create_topic(unique)
    daemon = hookbridge(config(own_kafka, unique)).wait_up()
    own_kafka.pause()
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    assert time.monotonic() - begun < 5
    own_kafka.resume()
    until_accepted(daemon, webhook_id="m")
    ids, _ = ids_of(map(of_kafka, own_kafka.messages(unique, 1)))
    assert ids == {"m"}


# --- a simulated cluster ------------------------------------------------------

@pytest.fixture
def simulated(hookbridge, kafka_mock):
    """A daemon on a topic "t" of the simulated cluster."""
    kafka_mock.obey("topic t 1")
    kafka_mock.obey("topic dead 1")

    def make(**properties):
        return hookbridge(config(
            kafka_mock, "t", "dead",
            properties={k.replace("_", "."): v
                        for k, v in properties.items()})).wait_up()
    return make


@pytest.mark.parametrize("error", [
    "NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE",
    "NOT_ENOUGH_REPLICAS", "REQUEST_TIMED_OUT", "KAFKA_STORAGE_ERROR",
    "_TRANSPORT"])
def test_passing_errors_are_not_seen(simulated, kafka_mock, error):
    """The client repeats within the deadline."""
    daemon = simulated()
    kafka_mock.obey(f"fail 0 {error} 2")
    answer = daemon.post_signed("all", BODY, webhook_id="m")
    assert answer.status == 200, daemon.log_tail()
    ids, _ = ids_of(map(of_kafka, kafka_mock.messages("t", 1)))
    assert ids == {"m"}


@pytest.mark.parametrize("error", [
    "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "UNKNOWN",
    "THROTTLING_QUOTA_EXCEEDED", "INVALID_MSG"])
def test_errors_that_are_not_the_events_fault(simulated, kafka_mock, error):
    """503 and never a dead letter: it may be repaired."""
    daemon = simulated()
    kafka_mock.obey(f"fail 0 {error} 1")
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    failed = daemon.wait_log("delivery.failed", id="m")
    assert failed["sink"] == "k" and failed["dst"] == "t"
    until_accepted(daemon, webhook_id="m")
    ids, _ = ids_of(map(of_kafka, kafka_mock.messages("t", 1)))
    assert ids == {"m"}
    assert kafka_mock.messages("dead") == []


@pytest.mark.parametrize("error, reason", [
    ("MSG_SIZE_TOO_LARGE", b"too-large"), ("INVALID_RECORD", b"refused"),
    ("POLICY_VIOLATION", b"refused")])
def test_errors_of_the_event(simulated, kafka_mock, error, reason):
    """Said again of the message alone, it is final."""
    daemon = simulated()
    kafka_mock.obey(f"fail 0 {error} 2")
    answer = daemon.post_signed("all", BODY, webhook_id="m")
    assert (answer.status, answer.json()["outcome"]) == (202, "dead-lettered")
    letter = of_kafka(kafka_mock.messages("dead", 1)[0])
    assert letter.value == BODY
    assert letter.headers["hb_reason"] == reason
    assert letter.headers["hb_destination"] == b"k:t"
    assert kafka_mock.messages("t") == []


def test_authorization_is_withdrawn(simulated, kafka_mock):
    """Metadata says so: the topic is down, the sink is not."""
    daemon = simulated()
    kafka_mock.obey("topic-error t TOPIC_AUTHORIZATION_FAILED")
    kafka_mock.obey("fail 0 TOPIC_AUTHORIZATION_FAILED 1")
    assert daemon.post_signed("all", BODY).status == 503
    daemon.wait_log("destination.down", sink="k", dst="t")
    assert daemon.post_signed("all", b"no JSON").status == 202
    kafka_mock.obey("topic-error t NO_ERROR")
    until_accepted(daemon)


@pytest.mark.threads
def test_a_fatal_producer_is_replaced(simulated, kafka_mock):
    """With idempotence a rewound sequence is the producer's end, not ours."""
    daemon = simulated(enable_idempotence="true")
    assert daemon.post_signed("all", BODY, webhook_id="before").status == 200
    kafka_mock.obey("fail 0 OUT_OF_ORDER_SEQUENCE_NUMBER 1")
    daemon.post_signed("all", BODY, webhook_id="m")
    until_accepted(daemon, webhook_id="m")
    until_accepted(daemon, webhook_id="after")
    ids, _ = ids_of(map(of_kafka, kafka_mock.messages("t", 3)))
    assert ids == {"before", "m", "after"}


def test_a_broker_refuses_connections(simulated, kafka_mock):
    daemon = simulated()
    kafka_mock.obey("down")
    daemon.wait_log("sink.down", sink="k")
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    kafka_mock.obey("up")
    until_accepted(daemon, webhook_id="m")


@pytest.mark.threads
def test_answers_are_slower_than_the_deadline(simulated, kafka_mock):
    """Written, and told too late: 503, and the retry brings the same id."""
    daemon = simulated()
    kafka_mock.obey("rtt 4000")
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    assert time.monotonic() - begun < 5
    kafka_mock.obey("rtt 0")
    until_accepted(daemon, webhook_id="m")
    ids, _ = ids_of(map(of_kafka, kafka_mock.messages("t", 1)))
    assert ids == {"m"}
