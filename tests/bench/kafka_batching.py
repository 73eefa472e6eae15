# SPDX-License-Identifier: Apache-2.0
"""Who makes the batches of Kafka's messages: a queue for each partition of our
own, or librdkafka by waiting for more (linger.ms), near and far.

Started by tests/bench/run-kafka-batching, which says where everything is. Each
way is a daemon of its own; all are measured in turn, so that a machine that
slows down slows all of them. Prints a table in Markdown of medians.
"""

import argparse
import os
import statistics
import tempfile

from measure import cpu_seconds, versions
from stand import KIB, config, kafka_sink, load, warm_up

# After stand, which says where they are.
from hookbridge import Hookbridge, new_secret
from kafka import KafkaBroker
from process import Process, accepts, free_port

WAYS = {"a queue per partition": {},
        "`linger.ms: 0.5`": {"linger.ms": "0.5"}}
# Broker and partitions: what is far needs more of them to be busy.
PARTITIONS = {"near": 6, "far": 12}
CONNECTIONS = [1, 8, 64, 256]
ONE_WAY_US = 2500


class TwoBroker(KafkaBroker):
    """With a second listener, whose clients are told to come by delay_port."""

    def __init__(self, directory, jars):
        super().__init__(directory, jars)
        self.far_port = free_port()
        self.delay_port = free_port()
        self.options = [
            f"listeners=PLAINTEXT://{self.address},"
            f"FAR://127.0.0.1:{self.far_port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            f"advertised.listeners=PLAINTEXT://{self.address},"
            f"FAR://127.0.0.1:{self.delay_port}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,"
            "FAR:PLAINTEXT,CONTROLLER:PLAINTEXT"]


class Delay(Process):
    def __init__(self, directory, port, server_port):
        super().__init__("kafka_delay", directory)
        self.port, self.server_port = port, server_port

    def start(self):
        self.spawn([os.environ["HB_DELAY"], str(self.port),
                    str(self.server_port), str(ONE_WAY_US)])
        self.wait_ready(lambda: accepts(self.port))
        return self


def daemon(directory, name, address, properties, secret):
    sink = kafka_sink(address)
    sink["properties"] = {**sink["properties"], **properties}
    targets = {place: [{"sink": "k", "topic": place}] for place in PARTITIONS}
    return Hookbridge(os.path.join(directory, name),
                      config({"k": sink}, targets),
                      files={"secret": secret}).start()


def start_all(directory, secret, processes):
    """{(place, way): a daemon that has warmed up}"""
    broker = TwoBroker(os.path.join(directory, "kafka"),
                       os.environ["HB_KAFKA"])
    processes.append(broker.start())
    processes.append(Delay(os.path.join(directory, "delay"),
                           broker.delay_port, broker.far_port).start())
    for place, count in PARTITIONS.items():
        broker.create_topic(place, partitions=count)
    addresses = {"near": broker.address,
                 "far": f"127.0.0.1:{broker.delay_port}"}
    daemons = {}
    for place, address in addresses.items():
        for i, (way, properties) in enumerate(WAYS.items()):
            made = daemon(directory, f"{place}-{i}", address, properties,
                          secret)
            processes.append(made)
            warm_up(made, secret, f"/{place}")
            daemons[place, way] = made
    return daemons


def measure(server, secret, place, connections, seconds):
    # More than can be answered in that time; they are signed beforehand.
    requests = int(seconds * min(80000, 15000 * connections))
    before = cpu_seconds(server.pid)
    result = load(server.port, secret, f"/{place}", 2 * KIB, connections,
                  requests, seconds=seconds)
    spent = cpu_seconds(server.pid) - before
    return {"us": spent * 1e6 / result["answers"], "rate": result["rate"],
            **{p: result["us"][p] / 1000 for p in ("p50", "p99")}}


def row(place, connections, way, runs):
    def median(key):
        return statistics.median(r[key] for r in runs)
    return (f"| {place} | {connections} | {way} | {median('us'):.1f} "
            f"({min(r['us'] for r in runs):.1f}–"
            f"{max(r['us'] for r in runs):.1f}) "
            f"| {median('rate'):.0f} "
            f"| {median('p50'):.2f} / {median('p99'):.2f} |")


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run-kafka-batching")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, nargs="+",
                        default=CONNECTIONS)
    args = parser.parse_args()
    secret, processes = new_secret(), []
    runs = {}
    with tempfile.TemporaryDirectory() as directory:
        try:
            daemons = start_all(directory, secret, processes)
            for _ in range(args.runs):
                for connections in args.connections:
                    for (place, way), server in daemons.items():
                        runs.setdefault((place, connections, way), []).append(
                            measure(server, secret, place, connections,
                                    args.seconds))
        finally:
            for process in reversed(processes):
                process.kill()
    print(versions() + "\n")
    print("| broker | connections | batches by "
          "| CPU µs per event (least–most) | events/s | ms p50 / p99 |")
    print("|---|---|---|---|---|---|")
    for place in PARTITIONS:
        for connections in args.connections:
            for way in WAYS:
                print(row(place, connections, way,
                          runs[place, connections, way]))


if __name__ == "__main__":
    main()
