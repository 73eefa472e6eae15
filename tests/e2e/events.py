# SPDX-License-Identifier: Apache-2.0
"""What webhooks become, told by code that shares nothing with the daemon: where
the members of a JSON text begin and end, and what stands at the consumers."""

import base64
import collections
import json

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE

from process import wait_until

# Numbers stay text: 1E400 and 20 digits are as good as any.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)
_SPACE = " \t\n\r"


def _skip(text, i):
    while text[i] in _SPACE:
        i += 1
    return i


def members(text):
    """[(name, the value's own text)] of a JSON object, in order."""
    found = []
    i = _skip(text, 0)
    assert text[i] == "{", text[:80]
    i = _skip(text, i + 1)
    while text[i] != "}":
        name, i = _decoder.raw_decode(text, i)
        i = _skip(text, i)
        assert text[i] == ":"
        i = _skip(text, i + 1)
        _, end = _decoder.raw_decode(text, i)
        found.append((name, text[i:end]))
        i = _skip(text, end)
        assert text[i] in ",}", text[i:i + 20]
        if text[i] == ",":
            i = _skip(text, i + 1)
    assert text[i + 1:].strip(_SPACE) == "", text[i:i + 80]
    return found


def member(text, *path):
    """The text of one member, of a member of that and so on; None: absent."""
    for name in path:
        values = [value for key, value in members(text) if key == name]
        if not values:
            return None
        assert len(values) == 1, f"{name} occurs {len(values)} times"
        text = values[0]
    return text


# One message as a consumer sees it. key is None where there are no keys.
Message = collections.namedtuple("Message", "key headers value")


def of_kafka(message):
    assert message.timestamp()[0] != TIMESTAMP_NOT_AVAILABLE
    headers = message.headers() or []
    names = [name for name, _ in headers]
    assert len(set(names)) == len(names), names
    return Message(message.key(), dict(headers), message.value())


def of_redis(entry):
    _, fields = entry
    headers = {name.decode(): value for name, value in fields.items()}
    return Message(None, headers, headers.pop("data"))


def of_line(line):
    """A line of a file: an event, or a dead letter with its headers."""
    value = json.loads(line)
    if set(value) != {"headers", "body_base64"}:
        return Message(None, {}, line)
    return Message(None, {k: v.encode() for k, v in value["headers"].items()},
                   base64.b64decode(value["body_base64"], validate=True))


def file_lines(path):
    """The lines of a file, which must be whole."""
    with open(path, "rb") as f:
        data = f.read()
    assert data == b"" or data.endswith(b"\n"), data[-200:]
    return data.split(b"\n")[:-1]


class Outlets:
    """A topic, a stream and a file of the test's own, and as many for its dead
    letters; by the names of the sinks: kafka, redis, file, dead_file."""

    def __init__(self, broker, server, name, directory):
        self.broker, self.server = broker, server
        self.name, self.dead = name, name + "-dead"
        self.file = str(directory / "events.ndjson")
        self.dead_file = str(directory / "dead.ndjson")
        broker.create_topic(self.name)
        broker.create_topic(self.dead)
        self.sinks = {
            "kafka": {"type": "kafka", "brokers": [broker.address],
                      "properties": {"message.max.bytes": "10000000"}},
            "redis": {"type": "redis", "url": server.url},
            "file": {"type": "file", "path": self.file}}

    def to_kafka(self, **options):
        return {"sink": "kafka", "topic": self.name, **options}

    def to_redis(self, **options):
        return {"sink": "redis", "stream": self.name, **options}

    def to_file(self, **options):
        return {"sink": "file", **options}

    def to_all(self, **options):
        return [self.to_kafka(**options), self.to_redis(**options),
                self.to_file(**options)]

    def dead_to(self, sink):
        """(sinks to add, the target of dead_letter)"""
        if sink == "kafka":
            return {}, {"sink": "kafka", "topic": self.dead}
        if sink == "redis":
            return {}, {"sink": "redis", "stream": self.dead}
        return ({"dead_file": {"type": "file", "path": self.dead_file}},
                {"sink": "dead_file"})

    def config(self, endpoints=None, to=None, dead="kafka", **rest):
        """Everything goes everywhere, and what cannot to `dead`."""
        sinks, dead_letter = self.dead_to(dead)
        config = {
            "endpoints": endpoints or {"all": {
                "path": "/all", "mode": "svix", "channels": "production"}},
            "sinks": {**self.sinks, **sinks},
            "routes": [{"name": "all", "to": to or self.to_all()}],
            "dead_letter": dead_letter}
        config.update(rest)
        return config

    def kafka_messages(self, count=0, topic=None):
        return [of_kafka(m)
                for m in self.broker.messages(topic or self.name, count)]

    def redis_messages(self, count=0, stream=None):
        return [of_redis(e)
                for e in self.server.entries(stream or self.name, count)]

    def file_messages(self, count=0, path=None):
        lines = wait_until(
            lambda: (len(file_lines(path or self.file)) >= count
                     and [file_lines(path or self.file)]),
            20, f"{count} lines")[0]
        return [of_line(line) for line in lines]

    def messages(self, count):
        """{sink: its messages}; each has exactly so many."""
        found = {"kafka": self.kafka_messages(count),
                 "redis": self.redis_messages(count),
                 "file": self.file_messages(count)}
        for sink, messages in found.items():
            assert len(messages) == count, (sink, messages)
        return found

    def dead_letters(self, sink, count):
        found = {"kafka": lambda: self.kafka_messages(count, self.dead),
                 "redis": lambda: self.redis_messages(count, self.dead),
                 "file": lambda: self.file_messages(count, self.dead_file),
                 }[sink]()
        assert len(found) == count, found
        return found
