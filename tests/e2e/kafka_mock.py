# SPDX-License-Identifier: Apache-2.0
"""librdkafka's simulated cluster, for faults that no real broker commits on
request; see tests/rig/kafka_mock.c for what it obeys."""

import os
import subprocess

from confluent_kafka import Consumer, TopicPartition


class KafkaMock:
    def __init__(self, *topics, brokers=1):
        self.process = subprocess.Popen(
            [os.environ["HB_KAFKA_MOCK"], str(brokers), *topics],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addresses = self.process.stdout.readline().strip().split(",")

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", (command, answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)

    def ids(self, topic, count, partitions=1):
        """ce_id of so many messages, in the order of each partition."""
        consumer = Consumer({"bootstrap.servers": ",".join(self.addresses),
                             "group.id": "tests",
                             "auto.offset.reset": "earliest"})
        try:
            consumer.assign([TopicPartition(topic, p, 0)
                             for p in range(partitions)])
            found = []
            for _ in range(100):
                found += [dict(m.headers())["ce_id"].decode()
                          for m in consumer.consume(100, timeout=0.2)
                          if m.error() is None]
                if len(found) >= count:
                    return found
            raise TimeoutError(f"{topic}: {found}")
        finally:
            consumer.close()
