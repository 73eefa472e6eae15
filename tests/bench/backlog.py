# SPDX-License-Identifier: Apache-2.0
"""A start with a million events in the spool: how soon it serves, and how fast
the spool empties.

Started by tests/bench/run-backlog, which says where everything is. For each
sink in turn: the rate at which webhooks are confirmed while it is there; then
it is taken away and the spool is filled; the daemon is stopped, the files are
pushed out of the page cache, and the daemon and the sink are started again.
"""

import argparse
import os
import sys
import tempfile
import time

import stand
# pylint: disable=wrong-import-order
from measure import rss_mib, versions
from hookbridge import Hookbridge, new_secret
from kafka import KafkaBroker
from outage import say
from process import wait_until
from redis_server import RedisServer

KIB = stand.KIB
LIVE = 100000
READY_S = 2
SHARE = 0.5
PAUSE_S = 0.1  # between two looks at a daemon that drains


class Redis:
    name = "Redis"
    target = {"sink": "sink", "stream": "s", "maxlen": 1000}

    def __init__(self, directory):
        # In memory: on the spool's disk, waiting for the disk would be
        # measured.
        self._memory = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.server = RedisServer(self._memory.name, "--appendfsync",
                                  "everysec").start()
        self.conf = stand.redis_sink(self.server.url)

    def close(self):
        self.server.kill()
        self._memory.cleanup()


class Kafka:
    name = "Kafka"
    target = {"sink": "sink", "topic": "t"}

    def __init__(self, directory):
        self.server = KafkaBroker(os.path.join(directory, "kafka"),
                                  os.environ["HB_KAFKA"]).start()
        self.server.create_topic("t", partitions=6)
        self.conf = stand.kafka_sink(self.server.address)

    def close(self):
        self.server.kill()


SINKS = {"redis": Redis, "kafka": Kafka}


def forget_pages(directory):
    """As after a reboot: what is read has to come from the disk."""
    for where, _, names in os.walk(directory):
        for name in names:
            fd = os.open(os.path.join(where, name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def start(daemon):
    """Seconds until it listens, and until its first 2xx."""
    begun = time.monotonic()
    daemon.start()
    ready_s = time.monotonic() - begun
    code = daemon.post_signed("all", "{}", secret=daemon.secret).status
    assert code in (200, 202), code
    return ready_s, time.monotonic() - begun


def drain(daemon, count, timeout):
    """(records per second, the most memory meanwhile)"""
    begun, most = time.monotonic(), 0
    while daemon.status()["spool"]["records"] > 0:
        most = max(most, rss_mib(daemon.pid))
        if time.monotonic() - begun > timeout:
            raise TimeoutError(f"not drained within {timeout} s")
        time.sleep(PAUSE_S)
    return count / (time.monotonic() - begun), most


def fill(daemon, sink, events):
    sink.server.kill()
    result = stand.load(daemon.port, daemon.secret, "/all", 2 * KIB, 64,
                        events, seconds=900, codes=("202",))
    return result["rate"]


def measure(sink, daemon, events):
    daemon.start()
    stand.warm_up(daemon, daemon.secret, "/all")
    found = {"live": stand.load(daemon.port, daemon.secret, "/all", 2 * KIB,
                                64, min(LIVE, events))["rate"]}
    say(sink.name, "is taken away")
    found["fill"] = fill(daemon, sink, events)
    spool = daemon.status()["spool"]
    found["records"] = spool["records"]
    found["disk"] = spool["disk_bytes"] / stand.MIB
    assert found["records"] >= events, spool
    assert daemon.terminate() == 0
    forget_pages(daemon.directory)
    say("start with", found["records"], "records")
    found["ready"], found["first"] = start(daemon)
    found["rss"] = rss_mib(daemon.pid)
    sink.server.start()
    wait_until(lambda: daemon.status()["spool"]["records"] < events, 60,
               "the replay")
    left = daemon.status()["spool"]["records"]
    found["drain"], found["most"] = drain(daemon, left, 900)
    return found


def endure(kind, events, directory):
    sink = SINKS[kind](directory)
    daemon = Hookbridge(os.path.join(directory, "daemon"), stand.config(
        {"sink": sink.conf}, {"all": [sink.target]}, spool={}),
        files={"secret": new_secret()})
    with open(os.path.join(daemon.directory, "secret"),
              encoding="ascii") as f:
        daemon.secret = f.read()
    try:
        return {"sink": sink.name, **measure(sink, daemon, events)}
    finally:
        daemon.kill()
        sink.close()


# --- tables -------------------------------------------------------------------

def verdict(is_kept):
    return "kept" if is_kept else "**missed**"


def budgets(rows):
    """(a line of the table, whether it is kept)"""
    for row in rows:
        ready, share = row["first"], row["drain"] / row["live"]
        yield (f"start with {row['records']} events for {row['sink']}: first "
               f"2xx | ≤ {READY_S} s | {ready:.2f} s", ready <= READY_S)
        yield (f"they are sent, of the live rate | ≥ {SHARE:.0%} "
               f"| {share:.0%}", share >= SHARE)


def report(rows):
    yield f"{versions()}\n"
    yield "| budget | limit | measured | |"
    yield "|---|---|---|---|"
    for line, is_kept in budgets(rows):
        yield f"| {line} | {verdict(is_kept)} |"
    yield ""
    yield ("| sink | events/s, live | events/s, filling | on disk MiB "
           "| listens after s | first 2xx | RSS MiB then | at most "
           "| events/s, draining |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        yield (f"| {row['sink']} | {row['live']:.0f} | {row['fill']:.0f} "
               f"| {row['disk']:.0f} | {row['ready']:.2f} "
               f"| {row['first']:.2f} | {row['rss']:.0f} "
               f"| {row['most']:.0f} | {row['drain']:.0f} |")


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run-backlog")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--events", type=int, default=1000000)
    parser.add_argument("sinks", nargs="*", metavar="SINK")
    args = parser.parse_args()
    unknown = set(args.sinks) - set(SINKS)
    if unknown:
        parser.error(f"no sink {unknown.pop()}; there are {' '.join(SINKS)}")
    events = 20000 if args.quick else args.events
    rows = []
    for kind in args.sinks or SINKS:
        with tempfile.TemporaryDirectory(
                dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
            rows.append(endure(kind, events, directory))
    text = "\n".join(report(rows))
    print(text)
    if args.readme:
        stand.write_readme("backlog", text)
    return 0 if all(is_kept for _, is_kept in budgets(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
