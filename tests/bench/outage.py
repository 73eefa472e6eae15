# SPDX-License-Identifier: Apache-2.0
"""A broker that is away for minutes, under a steady load.

Started by tests/bench/run-outage, which says where everything is. Prints what
it did as it does it, then a table in Markdown.
"""

import argparse
import collections
import os
import sys
import tempfile
import threading
import time

from measure import cpu_seconds, versions
from stand import KIB, config, kafka_sink, load, warm_up

# After stand, which says where they are.
from hookbridge import Hookbridge, new_secret
from kafka import KafkaBroker
from process import wait_until

BEFORE_S = AFTER_S = 10
CONNECTIONS = 64
SLOWEST_S = 5


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


class Watch(threading.Thread):
    """What the daemon is like meanwhile."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.process = daemon
        self.most_records = self.most_bytes = self.most_rss = 0
        self.is_over = threading.Event()

    def run(self):
        while not self.is_over.wait(0.5):
            spool = self.process.status()["spool"]
            self.most_records = max(self.most_records, spool["records"])
            self.most_bytes = max(self.most_bytes, spool["disk_bytes"])
            with open(f"/proc/{self.process.pid}/status",
                      encoding="ascii") as f:
                rss = next(line for line in f if line.startswith("VmRSS"))
            self.most_rss = max(self.most_rss, int(rss.split()[1]) * KIB)


def ids_at(broker, topic):
    """How often each event is there; streamed, they are many."""
    found = collections.Counter()
    for message in broker.stream(topic, timeout=600):
        found[dict(message.headers())["ce_id"]] += 1
    return found


def endure(options, directory):
    broker = KafkaBroker(os.path.join(directory, "kafka"),
                         os.environ["HB_KAFKA"])
    broker.start()
    broker.create_topic("t", partitions=6)
    secret = new_secret()
    conf = config({"k": kafka_sink(broker.address)},
                  {"all": [{"sink": "k", "topic": "t"}]},
                  delivery={"ack": options.ack, "ack_timeout": "3s"},
                  spool={"max_size": "20GiB"}, memory="256MiB")
    # All are signed before the first is sent.
    conf["endpoints"]["all"]["tolerance"] = "2h"
    daemon = Hookbridge(os.path.join(directory, "daemon"), conf,
                        files={"secret": secret + "\n"})
    try:
        return measure(options, broker, daemon.start(), secret)
    finally:
        for process in (daemon, broker):
            process.stop(60)
            process.kill()


def measure(options, broker, daemon, secret):
    seconds = BEFORE_S + options.seconds + AFTER_S
    warm_up(daemon, secret, "/all", codes=("200", "202"))
    daemon.wait_drained()
    warm_count = sum(ids_at(broker, "t").values())
    watch = Watch(daemon)
    watch.start()
    result = {}

    def post():
        result.update(load(
            daemon.port, secret, "/all", 2 * KIB, CONNECTIONS,
            int(options.rate * seconds), rate=options.rate,
            seconds=seconds + 60, codes=("200", "202", "503")))
    poster = threading.Thread(target=post)
    cpu = cpu_seconds(daemon.pid)
    poster.start()
    time.sleep(BEFORE_S)
    say("Kafka is killed")
    broker.kill()
    time.sleep(options.seconds)
    say("Kafka is started;", daemon.status()["spool"]["records"], "kept")
    begun = time.monotonic()
    broker.start()
    poster.join()
    daemon.wait_drained(timeout=1800)
    drain_s = time.monotonic() - begun
    cpu = cpu_seconds(daemon.pid) - cpu
    watch.is_over.set()
    watch.join()
    say("drained; reading the topic")
    found = ids_at(broker, "t")
    return {"result": result, "watch": watch, "drain_s": drain_s,
            "cpu_us": cpu * 1e6 / max(1, result["answers"]),
            "lost": result["answers"] + warm_count - len(found),
            "twice": sum(found.values()) - len(found)}


def table(options, m):
    codes = m["result"]["codes"]
    us = m["result"]["us"]
    mib = 1 << 20
    rows = [
        ("webhooks", f"{m['result']['answers']}, "
                     f"{options.rate:g} per second of 2 KiB"),
        ("Kafka away for", f"{options.seconds} s"),
        ("answers", ", ".join(f"{n} × {c}" for c, n in codes.items())),
        ("slowest answer", f"{us['max'] / 1e6:.2f} s (p50 "
                           f"{us['p50'] / 1e3:.2f}, p99 {us['p99'] / 1e3:.2f},"
                           f" p99.9 {us['p99.9'] / 1e3:.1f} ms)"),
        ("most kept", f"{m['watch'].most_records} deliveries, "
                      f"{m['watch'].most_bytes / mib:.0f} MiB of disk"),
        ("most memory", f"{m['watch'].most_rss / mib:.0f} MiB RSS"),
        ("empty again after", f"{m['drain_s']:.0f} s, Kafka's start and the "
                              "load that goes on included"),
        ("CPU per event", f"{m['cpu_us']:.1f} µs"),
        ("lost", str(m["lost"])),
        ("twice", str(m["twice"]))]
    print("| | |\n|---|---|")
    for row in rows:
        print("| %s | %s |" % row)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--ack", default="confirmed",
                        choices=("confirmed", "spooled"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(
            dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
        found = endure(options, directory)
    print(f"{versions()}\n")
    table(options, found)
    bad = set(found["result"]["codes"]) - {"200", "202"}
    slow = found["result"]["us"]["max"] >= SLOWEST_S * 1e6
    return 1 if bad or slow or found["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
