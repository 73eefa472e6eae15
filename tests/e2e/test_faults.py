# SPDX-License-Identifier: Apache-2.0
"""Every call that the daemon makes below its spool's directory fails once, one
after the other, in a run of its own: whatever it answers then, what it has
acknowledged is there in the next run.

Some of the calls here; all of them, and with more errors, by `sh tests/run
--long`."""

import os
import random

import pytest

from events import of_redis
from hookbridge import LONG, SANITIZED, Hookbridge
from load import ids_of
from process import free_port
from test_crash import dead_ids

pytestmark = [
    pytest.mark.once, pytest.mark.timeout(7200 if LONG else 300),
    pytest.mark.skipif(SANITIZED, reason="sanitizers stand where the shim does")]

SHIM = os.path.join(os.path.dirname(os.environ["HB_DAEMON"]),
                    "tests/shim/faults.so")
EVENTS = 14
HOWS = (["EIO", "ENOSPC", "short", "EINTR", "EIO:on", "ENOSPC:on"]
        if LONG else ["EIO", "ENOSPC:on"])
# How many calls are passed over between two that fail.
STRIDE = 1 if LONG else 5


def config(port, stream):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix",
                                  "body_size": "64KiB"}},
            "sinks": {"r": {"type": "redis",
                            "url": f"redis://127.0.0.1:{port}"}},
            "routes": [{"to": [{"sink": "r", "stream": stream}]}],
            "dedup": {"max_entries": 1000}, "workers": 1,
            "spool": {"max_size": "8MiB", "segment_size": "256KiB"}}


def post_all(daemon):
    """{id: outcome} of what was acknowledged. Large ones, so that a segment
    ends and another begins."""
    acknowledged = {}
    for number in range(EVENTS):
        body = b'{"job_id":"j%d","result":"%s"}' % (number, b"x" * 30000)
        if number % 7 == 3:
            body = b"[]"
        webhook_id = f"msg_{number}"
        answer = daemon.post_signed("all", body, webhook_id=webhook_id)
        assert answer.status in (202, 503), answer
        if answer.status == 202:
            acknowledged[webhook_id] = answer.json()["outcome"]
    return acknowledged


def run_with_faults(daemon, fault, tell):
    """What was acknowledged; nothing, if the daemon has refused to start."""
    daemon.env.update(LD_PRELOAD=SHIM, HB_FAULTS=fault, HB_FAULTS_TELL=tell,
                      HB_FAULTS_BELOW=daemon.spool_path())
    try:
        daemon.start()
    except RuntimeError:
        # With a sentence, not with a signal.
        assert daemon.popen.returncode in (69, 78), daemon.log_tail()
        return {}
    finally:
        for name in ("LD_PRELOAD", "HB_FAULTS"):
            del daemon.env[name]
    acknowledged = post_all(daemon)
    assert daemon.terminate() == 0, daemon.log_tail()
    return acknowledged


def failed(tell):
    with open(tell, encoding="ascii") as f:
        return sum(int(line.split()[2]) for line in f
                   if not line.startswith("any"))


def try_fault(directory, fault, redis, stream):
    """Whether the fault came to pass."""
    daemon = Hookbridge(directory, config(free_port(), stream))
    tell = os.path.join(directory, "tell")
    try:
        acknowledged = run_with_faults(daemon, fault, tell)
        daemon.assert_no_complaints()
        daemon.configure(config(redis.port, stream))
        daemon.start()
        daemon.wait_drained()
        ids, twice = ids_of(map(of_redis, redis.entries(stream)))
        kept = {i for i, o in acknowledged.items() if o == "spooled"}
        dead = {i for i, o in acknowledged.items() if o == "dead-lettered"}
        assert kept <= ids, f"{fault}: {kept - ids} lost"
        assert dead <= dead_ids(daemon), fault
        assert twice == 0, fault
        daemon.expected_exit = 0
        daemon.finish()
    finally:
        daemon.kill()
    return failed(tell) > 0


@pytest.mark.parametrize("how", HOWS)
def test_every_call_fails(redis_server, unique, tmp_path, how):
    first = 1 if LONG else random.randint(1, STRIDE)
    tried = 0
    while try_fault(str(tmp_path / f"run-{tried}"),
                    f"any:{first + tried * STRIDE}:{how}", redis_server,
                    f"{unique}-{tried}"):
        tried += 1
        assert tried < 2000
    assert tried * STRIDE >= 60
