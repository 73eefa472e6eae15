# SPDX-License-Identifier: Apache-2.0
"""A real Kafka broker, and clients that are not ours to look into it."""

import os
import subprocess
import time

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType,
                                   ConfigEntry, ConfigResource, NewPartitions,
                                   NewTopic)

from process import Process, free_port

RIG = os.path.join(os.path.dirname(__file__), "../../packaging/kafka-rig")


class KafkaCluster(Process):
    """What our own clients see of a cluster at self.address."""

    address = None

    def _admin(self):
        return AdminClient({"bootstrap.servers": self.address})

    def create_topic(self, name, partitions=1, **config):
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1,
                         config={k.replace("_", "."): str(v)
                                 for k, v in config.items()})
        admin = self._admin()  # results come only while it lives
        admin.create_topics([topic])[name].result(20)
        return name

    def alter_topic(self, name, **config):
        entries = [ConfigEntry(
            k.replace("_", "."), str(v),
            incremental_operation=AlterConfigOpType.SET)
            for k, v in config.items()]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name,
                                  incremental_configs=entries)
        admin = self._admin()
        admin.incremental_alter_configs([resource])[resource].result(20)

    def grow_topic(self, name, partitions):
        admin = self._admin()
        admin.create_partitions(
            [NewPartitions(name, partitions)])[name].result(20)

    def delete_topic(self, name):
        admin = self._admin()
        admin.delete_topics([name])[name].result(20)

    def topics(self):
        return set(self._admin().list_topics(timeout=20).topics)

    def _consumer(self):
        return Consumer({
            "bootstrap.servers": self.address, "group.id": "hookbridge-tests",
            "enable.auto.commit": False, "auto.offset.reset": "earliest",
            "enable.partition.eof": True, "check.crcs": True,
            "fetch.message.max.bytes": 16 << 20})

    def messages(self, topic, count=0, timeout=30):
        """All messages of a topic, in the order of each partition. With count,
        waits until there are that many."""
        found = []
        for message in self.stream(topic, lambda: len(found) >= count,
                                   timeout):
            found.append(message)
        return found

    def stream(self, topic, is_enough=lambda: True, timeout=30):
        """The same one by one, until all is read and it is enough."""
        deadline = time.monotonic() + timeout
        consumer = self._consumer()
        try:
            metadata = consumer.list_topics(topic, timeout=20).topics[topic]
            if metadata.error is not None:
                raise RuntimeError(f"topic {topic}: {metadata.error}")
            consumer.assign([TopicPartition(topic, p, 0)
                             for p in metadata.partitions])
            yield from self._read(consumer, set(metadata.partitions),
                                  is_enough, deadline, topic)
        finally:
            consumer.close()

    def _read(self, consumer, partitions, is_enough, deadline, topic):
        count, at_end = 0, set()
        while at_end != partitions or not is_enough():
            if time.monotonic() > deadline:
                raise TimeoutError(f"topic {topic}: no more than {count} "
                                   "messages")
            for message in consumer.consume(500, timeout=0.2):
                error = message.error()
                if error is None:
                    count += 1
                    at_end.discard(message.partition())
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    at_end.add(message.partition())
                elif not error.retriable():
                    raise RuntimeError(f"topic {topic}: {error}")


class KafkaBroker(KafkaCluster):
    """One node, KRaft; stop(), kill() and pause() it, start() it again with
    the same port and data. options: further settings, "name=value"."""

    def __init__(self, directory, jars):
        super().__init__("kafka", str(directory))
        self.jars = jars
        self.port = free_port()
        self.controller_port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.options = []
        self._log_from = 0

    def start(self):
        self._log_from = self.log_size()
        self.spawn(["sh", os.path.abspath(RIG), "run", self.jars,
                    os.path.join(self.directory, "node"), str(self.port),
                    str(self.controller_port), *self.options])
        self.wait_ready(
            lambda: "Kafka Server started" in self.log()[self._log_from:])
        return self


    def produce_by_java(self, topic, values):
        """Has the Java client send {key: value}."""
        subprocess.run(
            ["java", "-Xshare:auto", "-Dfile.encoding=UTF-8",
             "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
             "-cp", os.path.join(self.jars, "*"),
             "org.apache.kafka.tools.ConsoleProducer",
             "--bootstrap-server", self.address, "--topic", topic,
             "--property", "parse.key=true"],
            input="".join(f"{k}\t{v}\n" for k, v in values.items()),
            encoding="utf-8", timeout=60, check=True,
            stdout=subprocess.DEVNULL)


class KafkaMock(KafkaCluster):
    """librdkafka's simulated cluster, for faults that a real broker does not
    commit on request; obey("fail 0 NOT_LEADER_FOR_PARTITION 2"), see
    tests/rig/kafka_mock.c."""

    def __init__(self, directory, program):
        super().__init__("kafka_mock", str(directory))
        self.program = program

    def start(self, *topics, brokers=1):
        self.spawn([self.program, str(brokers), *topics],
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.popen.stdout.readline().decode().strip()
        assert self.address, self.log_tail()
        return self

    def obey(self, command):
        self.popen.stdin.write(command.encode() + b"\n")
        self.popen.stdin.flush()
        answer = self.popen.stdout.readline().decode().strip()
        assert answer == "ok", f"{command}: {answer}"

    def kill(self):
        super().kill()
        for pipe in (self.popen.stdin, self.popen.stdout):
            pipe.close()


def headers_of(message):
    """A message's headers as a dict of bytes; a name twice is an error."""
    headers = dict(message.headers() or [])
    assert len(headers) == len(message.headers() or []), message.headers()
    return headers
