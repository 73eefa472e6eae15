# SPDX-License-Identifier: Apache-2.0
"""What the commands of this directory have in common: the programs of the end
to end tests, our load generator, and a daemon that is configured for load."""

import json
import os
import subprocess
import sys

README = os.path.join(os.path.dirname(__file__), "README.md")
ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
# pylint: disable=wrong-import-position
from process import wait_until  # noqa: E402

KIB = 1024
MIB = 1024 * KIB
SIZES = {"2k": 2 * KIB, "16k": 16 * KIB, "1m": MIB}

_LARGE = {"message.max.bytes": "2000000"}


def load(port, secret, path, size, connections, requests, rate=0, seconds=60,
         seed=0, codes=("200",)):
    """What tests/bench/load said. Only answers of these codes, or a
    RuntimeError."""
    done = subprocess.run(
        [os.environ["HB_LOAD"], "--port", str(port), "--secret", secret,
         "--path", path, "--size", str(size), "--requests", str(requests),
         "--connections", str(connections), "--rate", str(rate),
         "--seconds", str(seconds), "--seed", str(seed)],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    result = json.loads(done.stdout)
    if not set(result["codes"]) <= set(codes) or result["unanswered"]:
        raise RuntimeError(f"not only {codes}: {result}")
    return result


def warm_up(server, secret, path, connections=64, requests=2000,
            codes=("200",)):
    """Connections, caches, metadata; until every sink takes everything."""
    def takes_all():
        try:
            return load(server.port, secret, path, 2 * KIB, connections,
                        requests, codes=codes)
        except RuntimeError:
            return False
    wait_until(takes_all, 60, f"{server.name}{path}")


def config(sinks, targets, **more):
    """targets: {endpoint: where its events go}; each endpoint's path is its
    name, its secret in the file "secret". Logs no request."""
    return {
        "endpoints": {name: {"path": f"/{name}", "mode": "svix",
                             "secrets": ["file:secret"]} for name in targets},
        "sinks": sinks,
        "routes": [{"name": name, "when": {"endpoint": name}, "to": to}
                   for name, to in targets.items()],
        "http": {"connections_per_address": 0},
        "memory": "1GiB",
        "log": {"level": "warning", "access": "debug"}, **more}


def kafka_sink(address):
    return {"type": "kafka", "brokers": [address], "properties": _LARGE}


def redis_sink(url):
    return {"type": "redis", "url": url}


def write_readme(name, text):
    """Replaces what stands between the marks of this name in README.md."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with open(README, encoding="utf-8") as f:
        before, rest = f.read().split(begin)
    after = rest.split(end)[1]
    with open(README, "w", encoding="utf-8") as f:
        f.write(f"{before}{begin}\n{text}\n{end}{after}")
