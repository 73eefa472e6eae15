# SPDX-License-Identifier: Apache-2.0
"""The rig itself: the real servers start, break, and come back."""

import json

import confluent_kafka
import pytest
import redis
import svix.webhooks

import hookbridge as rig
from http1 import Connection
from kafka import headers_of
from process import Process, accepts

pytestmark = pytest.mark.once


def produce(broker, topic, *values):
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.address,
                                         "message.timeout.ms": 20000})
    errors = []
    for value in values:
        producer.produce(topic, value, key=b"k", headers=[("h", b"\0v")],
                         on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(30) == 0
    assert errors == [None] * len(values)


def test_kafka(kafka, unique):
    kafka.create_topic(unique, partitions=2, max_message_bytes=5000)
    assert unique in kafka.topics()
    assert kafka.messages(unique) == []
    produce(kafka, unique, b"one", b"two")
    messages = kafka.messages(unique, count=2)
    assert sorted(m.value() for m in messages) == [b"one", b"two"]
    assert messages[0].key() == b"k"
    assert headers_of(messages[0]) == {"h": b"\0v"}


def test_kafka_creates_no_topic_by_itself(kafka, unique):
    with pytest.raises((KeyError, RuntimeError)):
        kafka.messages(unique, timeout=5)
    assert unique not in kafka.topics()


def test_kafka_comes_back_with_its_data(own_kafka, unique):
    own_kafka.create_topic(unique)
    produce(own_kafka, unique, b"before")
    own_kafka.kill()
    assert not accepts(own_kafka.port)
    own_kafka.start()
    produce(own_kafka, unique, b"after")
    values = [m.value() for m in own_kafka.messages(unique, count=2)]
    assert values == [b"before", b"after"]


def test_redis(redis_server, unique):
    client = redis_server.client()
    client.xadd(unique, {"data": b"\xff\0"})
    client.xadd(unique, {"data": "two"})
    fields = [fields for _, fields in redis_server.entries(unique, count=2)]
    assert fields == [{b"data": b"\xff\0"}, {b"data": b"two"}]


def test_redis_comes_back_with_its_data(own_redis):
    own_redis.client().xadd("s", {"n": 1})
    own_redis.kill()
    assert not accepts(own_redis.port)
    own_redis.start()
    assert len(own_redis.entries("s")) == 1


def test_redis_pauses(own_redis):
    client = own_redis.client(socket_timeout=0.3)
    own_redis.pause()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    own_redis.resume()
    assert own_redis.client().ping()


def test_signatures_verify():
    secret = rig.new_secret()
    body = json.dumps({"job_id": "é"}, ensure_ascii=False)
    headers = rig.sign(secret, body)
    svix.webhooks.Webhook(secret).verify(body, headers)
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(secret).verify(body + " ", headers)


def test_log_records_are_read_back():
    line = ('2026-01-01T00:00:00.500Z info event.settled endpoint=a '
            'id="two words" raw="\\"\\u001b" ms=12')
    wanted = {"level": "info", "event": "event.settled", "endpoint": "a",
              "id": "two words", "raw": '"\x1b', "ms": "12"}
    assert rig._parse_record(line) == wanted
    assert rig._parse_record("<6>" + line.split(" ", 1)[1]) == wanted
    assert rig._parse_record(json.dumps(wanted)) == wanted
    assert rig._parse_record("hookbridge_up 1") is None


def test_a_process_that_ends_is_noticed(tmp_path):
    process = Process("false", str(tmp_path))
    process.spawn(["sh", "-c", "echo because; exit 3"])
    with pytest.raises(RuntimeError, match="ended with 3:\nbecause"):
        process.wait_ready(lambda: False)


def test_sanitizer_reports_are_noticed(tmp_path):
    daemon = rig.Hookbridge(tmp_path, {}, program="sh")
    daemon.spawn(["sh", "-c", "echo 'WARNING: ThreadSanitizer: data race' >&2"])
    daemon.popen.wait()
    with pytest.raises(AssertionError, match="ThreadSanitizer"):
        daemon.finish()


def test_http_by_hand(tmp_path):
    server = Process("http.server", str(tmp_path))
    port = rig.free_port()
    (tmp_path / "file").write_text("hello")
    server.spawn(["python3", "-c", f"""
import http.server as h
h.SimpleHTTPRequestHandler.protocol_version = "HTTP/1.1"
h.ThreadingHTTPServer(("127.0.0.1", {port}), h.SimpleHTTPRequestHandler).serve_forever()
"""])
    try:
        server.wait_ready(lambda: accepts(port))
        with Connection(port) as connection:
            for _ in range(2):
                answer = connection.request("GET", "/file")
                assert (answer.status, answer.body) == (200, b"hello")
            assert connection.request("HEAD", "/file").body == b""
            connection.send_bytewise(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.read_answer().status == 200
            connection.send(b"BAD\r\n\r\n")
            assert b" 400 " in connection.read_to_end()
    finally:
        server.kill()
