# SPDX-License-Identifier: Apache-2.0
"""What an event costs: the daemon's processor time, rate, latency and memory,
beside nginx answering 200 to the same requests in the same run.

Started by tests/bench/run, which says where everything is. Prints a table in
Markdown; each row is the median of several runs, rows taken in turn, so that a
machine that slows down slows all of them.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e"))
# pylint: disable=wrong-import-position
from hookbridge import Hookbridge, new_secret  # noqa: E402
from kafka import KafkaBroker  # noqa: E402
from process import Process, accepts, free_port, wait_until  # noqa: E402
from redis_server import RedisServer  # noqa: E402

KIB = 1024
# How many requests take a few seconds, by body size and connections.
REQUESTS = {2 * KIB: {1: 15000, 64: 120000, 1000: 120000},
            16 * KIB: {1: 10000, 64: 60000, 1000: 60000},
            KIB * KIB: {1: 800, 64: 1500, 1000: 1500}}
TICKS = os.sysconf("SC_CLK_TCK")

NGINX = """
daemon off; master_process off; worker_processes 1; pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 10000000; client_max_body_size 16m;
  client_body_buffer_size 2m; client_body_temp_path {dir}/body;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 "{{}}"; }} }}
}}
"""


class Nginx(Process):
    def __init__(self, directory):
        super().__init__("nginx", directory)
        self.port = free_port()

    def start(self):
        path = os.path.join(self.directory, "nginx.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(NGINX.format(dir=self.directory, port=self.port))
        self.spawn(["/usr/sbin/nginx", "-p", self.directory, "-c", path])
        self.wait_ready(lambda: accepts(self.port))
        return self


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / KIB
    raise RuntimeError("no VmRSS")


def load(port, secret, size, connections, requests):
    done = subprocess.run(
        [os.environ["HB_LOAD"], "--port", str(port), "--secret", secret,
         "--path", "/all", "--size", str(size), "--requests", str(requests),
         "--connections", str(connections), "--seconds", "30"],
        capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    result = json.loads(done.stdout)
    if set(result["codes"]) != {"200"}:
        raise RuntimeError(f"not only 200: {result}")
    return result


def measure(server, secret, size, connections, requests):
    before = cpu_seconds(server.pid)
    result = load(server.port, secret, size, connections, requests)
    spent = cpu_seconds(server.pid) - before
    return {"us": spent * 1e6 / result["answers"], "rate": result["rate"],
            "rss": rss_mib(server.pid),
            **{p: result["us"][p] / 1000 for p in ("p50", "p99", "p99.9")}}


def daemon(directory, name, sinks, targets, secret):
    conf = {
        "endpoints": {"all": {"path": "/all", "mode": "svix",
                              "secrets": ["file:secret"]}},
        "sinks": sinks, "routes": [{"to": targets}],
        "http": {"connections_per_address": 0},
        "memory": "1GiB",
        "log": {"level": "warning", "access": "debug"}}
    return Hookbridge(os.path.join(directory, name), conf,
                      files={"secret": secret})


def servers(directory, secret):
    """{name: a running server with a port and a pid}, and what to stop."""
    kafka = KafkaBroker(os.path.join(directory, "kafka"),
                        os.environ["HB_KAFKA"]).start()
    redis = RedisServer(os.path.join(directory, "redis")).start()
    redis.client().config_set("appendfsync", "everysec")
    kafka.create_topic("t", partitions=6)
    sinks = {"k": {"type": "kafka", "brokers": [kafka.address],
                   "properties": {"message.max.bytes": "2000000"}},
             "r": {"type": "redis", "url": redis.url}}
    to_kafka = {"sink": "k", "topic": "t"}
    to_redis = {"sink": "r", "stream": "s", "maxlen": 20000}
    made = {"nginx": Nginx(os.path.join(directory, "nginx")).start()}
    for name, names, targets in (("Kafka", "k", [to_kafka]),
                                 ("Redis", "r", [to_redis]),
                                 ("both", "kr", [to_kafka, to_redis])):
        made[name] = daemon(directory, name, {n: sinks[n] for n in names},
                            targets, secret).start()
    return made, [*made.values(), redis, kafka]


def warm_up(server, secret):
    """Connections, caches, metadata; until every sink takes everything."""
    def takes_all():
        try:
            return load(server.port, secret, 2 * KIB, 64, 2000)
        except RuntimeError:
            return False
    wait_until(takes_all, 60, server.name)


def versions():
    said = subprocess.run([os.environ["HB_DAEMON"], "--version"], check=True,
                          capture_output=True, text=True).stdout.strip()
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next(line.split(":")[1].strip() for line in f
                     if line.startswith("model name"))
    return (f"{datetime.date.today()}, {said.splitlines()[0]}, "
            f"{os.cpu_count()} × {model}, Linux {platform.release()}")


def row(size, connections, name, runs, yardstick):
    def median(key):
        return statistics.median(r[key] for r in runs)
    unit = f"{size // KIB} KiB" if size < KIB * KIB else "1 MiB"
    return (f"| {unit} | {connections} | {name} | {median('us'):.1f} "
            f"| {median('us') / yardstick:.2f} | {median('rate'):.0f} "
            f"| {median('p50'):.2f} / {median('p99'):.2f} / "
            f"{median('p99.9'):.2f} | {median('rss'):.0f} |")


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(REQUESTS))
    parser.add_argument("--connections", type=int, nargs="+",
                        default=[1, 64, 1000])
    args = parser.parse_args()
    secret = new_secret()
    with tempfile.TemporaryDirectory() as directory:
        made, to_stop = servers(directory, secret)
        try:
            for server in made.values():
                warm_up(server, secret)
            print(versions() + "\n")
            print("| body | connections | confirmed by | CPU µs per event "
                  "| × nginx | events/s | ms p50 / p99 / p99.9 | RSS MiB |")
            print("|---|---|---|---|---|---|---|---|")
            for size in args.sizes:
                for connections in args.connections:
                    runs = {name: [] for name in made}
                    for _ in range(args.runs):
                        for name, server in made.items():
                            runs[name].append(measure(
                                server, secret, size, connections,
                                REQUESTS[size][connections]))
                    yardstick = statistics.median(
                        r["us"] for r in runs["nginx"])
                    for name in made:
                        print(row(size, connections, name, runs[name],
                                  yardstick), flush=True)
        finally:
            for process in to_stop:
                process.kill()


if __name__ == "__main__":
    main()
