# SPDX-License-Identifier: Apache-2.0
"""Instructions and allocations per event, stage by stage; the committed
ceilings.

The real daemon runs under callgrind with one worker, a real Redis server, a
file, and librdkafka's simulated cluster. Each regime is run with N and then
with 2 N requests, and the difference divided by N: connections, housekeeping
and whatever else does not belong to an event cancel out.

The counts hold for one compiler, one set of libraries and one kind of
processor (functions of libc and libcrypto are chosen by it; callgrind has no
SHA instructions, so HMAC counts 30 times what it costs where there are any).
tests/bench/ceilings names those it was made with. Any other, and nothing is
compared.

What depends on timing is shown and not checked: where waits and wake-ups fall,
how librdkafka's messages fall into batches, and the spool's records into
groups.
"""

import argparse
import collections
import hashlib
import os
import re
import subprocess
import sys
import tempfile

import stand
# pylint: disable=wrong-import-order
from callgrind import ALLOCATOR, NAMES, THREADS, Profile
from hookbridge import Hookbridge, new_secret
from kafka import KafkaMock
from process import wait_until
from redis_server import RedisServer

CEILINGS = os.path.join(os.path.dirname(__file__), "ceilings")
SKIPPED = 77
SLACK = 0.10
SLACK_LEAST = 100  # instructions; a stage of 300 may well change by 40
ONCE = 4000  # what a run may spend on something that happens now and then
FLAT = 0.15
ROUTES = 1000

# N requests, by size and connections.
REQUESTS = {("2k", 1): 200, ("2k", 64): 640, ("2k", 1000): 2000,
            ("16k", 1): 100, ("1m", 1): 4}
_SHAPES = tuple(REQUESTS)
REGIMES = {f"{sink}-{size}-{connections}": (sink, size, connections)
           for sink in ("redis", "kafka") for size, connections in _SHAPES}
REGIMES["file-2k-1"] = ("file", "2k", 1)
REGIMES["routes-2k-1"] = ("routes", "2k", 1)  # one of 1000, to Redis
REGIMES["beside-2k-64"] = ("beside", "2k", 64)  # Redis, beside a spool
REGIMES["spooled-2k-64"] = ("spooled", "2k", 64)  # and then sent to Redis

# (this regime, costs the same as that one)
SAME = (("redis-2k-1000", "redis-2k-64"), ("kafka-2k-1000", "kafka-2k-64"),
        ("routes-2k-1", "redis-2k-1"), ("beside-2k-64", "redis-2k-64"))

_UNCHECKED = {THREADS, ALLOCATOR, "loop", "admin"}
# Of what is spooled, whatever works on groups of records.
_UNCHECKED_SPOOLED = {"spool", "replay", "sink"}


# --- the daemon under callgrind -----------------------------------------------

class Counted(Hookbridge):
    """A daemon whose counts can be taken between two loads."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self._dumps = 0

    def spawn(self, argv, **options):
        super().spawn(["valgrind", "--tool=callgrind", "--dump-line=no",
                       f"--callgrind-out-file={self.directory}/callgrind",
                       *argv], **options)

    def dump(self):
        """The path of what was counted since the last dump."""
        self._dumps += 1
        path = f"{self.directory}/callgrind.{self._dumps}"
        subprocess.run(["vgdb", f"--pid={self.pid}", "dump"], check=True,
                       capture_output=True)
        wait_until(lambda: _is_whole(path), 60, path)
        return path


def _is_whole(path):
    if not os.path.exists(path):
        return False
    with open(path, encoding="utf-8", errors="replace") as f:
        return "\ntotals:" in f.read()[-200:]


def _targets(directory, kafka, redis):
    sinks = {"redis": stand.redis_sink(redis.url),
             "kafka": stand.kafka_sink(kafka.address),
             "file": {"type": "file", "path": f"{directory}/events.ndjson"}}
    targets = {"redis": {"sink": "redis", "stream": "s", "maxlen": 1000},
               "kafka": {"sink": "kafka", "topic": "t"},
               "file": {"sink": "file"}}
    return sinks, targets


def _many_routes(target):
    """One in a thousand matches the load's events."""
    return [{"when": {"endpoint": "redis", "metadata.document_type": name},
             "to": target}
            for name in ["invoice", *map("type-{}".format, range(1, ROUTES))]]


_DAEMONS = {"routes": "routes", "beside": "spool", "spooled": "spool"}
_GOOD = ("200", "202")


class Bench:
    """Everything that is needed for the regimes, started when it is first."""

    def __init__(self, directory):
        self.directory = directory
        self.secret = new_secret()
        self._redis = RedisServer(f"{directory}/redis").start()
        self._redis.client().config_set("appendfsync", "no")
        self._kafka = KafkaMock(f"{directory}/kafka",
                                os.environ["HB_KAFKA_MOCK"]).start("t:6")
        self._daemons = {}

    def close(self):
        for process in (*self._daemons.values(), self._redis, self._kafka):
            process.kill()

    def daemon(self, sink):
        name = _DAEMONS.get(sink, "plain")
        if name not in self._daemons:
            self._daemons[name] = self._start(name)
        return self._daemons[name]

    def _start(self, name):
        sinks, targets = _targets(self.directory, self._kafka, self._redis)
        if name != "plain":
            sinks = {"redis": sinks["redis"]}
            targets = {"redis": targets["redis"]}
        if name == "spool":
            targets["spooled"] = targets["redis"]
        conf = stand.config(sinks, targets, workers=1,
                            dedup={"max_entries": 200000})
        if name == "routes":
            conf["routes"] = _many_routes(targets["redis"])
        elif name == "spool":
            conf["endpoints"]["spooled"]["ack"] = "spooled"
            conf["spool"] = {}
        daemon = Counted(f"{self.directory}/{name}", conf,
                         files={"secret": self.secret}).start()
        for endpoint in targets:
            stand.warm_up(daemon, self.secret, f"/{endpoint}", 8, 50, _GOOD)
        return daemon

    def _redis_has(self):
        """All entries ever added."""
        client = self._redis.client()
        return (client.xinfo_stream("s")["entries-added"]
                if client.exists("s") else 0)

    def count(self, regime):
        """Runs a regime; the two dumps and the number of events between."""
        sink, size, connections = REGIMES[regime]
        requests = REQUESTS[size, connections]
        daemon = self.daemon(sink)
        path = "/redis" if sink in ("routes", "beside") else f"/{sink}"

        def run(times):
            sent = self._redis_has()
            stand.load(daemon.port, self.secret, path, stand.SIZES[size],
                       connections, times * requests, codes=_GOOD)
            if sink == "spooled":
                sent += times * requests
                # Not by asking the daemon again and again, which it counts.
                wait_until(lambda: self._redis_has() >= sent, 60, "the replay")
                daemon.wait_drained()
            return daemon.dump()
        run(1)
        return run(1), run(2), requests


# --- what was counted ---------------------------------------------------------

class Cost:
    """Of one event in one regime. stages: {stage: {origin: instructions}},
    allocations: {stage: number}."""

    def __init__(self, regime, less, more, events):
        self.regime = regime
        less, more = Profile(less, stand.ROOT), Profile(more, stand.ROOT)
        a, b = less.stages(), more.stages()
        self.stages = {
            stage: {origin: (b[stage][origin] - a[stage][origin]) / events
                    for origin in a[stage].keys() | b[stage]}
            for stage in NAMES}
        a, b = less.allocations(), more.allocations()
        self.allocations = {stage: (b[stage] - a[stage]) / events
                            for stage in NAMES}

    def of(self, stage):
        return sum(self.stages[stage].values())

    def total(self):
        """All but the libraries' own threads."""
        return sum(self.of(stage) for stage in NAMES if stage != THREADS)

    def without_hash(self):
        """The same but for libcrypto's instructions, see the head."""
        return self.total() - sum(self.stages[stage].get("libcrypto", 0)
                                  for stage in NAMES)

    def _is_steady(self, stage):
        sink, size, connections = REGIMES[self.regime]
        batches = sink == "kafka" and (connections > 1 or size == "1m")
        return (stage not in _UNCHECKED
                and not (batches and stage == "sink")
                # Megabytes take so long that each is answered in another
                # second, whose name is made anew.
                and not (size == "1m" and stage == "answer")
                and not (sink == "spooled" and stage in _UNCHECKED_SPOOLED))

    def figures(self):
        """{name: number} of what is the same in every run."""
        found = {"total": self.total(), "rest": self.without_hash()}
        for stage in NAMES:
            if self._is_steady(stage):
                found[stage] = self.of(stage)
                found[f"{stage}.allocations"] = self.allocations[stage]
        return {name: value for name, value in found.items() if value >= 0.05}


def print_cost(cost):
    print(f"\n{cost.regime}: {cost.total():.0f} instructions per event, "
          f"{cost.without_hash():.0f} without libcrypto\n")
    print("| stage | instructions | own | base | libraries | allocations |")
    print("|---|---|---|---|---|---|")
    for stage in NAMES:
        origins = collections.Counter(cost.stages[stage])
        own, base = origins.pop("own", 0), origins.pop("base", 0)
        libraries = ", ".join(f"{name} {number:.0f}" for name, number
                              in origins.most_common() if number >= 10)
        print(f"| {stage} | {cost.of(stage):.0f} | {own:.0f} | {base:.0f} "
              f"| {libraries} | {cost.allocations[stage]:.1f} |")


def summary(costs):
    """A table of all stages in all regimes."""
    yield "| per event | " + " | ".join(costs) + " |"
    yield "|---|" + "---|" * len(costs)
    for stage in NAMES:
        yield f"| {stage} | " + " | ".join(
            f"{max(0, cost.of(stage)):.0f}" for cost in costs.values()) + " |"
    for name, number in (("all but library threads", Cost.total),
                         ("the same without libcrypto", Cost.without_hash)):
        yield f"| {name} | " + " | ".join(
            f"{number(cost):.0f}" for cost in costs.values()) + " |"
    yield "| allocations | " + " | ".join(
        f"{sum(cost.allocations.values()):.0f}"
        for cost in costs.values()) + " |"


def print_profile(less, more, events):
    a, b = Profile(less, stand.ROOT), Profile(more, stand.ROOT)
    for kind, spent in (("itself", lambda p: p.self_cost),
                        ("with all that it calls", Profile.inclusive)):
        difference = spent(b)
        difference.subtract(spent(a))
        print(f"\nInstructions per event, {kind}:\n")
        for (obj, path, name), cost in difference.most_common(30):
            where = path if path != "???" else os.path.basename(obj)
            print(f"{cost / events:10.0f}  {name[:40]:40}  {where}")


# --- ceilings -----------------------------------------------------------------

_LIBRARIES = re.compile(r"\s(lib(?:c|crypto|event_core|hiredis|rdkafka)[-.]\S*)"
                        r" => (\S+)")
_FEATURES = ("avx", "avx2", "bmi1", "bmi2", "erms", "fsrm")


def _output(*argv):
    return subprocess.run(argv, check=True, capture_output=True,
                          text=True).stdout


def _compiler():
    makefile = os.path.join(os.path.dirname(os.environ["HB_DAEMON"]),
                            "Makefile")
    with open(makefile, encoding="utf-8") as f:
        variables = dict(re.findall(r"^(CC|CFLAGS) = (.*)$", f.read(), re.M))
    version = _output(*variables["CC"].split(), "--version").splitlines()[0]
    return f"{version} {variables['CFLAGS']}"


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        flags = re.search(r"^flags\s*:(.*)$", f.read(), re.M)
    have = flags[1].split() if flags else []
    return " ".join([os.uname().machine, *(f for f in _FEATURES if f in have)])


def surroundings():
    """{what counts depend on: which it is here}"""
    found = {"compiler": _compiler(), "processor": _processor(),
             "valgrind": _output("valgrind", "--version").strip()}
    for name, path in _LIBRARIES.findall(_output("ldd",
                                                 os.environ["HB_DAEMON"])):
        with open(path, "rb") as f:
            found[name] = "sha256 " + hashlib.sha256(f.read()).hexdigest()[:16]
    return found


_HEAD = """\
# What an event may cost, in user-space instructions and in allocations:
#
#   REGIME FIGURE NUMBER     measured; up to 10 % more passes
#   with THING: WHICH        holds for this one only
#
# rest: the total without libcrypto's.
#
# Written by: sh tests/bench/instructions --update
"""


def write_ceilings(figures):
    with open(CEILINGS, "w", encoding="utf-8") as f:
        f.write(_HEAD)
        for thing, which in surroundings().items():
            f.write(f"with {thing}: {which}\n")
        for regime, numbers in figures.items():
            for name, number in numbers.items():
                digits = 1 if name.endswith(".allocations") else 0
                f.write(f"{regime} {name} {number:.{digits}f}\n")


def read_ceilings():
    """(surroundings, {regime: {figure: number}})"""
    around, figures = {}, collections.defaultdict(dict)
    with open(CEILINGS, encoding="utf-8") as f:
        for line in f:
            if line.startswith("with "):
                thing, which = line[5:].strip().split(": ", 1)
                around[thing] = which
            elif line.strip() and not line.startswith("#"):
                regime, name, number = line.split()
                figures[regime][name] = float(number)
    return around, figures


def limit_of(regime, name, ceiling):
    requests = REQUESTS[REGIMES[regime][1:]]
    if name.endswith(".allocations"):
        return ceiling * 1.05 + 1 / requests + 0.1
    return max(ceiling * (1 + SLACK), ceiling + SLACK_LEAST,
               ceiling + ONCE / requests)


def over_ceiling(figures, ceilings):
    """Sentences about what costs more than it may."""
    complaints = []
    for regime, numbers in figures.items():
        for name, number in numbers.items():
            ceiling = ceilings[regime].get(name, 0)
            if number > limit_of(regime, name, ceiling):
                complaints.append(
                    f"{regime} {name}: {number:.1f} per event, ceiling "
                    f"{ceiling:g}")
    return complaints


def not_flat(costs):
    """Sentences about what grows with connections or routes."""
    complaints = []
    for regime, other in SAME:
        if regime in costs and other in costs:
            ratio = (costs[regime].without_hash()
                     / costs[other].without_hash())
            print(f"{regime} is {ratio:.3f} of {other}")
            if abs(ratio - 1) > FLAT:
                complaints.append(f"{regime} costs {ratio:.2f} of {other}, "
                                  f"more than {FLAT:.0%} away")
    return complaints


def check(costs, ceilings):
    figures = {regime: cost.figures() for regime, cost in costs.items()}
    complaints = over_ceiling(figures, ceilings) + not_flat(costs)
    for complaint in complaints:
        print(f"FAILED {complaint}")
    if complaints:
        print("\nWhere it goes: sh tests/bench/instructions --profile REGIME\n"
              "If it has to be so: sh tests/bench/instructions --update")
    checked = sum(map(len, figures.values()))
    print(f"{checked - len(complaints)} passed, {len(complaints)} failed")
    return 1 if complaints else 0


def foreign(around):
    """What differs here from what the ceilings were made with."""
    here = surroundings()
    return [f"{thing} is {here.get(thing)}, the ceilings are for "
            f"{around.get(thing)}" for thing in sorted(here.keys() | around)
            if here.get(thing) != around.get(thing)]


# --- the command --------------------------------------------------------------

def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/instructions")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--update", action="store_true")
    what.add_argument("--profile", action="store_true")
    parser.add_argument("regimes", nargs="*", metavar="REGIME")
    args = parser.parse_args()
    for regime in args.regimes:
        if regime not in REGIMES:
            parser.error(f"no regime {regime}; there are "
                         + " ".join(REGIMES))
    if args.update and args.regimes:
        parser.error("--update measures all regimes")
    if args.profile and len(args.regimes) != 1:
        parser.error("--profile is of one regime")
    return args


def profile(regime):
    directory = tempfile.mkdtemp(prefix="hookbridge-callgrind-")
    bench = Bench(directory)
    try:
        less, more, events = bench.count(regime)
        print_profile(less, more, events)
        print(f"\nkcachegrind, callgrind_annotate: {more}")
    finally:
        bench.close()


def measure(regimes):
    costs = {}
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(directory)
        try:
            for regime in regimes:
                costs[regime] = Cost(regime, *bench.count(regime))
        finally:
            bench.close()
    return costs


def main():
    args = parse_arguments()
    if args.profile:
        profile(args.regimes[0])
        return 0
    around, ceilings = read_ceilings() if args.check else ({}, {})
    differences = foreign(around) if args.check else []
    if differences:
        print("nothing compared:", *differences, sep="\n  ")
        return SKIPPED
    costs = measure(args.regimes or REGIMES)
    if args.check:
        return check(costs, ceilings)
    for cost in costs.values():
        print_cost(cost)
    print()
    not_flat(costs)
    if args.update:
        write_ceilings({regime: cost.figures()
                        for regime, cost in costs.items()})
        stand.write_readme("instructions", "\n".join(summary(costs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
