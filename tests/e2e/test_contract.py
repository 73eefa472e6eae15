# SPDX-License-Identifier: Apache-2.0
"""The unit test of the Kafka sink against a real broker: what it usually asks
of the simulated cluster, and what only a real one does."""

import os
import subprocess

import pytest


@pytest.mark.threads
@pytest.mark.timeout(300)
def test_kafka_sink(kafka):
    for topic, partitions in (("hb.contract.one", 3), ("hb.contract.two", 2),
                              ("hb.solo", 1)):
        kafka.create_topic(topic, partitions)
    program = os.path.join(os.path.dirname(os.environ["HB_DAEMON"]),
                           "tests/unit/test_sink_kafka")
    ended = subprocess.run(
        [program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "HB_KAFKA_BROKERS": kafka.address})
    assert ended.returncode == 0, ended.stdout.decode(errors="replace")[-5000:]
