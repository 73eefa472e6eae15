# SPDX-License-Identifier: Apache-2.0
"""Every sample webhook, through the daemon, to Kafka, Redis and a file at once:
what arrives is what was sent, byte for byte."""

import datetime
import hashlib
import json
import os
import re
import subprocess
import time

import pytest
from cloudevents.core.bindings.kafka import (
    KafkaMessage, from_binary_event, from_structured_event)

import hookbridge as rig
from events import member, members

DIRECTORY = os.path.join(os.path.dirname(__file__), "../samples")
SAMPLES = sorted(os.listdir(DIRECTORY))
SOURCE = "https://platform.reducto.ai/#"

# What kind of job each is of, by its number; the others do not tell.
JOB_TYPES = {"01": "parse", "03": "parse", "04": "parse", "05": "extract",
             "06": "extract", "07": "split", "08": "edit", "09": "pipeline",
             "19": "parse"}
STATUSES = {"10": "failed", "11": "failed", "19": "cancelled"}
CE_TYPES = {"completed": "ai.reducto.job.completed",
            "failed": "ai.reducto.job.failed",
            "cancelled": "ai.reducto.job.cancelled"}
KNOWN = ("job_id", "status", "metadata", "result")


def test_all_samples_are_there():
    assert [s[:2] for s in SAMPLES] == [f"{n:02}" for n in range(1, 20)]


class Expected:
    """What the event of a sample must be."""

    def __init__(self, name, text, endpoint, mode, webhook_id=None,
                 timestamp=None):
        self.text, self.endpoint, self.mode = text, endpoint, mode
        self.status = STATUSES.get(name[:2], "completed")
        self.job_type = JOB_TYPES.get(name[:2])
        self.webhook_id, self.timestamp = webhook_id, timestamp
        self.envelope = []
        self.event = text
        if member(text, "job_id") is None:
            self.event = member(text, "data")
            self.envelope = [(k, v) for k, v in members(text) if k != "data"]
        self.extra = [(k, v) for k, v in members(self.event)
                      if k not in KNOWN]
        self.job_id = json.loads(member(self.event, "job_id"))

    @property
    def id(self):
        if self.mode == "svix":
            return self.webhook_id
        return "direct-" + hashlib.sha256("\0".join(
            [self.endpoint, self.job_id, self.status]).encode()).hexdigest()

    def members(self, received_at):
        """Names and texts of the published object, in their order."""
        told = {
            "job_id": member(self.event, "job_id"),
            "status": json.dumps(self.status),
            "status_raw": member(self.event, "status"),
            "job_type": self.job_type and json.dumps(self.job_type),
            "channels": '["production"]',
            "metadata": member(self.event, "metadata"),
            "result": member(self.event, "result"),
            "endpoint": json.dumps(self.endpoint),
            "mode": json.dumps(self.mode),
            "webhook_id": self.webhook_id and json.dumps(self.webhook_id),
            "webhook_timestamp": self.timestamp and json.dumps(
                datetime.datetime.fromtimestamp(
                    self.timestamp, datetime.timezone.utc).strftime(
                        "%Y-%m-%dT%H:%M:%S.000Z")),
            "received_at": json.dumps(received_at)}
        return [(k, v) for k, v in told.items() if v is not None]

    def check_value(self, value):
        """The value's bytes follow from the webhook's but for the time."""
        text = value.decode()
        found = members(text)
        received_at = json.loads(member(text, "received_at"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
                            received_at)
        plain = self.members(received_at)
        assert found[:len(plain)] == plain
        rest = dict(found[len(plain):])
        assert list(rest) == [name for name, wanted in (
            ("extra", self.extra), ("envelope", self.envelope)) if wanted]
        for name, wanted in (("extra", self.extra),
                             ("envelope", self.envelope)):
            assert members(rest.get(name, "{}")) == wanted
        # No space was added anywhere.
        head = ",".join(f'"{k}":{v}' for k, v in plain)
        assert text.startswith("{" + head)
        if not rest:
            assert text == "{" + head + "}"
        return received_at

    def check_headers(self, headers, received_at):
        wanted = {
            "ce_specversion": "1.0", "ce_id": self.id,
            "ce_source": SOURCE + self.endpoint,
            "ce_type": CE_TYPES[self.status], "ce_subject": self.job_id,
            "ce_time": received_at, "ce_channel": "production",
            "ce_jobstatus": self.status, "ce_jobtype": self.job_type,
            "ce_partitionkey": self.job_id,
            "content-type": "application/json"}
        assert headers == {k: v.encode() for k, v in wanted.items() if v}


def one_line(text):
    """As a line of a file: line ends between tokens become spaces."""
    return text.replace("\n", " ").replace("\r", " ")


@pytest.mark.parametrize("name", SAMPLES)
def test_sample(name, outlets, hookbridge, samples):
    daemon = hookbridge(outlets.config()).wait_up()
    body = samples(name)
    timestamp = int(time.time())
    answer = daemon.post_signed("all", body, webhook_id="msg_1",
                                timestamp=timestamp)
    assert answer.status == 200, answer
    assert answer.json() == {"id": "msg_1", "outcome": "confirmed"}
    messages = outlets.messages(1)
    expected = Expected(name, body.decode(), "all", "svix", "msg_1", timestamp)
    line = Expected(name, one_line(body.decode()), "all", "svix", "msg_1",
                    timestamp)
    received_at = line.check_value(messages.pop("file")[0].value)
    for sink in ("kafka", "redis"):
        message = messages[sink][0]
        assert expected.check_value(message.value) == received_at
        expected.check_headers(message.headers, received_at)
    assert messages["kafka"][0].key == expected.job_id.encode()
    # The event's own members say the same as the sender's.
    sent = json.loads(body)
    sent = sent if "job_id" in sent else sent["data"]
    value = json.loads(messages["kafka"][0].value)
    for known in ("job_id", "metadata", "result"):
        assert value.get(known) == sent.get(known)
        assert (known in value) == (known in sent)


def test_sample_with_its_token(outlets, hookbridge, samples):
    """Sample 18 in direct mode: the token opens and is published nowhere."""
    body = samples("18-job-id-short-form.json")
    daemon = hookbridge(outlets.config({"direct": {
        "path": "/direct", "mode": "direct", "channels": "production",
        "token": {"in": "metadata.webhook_token",
                  "secret": "file:token"}}}),
        files={"token": "s3cr3t-token-in-metadata\n"}).wait_up()
    answer = daemon.post("/direct", body)
    assert answer.status == 200, answer
    text = body.decode()
    cut = re.sub(r'"webhook_token": "[^"]*",', "", text)
    assert json.loads(cut)["metadata"] == {"channel": "production"}
    expected = Expected("18", text, "direct", "direct")
    messages = outlets.messages(1)
    for message in (m[0] for m in messages.values()):
        assert b"s3cr3t" not in message.value
        assert b"webhook_token" not in message.value
        value = json.loads(message.value)
        assert value["metadata"] == {"channel": "production"}
        assert value["mode"] == "direct"
        assert "webhook_id" not in value
        assert "webhook_timestamp" not in value
    for sink in ("kafka", "redis"):
        message = messages[sink][0]
        expected.check_headers(message.headers,
                               json.loads(message.value)["received_at"])
        assert b"s3cr3t" not in b"".join(message.headers.values())
    assert answer.json() == {"id": expected.id, "outcome": "confirmed"}
    assert "s3cr3t" not in daemon.log()


def test_samples_are_cloud_events(outlets, hookbridge, samples):
    """CloudEvents' own library reads both modes and finds the same events."""
    daemon = hookbridge(outlets.config(
        to=[outlets.to_kafka(), outlets.to_redis(format="cloudevents")]))
    daemon.wait_up()
    for name in SAMPLES:
        assert daemon.post_signed("all", samples(name),
                                  webhook_id=name[:2]).status == 200
    entries = outlets.redis_messages(len(SAMPLES))
    pairs = {m.headers["ce_id"]: m for m in entries}
    for binary in outlets.kafka_messages(len(SAMPLES)):
        check_cloud_event(binary, pairs.pop(binary.headers["ce_id"]))
    assert not pairs


def check_cloud_event(binary, structured):
    kind = structured.headers["content-type"]
    assert kind == b"application/cloudevents+json; charset=UTF-8"
    one = from_binary_event(KafkaMessage(binary.headers, None, binary.value))
    other = from_structured_event(
        KafkaMessage({"content-type": kind}, None, structured.value))
    assert one.get_id() == binary.headers["ce_id"].decode()
    assert one.get_source() == SOURCE + "all"
    assert one.get_datacontenttype() == "application/json"
    assert one.get_attributes() == other.get_attributes()
    assert one.get_data() == other.get_data() == json.loads(binary.value)
    # data is the very same text.
    assert member(structured.value.decode(), "data") == binary.value.decode()


def test_unusable_body_is_a_dead_letter(outlets, hookbridge):
    """What the portal's test button sends: any JSON, well signed."""
    daemon = hookbridge(outlets.config()).wait_up()
    body = b'{"event_type":"ping","data":{"success":true}}'
    answer = daemon.post_signed("all", body, webhook_id="msg_1")
    assert answer.status == 202
    assert answer.json() == {"id": "msg_1", "outcome": "dead-lettered"}
    letter = outlets.dead_letters("kafka", 1)[0]
    assert letter.value == body
    assert letter.headers["ce_type"] == b"ai.reducto.webhook.unrecognized"
    assert letter.headers["hb_webhook_id"] == b"msg_1"
    assert outlets.kafka_messages() == []


def test_kcat_sees_it_too(outlets, hookbridge, samples):
    """Debian's own consumer, as an operator would look."""
    daemon = hookbridge(outlets.config()).wait_up()
    assert daemon.post_signed(
        "all", samples("02-parse-completed-thin.json")).status == 200
    seen = subprocess.run(
        ["kcat", "-q", "-b", outlets.broker.address, "-C", "-e", "-t",
         outlets.name, "-o", "beginning", "-f", "%k|%h|%s"],
        capture_output=True, check=True, timeout=60).stdout.decode()
    key, headers, value = seen.split("|", 2)
    assert key == json.loads(value)["job_id"]
    assert "ce_type=ai.reducto.job.completed" in headers
    assert rig.to_bytes(value) == outlets.kafka_messages(1)[0].value
