# SPDX-License-Identifier: Apache-2.0
"""How often memory is allocated for a webhook: a fixed number of times, however
many headers, routes and metadata there are. What grows with every request is
an invitation to those who send large ones.

tests/rig/allocations.c counts, preloaded; the figures stage by stage are in
tests/bench/ceilings.
"""

import glob
import json
import os
import struct

import pytest

from hookbridge import SANITIZED, Hookbridge
from process import wait_until

pytestmark = pytest.mark.skipif(
    SANITIZED, reason="sanitizers have a malloc of their own")

COUNTER = os.path.join(os.path.dirname(os.environ["HB_DAEMON"]),
                       "tests/rig/allocations.so")

# The request's head, its body, the exchange, and the event with all that
# belongs to it; OpenSSL's two for an HMAC and one for the digest of an id.
OURS = 7
# librdkafka's for a message with its headers, on our thread.
KAFKA = 14

FEW = dict(headers=0, metadata=0, routes=1)
MANY = dict(headers=80, metadata=40, routes=200)
EVENTS = 100


class Counted(Hookbridge):
    """A daemon whose allocations are counted."""

    def __init__(self, directory, config):
        self.counts_path = os.path.join(str(directory), "allocations")
        super().__init__(directory, config, env={
            "LD_PRELOAD": COUNTER, "HB_ALLOCATIONS": self.counts_path})

    def allocations(self):
        """On the thread that serves requests, since the start."""
        workers = {int(path.split("/")[-2])
                   for path in glob.glob(f"/proc/{self.pid}/task/*/comm")
                   if _text(path).startswith("worker")}
        assert len(workers) == 1, workers
        with open(self.counts_path, "rb") as f:
            counts = dict(struct.iter_unpack("=QQ", f.read()))
        return counts[workers.pop()]


def _text(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def body_of(metadata):
    """Some metadata that routes look at, in a body of always the same size."""
    body = {"status": "Completed", "job_id": "job-1",
            "metadata": {f"m{i}": f"value {i}" for i in range(metadata)},
            "result": ""}
    body["result"] = "x" * (3000 - len(json.dumps(body)))
    return json.dumps(body).encode()


def config_of(outlets, sink, metadata, routes):
    """One route that takes everything, and others that look at metadata."""
    target = {"kafka": outlets.to_kafka, "redis": outlets.to_redis,
              "file": outlets.to_file}[sink]()
    others = [{"when": {f"metadata.m{i % max(metadata, 1)}": f"other {i}"},
               "to": target} for i in range(routes - 1)]
    return outlets.config(to=target, workers=1,
                          routes=[{"to": target}, *others])


def per_event(daemon, body, headers):
    """Allocations for one webhook, the mean of many on one connection."""
    extra = {f"x-header-{i}": f"value {i}" for i in range(headers)}
    with daemon.connect() as connection:
        def post():
            signed = daemon.signed_headers("all", body)
            answer = connection.request("POST", "/all", body, {
                "Content-Type": "application/json", **signed, **extra})
            return answer.status == 200
        wait_until(post, 30, "a 200")  # the sinks are there
        for _ in range(EVENTS):
            assert post()
        before = daemon.allocations()
        for _ in range(EVENTS):
            assert post()
        return (daemon.allocations() - before) / EVENTS


@pytest.mark.parametrize("sink, most", [
    ("redis", OURS), ("file", OURS), ("kafka", OURS + KAFKA)])
def test_allocations_per_event(outlets, tmp_path, sink, most):
    found = {}
    for name, shape in (("few", FEW), ("many", MANY)):
        daemon = Counted(tmp_path / name, config_of(
            outlets, sink, shape["metadata"], shape["routes"]))
        try:
            daemon.start()
            found[name] = per_event(daemon, body_of(shape["metadata"]),
                                    shape["headers"])
            daemon.finish()
        finally:
            daemon.kill()
    assert max(found.values()) <= most + 0.2, found
    assert abs(found["many"] - found["few"]) < 0.5, found
