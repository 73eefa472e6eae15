# SPDX-License-Identifier: Apache-2.0
"""What an event costs: the daemon's processor time, rate, latency and memory,
beside nginx answering 200 to the same requests in the same run, and the budgets
that all this has to keep.

Started by tests/bench/run, which says where everything is. Every figure is the
median of several runs, taken in turn, so that a machine that slows down slows
all of them.

What is measured beside the daemon:

  nginx      reads the request, answers 200: what HTTP costs
  floor      tests/bench/floor.c: receives, hashes, scans, answers 200
  seen       the daemon, for webhooks that it has seen before: everything but
             publishing
  direct     tests/bench/direct.c: the broker's own round trip

With a spool there is more to an event than its answer: what is kept is sent
later. So the processor time of these rows is counted until the spool is empty.
"""

import argparse
import datetime
import glob
import itertools
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile

import stand
# pylint: disable=wrong-import-order
from stand import KIB, MIB
from hookbridge import Hookbridge, new_secret
from instructions import SAME, read_ceilings
from kafka import KafkaBroker
from process import Process, accepts, free_port, wait_until
from redis_server import RedisServer

# How many requests take about two seconds, by body size and connections.
REQUESTS = {2 * KIB: {1: 12000, 64: 80000, 1000: 80000},
            16 * KIB: {1: 8000, 64: 32000, 1000: 32000},
            MIB: {1: 600, 16: 800, 64: 800, 1000: 1000}}
FIRST = (2 * KIB, 64)  # what most budgets speak of
POINTS = ("p50", "p99", "p99.9", "p99.99")
CODES = {"/all": ("200",), "/spooled": ("202",)}
IDLE_CONNECTIONS = 10000
DRAIN_S = 120
PARTITIONS = 6

# How a table row calls the server. The order is that of the rows.
ROWS = {"nginx": "nginx, 200", "floor": "floor", "seen": "nobody (seen)",
        "redis": "Redis", "kafka": "Kafka", "both": "both"}
# What the spool costs: of the first shape only, with ROWS in turn.
SPOOL_ROWS = {"redis_beside": "Redis, beside a spool",
              "kafka_beside": "Kafka, beside a spool",
              "kept": "the spool, Redis being away",
              "redis_spooled": "the spool, and then sent to Redis",
              "kafka_spooled": "the spool, and then sent to Kafka"}

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


# --- servers ------------------------------------------------------------------

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


class Floor(Process):
    def __init__(self, directory):
        super().__init__("floor", directory)
        self.port = None

    def start(self):
        self.spawn([os.environ["HB_FLOOR"]], stdout=subprocess.PIPE)
        self.port = int(self.popen.stdout.readline())
        return self


class Servers:
    """All of them, running. places: {row: (which of them, the path)}."""

    def __init__(self, directory, memory_directory):
        self.directory = directory
        self.secret = new_secret()
        self._seeds = itertools.count(1)
        self.broker = KafkaBroker(f"{directory}/broker",
                                  os.environ["HB_KAFKA"]).start()
        self.store = RedisServer(f"{memory_directory}/store").start()
        self.store.client().config_set("appendfsync", "everysec")
        # A fork now and then, which stops the server, is not ours to measure.
        self.store.client().config_set("auto-aof-rewrite-percentage", 0)
        self.broker.create_topic("t", partitions=PARTITIONS,
                                 max_message_bytes=2000000)
        self.nginx = Nginx(f"{directory}/nginx").start()
        self.floor = Floor(f"{directory}/floor").start()
        self.redis = self._daemon("redis", "redis")
        self.kafka = self._daemon("kafka", "kafka")
        self.both = self._daemon("both", "redis", "kafka")
        self.places = {name: (getattr(self, name), "/all") for name
                       in ("nginx", "floor", "redis", "kafka", "both")}
        self.places["seen"] = (self.redis, "/all")
        self._add_spools()

    def _add_spools(self):
        """One daemon for each sink; what is confirmed and what is spooled are
        two endpoints of it."""
        for sink in ("redis", "kafka"):
            daemon = self._daemon(f"{sink}-spool", sink, spool={})
            self.places[f"{sink}_beside"] = (daemon, "/all")
            self.places[f"{sink}_spooled"] = (daemon, "/spooled")
        away = self._daemon("kept", "redis", spool={},
                            store=f"redis://127.0.0.1:{free_port()}/0")
        self.places["kept"] = (away, "/spooled")

    def stop(self):
        servers = {server for server, _ in self.places.values()}
        for process in (*servers, self.store, self.broker):
            process.kill()

    def idle_daemon(self):
        """Another one, with both sinks, that nobody has used."""
        return self._daemon("idle", "redis", "kafka", memory="256MiB",
                            http={"connections": 2 * IDLE_CONNECTIONS,
                                  "connections_per_address": 0})

    def _daemon(self, name, *sinks, store=None, **more):
        every = {"redis": stand.redis_sink(store or self.store.url),
                 "kafka": stand.kafka_sink(self.broker.address)}
        targets = {"redis": {"sink": "redis", "stream": "s", "maxlen": 1000},
                   "kafka": {"sink": "kafka", "topic": "t"}}
        wanted = [targets[sink] for sink in sinks]
        endpoints = ("all", "spooled") if "spool" in more else ("all",)
        conf = stand.config({sink: every[sink] for sink in sinks},
                            {name: wanted for name in endpoints},
                            **{"memory": "4GiB", **more})
        if "spooled" in endpoints:
            conf["endpoints"]["spooled"]["ack"] = "spooled"
        return Hookbridge(f"{self.directory}/{name}", conf,
                          files={"secret": self.secret}).start()

    def begin_file(self, size):
        """Redis' file anew; none for megabytes, which would fill the memory."""
        client = self.store.client()
        client.config_set("appendonly", "no")
        if size != MIB:
            client.config_set("appendonly", "yes")
            wait_until(lambda: not client.info("persistence")
                       ["aof_rewrite_in_progress"], 20, "Redis' file")

    def warm_up(self):
        for server, path in self.places.values():
            stand.warm_up(server, self.secret, path, codes=CODES[path])
        # Segments that are used again are most of all segments.
        for name in ("redis_spooled", "kafka_spooled"):
            self.load(name, 2 * KIB, 64, 100000)
        # Java needs some practice to be as quick as it will be.
        for _ in range(3):
            stand.load(self.kafka.port, self.secret, "/all", 2 * KIB, 64,
                       50000)

    def load(self, name, size, connections, requests, **more):
        server, path = self.places[name]
        if name == "seen":  # the ids at least: small bodies will do
            more["seed"] = next(self._seeds)
            stand.load(server.port, self.secret, "/all", 256, 64, requests,
                       **more)
        more["codes"] = CODES[path]
        if size == MIB:  # more than is kept in flight is refused
            more["codes"] += ("503",)
        before = cpu_seconds(server.pid)
        result = stand.load(server.port, self.secret, path, size,
                            connections, requests, **more)
        if name.endswith("_spooled"):
            server.wait_drained(DRAIN_S)
        spent = cpu_seconds(server.pid) - before
        return {"us": spent * 1e6 / result["answers"], "rate": result["rate"],
                "503": result["codes"].get("503", 0) / result["answers"],
                "rss": rss_mib(server.pid),
                **{p: result["us"][p] / 1000 for p in POINTS}}


def cpu_seconds(pid):
    """Of all its threads, to the nanosecond."""
    spent = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as f:
            spent += int(f.read().split()[0])
    return spent / 1e9


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) / KIB


# --- what is measured ---------------------------------------------------------

def median(runs, key):
    return statistics.median(run[key] for run in runs)


def attempt(what, *arguments, **options):
    """A run that a busy machine spoils is tried again."""
    for left in (2, 1, 0):
        try:
            return what(*arguments, **options)
        except RuntimeError as error:
            print(f"bench: {arguments}: {error}", file=sys.stderr)
            if left == 0:
                raise
    return None


def measure_shape(servers, size, connections, runs):
    """{name: medians of the runs}"""
    servers.begin_file(size)
    names = [*ROWS, *SPOOL_ROWS] if (size, connections) == FIRST else ROWS
    found = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            found[name].append(attempt(
                servers.load, name, size, connections,
                REQUESTS[size][connections]))
    return {name: {key: median(found[name], key) for key in found[name][0]}
            for name in names}


def direct(option, address, place, rate, requests):
    done = subprocess.run(
        [os.environ["HB_DIRECT"], option, str(address), "--rate", str(rate),
         "--requests", str(requests), "--size", str(2 * KIB), place],
        capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return {p: us / 1000 for p, us in json.loads(done.stdout).items()}


# direct.c makes no batches: Kafka would be busy with its single messages, and
# take longer than for our batches.
DIRECT_RATE = {"redis": 50000, "kafka": 1000}


def measure_added(servers, rates, runs, seconds):
    """{sink: (the daemon's latencies, the broker's own, the rate)} in an open
    loop at half of what was reached in a closed one."""
    brokers = {"redis": ("--redis", servers.store.port, "direct"),
               "kafka": ("--kafka", servers.broker.address, "t")}
    ours, theirs = {n: [] for n in brokers}, {n: [] for n in brokers}
    for _ in range(runs):
        for name, broker in brokers.items():
            rate = round(rates[name] / 2)
            alone = min(rate, DIRECT_RATE[name])
            theirs[name].append(
                attempt(direct, *broker, alone, int(alone * seconds)))
            ours[name].append(attempt(servers.load, name, 2 * KIB, 64,
                                      int(rate * seconds), rate=rate))
    return {name: ({p: median(ours[name], p) for p in ours[name][0]},
                   {p: median(theirs[name], p) for p in theirs[name][0]},
                   rates[name] / 2) for name in brokers}


def measure_memory(servers):
    """MiB: (idle, with many connections that have had an answer each)"""
    daemon = servers.idle_daemon()
    opened = []
    try:
        wait_until(lambda: accepts(daemon.port), 20, "idle daemon")
        idle = rss_mib(daemon.pid)
        for _ in range(IDLE_CONNECTIONS):
            opened.append(socket.create_connection(("127.0.0.1", daemon.port)))
            opened[-1].sendall(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n")
        for connection in opened:
            assert connection.recv(4096).startswith(b"HTTP/1.1 404")
        return idle, rss_mib(daemon.pid)
    finally:
        for connection in opened:
            connection.close()
        daemon.kill()


# --- tables -------------------------------------------------------------------

def versions():
    said = subprocess.run([os.environ["HB_DAEMON"], "--version"], check=True,
                          capture_output=True, text=True).stdout.strip()
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next(line.split(":")[1].strip() for line in f
                     if line.startswith("model name"))
    return (f"{datetime.date.today()}, {said.splitlines()[0]}, "
            f"{os.cpu_count()} × {model}, Linux {platform.release()}")


def brokers():
    """What stood beside it."""
    nginx = subprocess.run(["/usr/sbin/nginx", "-v"], capture_output=True,
                           text=True, check=True).stderr.strip()
    redis = subprocess.run(["redis-cli", "--version"], capture_output=True,
                           text=True, check=True).stdout.strip()
    jar = glob.glob(os.path.join(os.environ["HB_KAFKA"], "kafka_2*.jar"))[0]
    kafka = re.search(r"-([\d.]+)\.jar", jar)[1]
    return (f"{nginx.rsplit(': ', 1)[-1]}, {redis} (appendfsync everysec; "
            f"without a file for bodies of 1 MiB), Kafka {kafka} "
            f"({PARTITIONS} partitions, acks=all)")


def shape_name(size):
    return "1 MiB" if size == MIB else f"{size // KIB} KiB"


def main_table(found):
    yield ("| body | connections | settled by | CPU µs per event | × nginx "
           "| events/s | 503 | ms p50 / p99 / p99.9 / p99.99 | RSS MiB |")
    yield "|---|---|---|---|---|---|---|---|---|"
    for (size, connections), rows in found.items():
        for name, m in rows.items():
            latency = " / ".join(f"{m[p]:.2f}" for p in POINTS)
            yield (f"| {shape_name(size)} | {connections} "
                   f"| {ROWS.get(name) or SPOOL_ROWS[name]} "
                   f"| {m['us']:.1f} | {m['us'] / rows['nginx']['us']:.2f} "
                   f"| {m['rate']:.0f} "
                   f"| {format(m['503'], '.0%') if m['503'] else ''} "
                   f"| {latency} | {m['rss']:.0f} |")


def added_table(added):
    yield "| broker | events/s | ms p50 / p99 / p99.9 | its own round trip |"
    yield "|---|---|---|---|"
    for name, (ours, theirs, rate) in added.items():
        yield (f"| {ROWS[name]} | {rate:.0f} "
               "| " + " / ".join(f"{ours[p]:.2f}" for p in POINTS[:3])
               + " | " + " / ".join(f"{theirs[p]:.2f}" for p in POINTS[:3])
               + " |")


def cpu_budgets(found):
    """(what, limit, measured, unit); limits are those of the design."""
    rows = found[FIRST]
    for name, limit in (("kafka", 2.5), ("redis", 2.0)):
        yield (f"2 KiB confirmed to {ROWS[name]}, 64 connections: CPU",
               limit, rows[name]["us"] / rows["nginx"]["us"], "× nginx")
    for name, what in (("kept", "kept in the spool"),
                       ("redis_spooled", "spooled and sent to Redis")):
        yield (f"2 KiB {what}, 64 connections: CPU", 2.0,
               rows[name]["us"] / rows["nginx"]["us"], "× nginx")
    for name in ("kafka", "redis"):
        yield (f"2 KiB confirmed to {ROWS[name]} beside a spool: CPU", 1.05,
               rows[f"{name}_beside"]["us"] / rows[name]["us"],
               "× without one")
    rows = found.get((MIB, 16))
    if rows:
        yield ("1 MiB received and read, 16 connections: CPU", 1.2,
               rows["seen"]["us"] / rows["floor"]["us"], "× floor")


def memory_budgets(memory):
    idle, many = memory
    yield "RSS, idle", 20, idle, "MiB"
    yield f"RSS, {IDLE_CONNECTIONS} idle connections", 100, many, "MiB"


def latency_budgets(added):
    for name, (ours, theirs, _) in added.items():
        yield (f"2 KiB to {ROWS[name]} at half load: p99 over the broker's "
               "own", 1.0, ours["p99"] - theirs["p99"], "ms")


def flatness_budgets():
    """From the committed instruction counts."""
    _, figures = read_ceilings()
    for regime, other in SAME:
        ratio = figures[regime]["rest"] / figures[other]["rest"]
        yield (f"instructions of {regime}: away from {other}", 15,
               abs(ratio - 1) * 100, "%")


# What has been measured of others on such a machine: the most is asked.
RATES = {"kafka": 27000, "redis": 22000}


def budget_table(budgets, found):
    yield "| budget | limit | measured | |"
    yield "|---|---|---|---|"
    for what, limit, measured, unit in budgets:
        verdict = "kept" if measured <= limit else "**missed**"
        yield (f"| {what} | ≤ {limit} {unit} | {measured:.2f} {unit} "
               f"| {verdict} |")
    for name, limit in RATES.items():
        rate = found[FIRST][name]["rate"]
        yield (f"| events/s to {ROWS[name]}, 64 connections | ≥ {limit} "
               f"| {rate:.0f} "
               f"| {'kept' if rate >= limit else '**missed**'} |")


def report(found, added, memory, runs):
    budgets = [*cpu_budgets(found), *latency_budgets(added),
               *memory_budgets(memory), *flatness_budgets()]
    yield f"{versions()};\n{brokers()}. Medians of {runs} runs.\n"
    yield "### Budgets\n"
    yield from budget_table(budgets, found)
    yield "\n### Events\n"
    yield from main_table(found)
    yield "\n### Half load, open loop, 2 KiB, 64 connections\n"
    yield from added_table(added)


# --- the command --------------------------------------------------------------

def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", choices=REQUESTS,
                        default=list(REQUESTS))
    return parser.parse_args()


def shapes_of(args):
    """[(size, connections)] after the first."""
    if args.quick:
        return [(MIB, 16)]
    return [(size, connections) for size in args.sizes
            for connections in REQUESTS[size] if (size, connections) != FIRST]


def main():
    args = parse_arguments()
    runs = 1 if args.quick else args.runs
    # Redis' file is kept in memory: on the disk that Kafka uses too, waiting
    # for the disk would be measured.
    with tempfile.TemporaryDirectory() as directory, \
            tempfile.TemporaryDirectory(dir="/dev/shm") as memory_directory:
        servers = Servers(directory, memory_directory)
        try:
            memory = measure_memory(servers)
            servers.warm_up()
            found = {FIRST: measure_shape(servers, *FIRST, runs)}
            # Before gigabytes are on their way to the disk.
            rates = {name: found[FIRST][name]["rate"]
                     for name in ("redis", "kafka")}
            added = measure_added(servers, rates, runs,
                                  1 if args.quick else 4)
            for size, connections in shapes_of(args):
                found[size, connections] = measure_shape(
                    servers, size, connections, runs)
                print(f"bench: {shape_name(size)}, {connections}: done",
                      file=sys.stderr)
        finally:
            servers.stop()
    text = "\n".join(report(found, added, memory, runs))
    print(text)
    if args.readme:
        stand.write_readme("measured", text)


if __name__ == "__main__":
    main()
