# SPDX-License-Identifier: Apache-2.0
"""The machine or the process goes, at any instant, again and again: what was
acknowledged is at the consumers in the end, or among the dead letters.

Short here; `sh tests/run --long` makes it 200 deaths and 20 power cuts."""

import os
import random
import shutil
import subprocess
import time

import pytest

from events import of_kafka, of_redis
from hookbridge import LONG, SANITIZED
from load import Load, ids_of
from process import wait_until

pytestmark = pytest.mark.timeout(7200 if LONG else 300)

DEATHS = 200 if LONG else 3 if SANITIZED else 10
CUTS = 20 if LONG else 3


def dead_ids(daemon):
    """The event ids of all dead letters on disk."""
    ids, after = set(), 0
    while after is not None:
        code, page = daemon.admin(
            "GET", f"/api/v1/dead?limit=1000&after={after}")
        assert code == 200, page
        ids |= {d["event_id"] for d in page["dead"]}
        after = page["next"]
    return ids


# --- kill -9 ------------------------------------------------------------------

def random_death(daemon, others, rng):
    """Somewhere under load; now and then while a sink is away."""
    victim = rng.choice([None, None, *others])
    if victim is not None:
        victim.kill()
    time.sleep(rng.uniform(0.02, 0.4))
    daemon.kill9()
    daemon.start()
    if victim is not None:
        time.sleep(rng.uniform(0, 0.2))
        victim.start()


@pytest.mark.threads
def test_kill_at_random_instants(hookbridge, own_kafka, own_redis, unique,
                                 capsys):
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    own_kafka.create_topic(unique, partitions=3)
    daemon = hookbridge({
        "endpoints": {
            "first": {"path": "/first", "mode": "svix", "ack": "spooled"},
            "then": {"path": "/then", "mode": "svix"}},
        "sinks": {"k": {"type": "kafka", "brokers": own_kafka.address},
                  "r": {"type": "redis", "url": own_redis.url}},
        "routes": [{"to": [{"sink": "k", "topic": unique},
                           {"sink": "r", "stream": "s"}]}],
        "spool": {}, "log": {"access": "debug"}}).wait_up()
    loads = [Load(daemon, name, DEATHS * 300, senders=12, prefix=name).start()
             for name in ("first", "then")]
    for _ in range(DEATHS):
        # Brokers take seconds to come back: one death in ten is theirs too.
        others = [own_redis] if rng.random() < 0.9 else [own_kafka, own_redis]
        random_death(daemon, others, rng)
    for load in loads:
        load.join(timeout=1200)
    daemon.wait_drained(timeout=300)
    acknowledged = {i for load in loads for i in load.acknowledged}
    dead = dead_ids(daemon)
    for name, messages in (
            ("Kafka", map(of_kafka, own_kafka.messages(unique, timeout=300))),
            ("Redis", map(of_redis, own_redis.entries("s")))):
        ids, twice = ids_of(messages)
        lost = acknowledged - ids - dead
        assert not lost, (f"seed {seed}: {len(lost)} of {len(acknowledged)} "
                          f"lost at {name}: {sorted(lost)[:20]}")
        with capsys.disabled():
            print(f"\n{DEATHS} deaths: {len(acknowledged)} acknowledged, "
                  f"0 lost, {twice} twice at {name}", end="")


# --- power cuts ---------------------------------------------------------------

class Disk:
    """A file system in a file in a file system that can copy a file in an
    instant: what is copied is what a power failure would have left."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.outer = os.path.join(self.directory, "outer")
        self.inner = os.path.join(self.directory, "inner")
        self.mounts = []

    def _run(self, *argv):
        subprocess.run(argv, check=True, capture_output=True, timeout=60)

    def _mount(self, image, where):
        os.makedirs(where, exist_ok=True)
        self._run("mount", "-o", "loop", image, where)
        self.mounts.append(where)

    def make(self):
        image = os.path.join(self.directory, "xfs.img")
        self._run("truncate", "-s", "1G", image)
        self._run("mkfs.xfs", "-q", "-m", "reflink=1", image)
        self._mount(image, self.outer)
        disk = os.path.join(self.outer, "disk.img")
        self._run("truncate", "-s", "400M", disk)
        self._run("mkfs.ext4", "-q", disk)
        self._mount(disk, self.inner)
        return self

    def cut(self, number):
        """The disk as it is at this instant, mounted elsewhere."""
        copy = os.path.join(self.outer, f"cut-{number}.img")
        self._run("cp", "--reflink=always",
                  os.path.join(self.outer, "disk.img"), copy)
        where = os.path.join(self.directory, f"cut-{number}")
        self._mount(copy, where)
        return where

    def drop(self, number):
        where = os.path.join(self.directory, f"cut-{number}")
        self._run("umount", where)
        self.mounts.remove(where)
        os.unlink(os.path.join(self.outer, f"cut-{number}.img"))

    def close(self):
        for where in reversed(self.mounts):
            subprocess.run(["umount", "-l", where], check=False)


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0 or shutil.which("mkfs.xfs") is None:
        pytest.skip("a power cut is made with mount and mkfs.xfs, as root")
    made = Disk(tmp_path)
    try:
        yield made.make()
    except subprocess.CalledProcessError as error:
        pytest.skip("no mounts here: " + error.stderr.decode().strip())
    finally:
        made.close()


def cut_config(redis, spool):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": redis.url}},
            "routes": [{"when": {"metadata.n": {"ge": 0}},
                        "to": [{"sink": "r", "stream": "s"}]}],
            "spool": {"directory": os.path.join(spool, "spool"),
                      "max_size": "200MiB", "segment_size": "8MiB"},
            "log": {"access": "debug"}}


def test_power_cuts(hookbridge, own_redis, disk):
    """The sink is away, so that all there is of an event is on the disk. Each
    cut is looked at by a daemon of its own."""
    own_redis.stop()
    daemon = hookbridge(cut_config(own_redis, disk.inner))
    load = Load(daemon, "all", 40000, senders=16, retry=False).start()
    load.wait_acknowledged(100)
    rng = random.Random()
    cuts = []
    for number in range(CUTS):
        time.sleep(rng.uniform(0.05, 0.3))
        answer = daemon.post_signed("all", b"[]")  # for the dead letters
        dead = answer.json()["id"]
        acknowledged = set(load.acknowledged)
        cuts.append((number, disk.cut(number), acknowledged, dead))
    load.stop()
    load.join()
    daemon.terminate()
    own_redis.start()
    for number, where, acknowledged, dead in cuts:
        own_redis.client().flushall()
        other = hookbridge(cut_config(own_redis, where))
        other.wait_drained()
        ids, twice = ids_of(map(of_redis, own_redis.entries("s")))
        lost = acknowledged - ids
        assert not lost, f"cut {number}: {len(lost)} of {len(acknowledged)}"
        assert twice == 0
        assert dead in dead_ids(other)
        other.terminate()
        disk.drop(number)


# --- a disk that hangs --------------------------------------------------------

@pytest.mark.once
def test_a_disk_that_hangs(hookbridge, own_redis, disk):
    """What it does not take is not acknowledged, and a daemon that is told to
    stop does not wait for it for ever: it says so and goes."""
    own_redis.stop()
    daemon = hookbridge({**cut_config(own_redis, disk.inner), "delivery": {
        "ack_timeout": "300ms", "hard_timeout": "1s", "drain_timeout": "1s"}})
    body = b'{"job_id":"j","metadata":{"n":1}}'
    kept = daemon.post_signed("all", body)
    assert kept.status == 202
    subprocess.run(["fsfreeze", "-f", disk.inner], check=True)
    try:
        assert daemon.post_signed("all", body).status == 503
        daemon.popen.terminate()
        stop = daemon.wait_log("daemon.stop", timeout=60)
        assert stop["what"] == "events in flight"
    finally:
        subprocess.run(["fsfreeze", "-u", disk.inner], check=True)
    assert daemon.popen.wait(20) == 1
    own_redis.start()
    daemon.start()
    daemon.wait_drained()
    ids, _ = ids_of(map(of_redis, own_redis.entries("s")))
    assert kept.json()["id"] in ids


# --- a disk that is full ------------------------------------------------------

def test_a_disk_smaller_than_the_spool(hookbridge, own_redis, tmp_path):
    """What the file system has no room for is refused, and when there is room
    again it is taken again, without a restart."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is a tmpfs, mounted as root")
    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "none", small],
        capture_output=True, check=False)
    if mount.returncode != 0:
        pytest.skip("no mounts here: " + mount.stderr.decode().strip())
    try:
        fill_and_drain(hookbridge, own_redis, small)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def fill_and_drain(hookbridge, redis, small):
    daemon = hookbridge({
        "endpoints": {"all": {"path": "/all", "mode": "svix",
                              "body_size": "64KiB"}},
        "sinks": {"r": {"type": "redis", "url": redis.url}},
        "routes": [{"to": [{"sink": "r", "stream": "s"}]}],
        "dedup": {"max_entries": 10000},
        "spool": {"directory": str(small / "spool"), "max_size": "64MiB",
                  "segment_size": "256KiB"}}).wait_up()
    redis.stop()
    wait_until(lambda: daemon.status()["sinks"][0]["health"] == "down", 20,
               "the loss of Redis")
    filler = b'{"job_id":"f","result":"%s"}' % (b"x" * 30000)
    kept = []
    while (answer := daemon.post_signed("all", filler)).status == 202:
        kept.append(answer.json()["id"])
        assert len(kept) < 300
    assert answer.status == 503 and len(kept) > 10
    daemon.kill9()
    redis.start()
    daemon.start()
    daemon.wait_drained()
    ids, _ = ids_of(map(of_redis, redis.entries("s")))
    assert set(kept) <= ids
    wait_until(lambda: daemon.post_signed("all", filler).status == 200, 30,
               "that events are taken again")
