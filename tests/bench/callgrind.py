# SPDX-License-Identifier: Apache-2.0
"""Reads what callgrind counted, and says which stage of an event spent it.

A function of ours belongs to the stage its file belongs to. What has no stage
of its own (src/base, libraries) is spent for its callers, and is shared among
them as callgrind saw them call it. So a stage has its own instructions, those
of our base and those of each library, and nothing is counted twice. What nobody
of ours has called is a library's own thread. malloc and free are a stage of
their own: what they cost depends on what was freed before.
"""

import collections
import os
import re

# The first that matches. A path is from the source tree's root on.
STAGES = (
    ("src/http/parse.c src/http/lex.c src/http/chunk.c", "parse"),
    ("src/http/answer.c src/http/reply.c src/intake/answer.c", "answer"),
    ("src/http/ src/net/", "connection"),
    ("src/intake/ src/daemon/", "exchange"),
    ("src/verify/", "verify"),
    ("src/normalize/", "normalize"),
    ("src/event/", "event"),
    ("src/route/", "route"),
    ("src/render/", "render"),
    ("src/deliver/dedup src/deliver/seen src/deliver/journal", "dedup"),
    ("src/deliver/", "deliver"),
    ("src/sink/", "sink"),
    ("src/store/ src/spool/", "spool"),
    ("src/replay/", "replay"),
    ("src/admin/", "admin"),
    ("src/base/log.c", "log"),
    ("src/base/loop.c src/base/deadline.c", "loop"),
)
ALLOCATOR = "malloc, free"
THREADS = "library threads"
NAMES = [name for _, name in STAGES] + [ALLOCATOR, THREADS]
_BASE = ("src/base/", "include/hookbridge/", "src/cfg/")
_ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign",
               "aligned_alloc", "reallocarray"}
_MEMORY = _ALLOCATORS | {"free", "cfree"}
_ROUNDS = 40

_NAME = re.compile(r"(c?)(ob|fl|fi|fe|fn)=\((\d+)\)(?: (.*))?$")
_LIBRARY = re.compile(r"(lib[a-z0-9_+-]+?)[-.0-9]*\.so")


class Profile:
    """self_cost: {function: instructions}; calls: {(caller, callee): [number,
    instructions in it]}. A function is (object, file, name)."""

    def __init__(self, path, source_dir):
        self.self_cost = collections.Counter()
        self.calls = collections.defaultdict(lambda: [0, 0])
        self._source = os.path.realpath(source_dir) + "/"
        self._names = {"ob": {}, "fl": {}, "fn": {}}
        with open(path, encoding="utf-8", errors="replace") as f:
            self._read(f)

    def _name(self, kind, number, name):
        table = self._names["fl" if kind in ("fi", "fe") else kind]
        if name is not None:
            table[number] = name
        return table[number]

    def _read(self, lines):
        here, there = {}, {}
        calls = None
        for line in lines:
            line = line.rstrip("\n")
            found = _NAME.match(line)
            if found:
                callee, kind, number, name = found.groups()
                value = self._name(kind, number, name)
                if callee:
                    there["fl" if kind in ("fi", "fe") else kind] = value
                elif kind in ("ob", "fl", "fn"):  # fi, fe: inlined, still us
                    here[kind] = value
            elif line.startswith("calls="):
                calls = int(line[6:].split()[0])
            elif line and line[0] in "+-*0123456789":
                cost = int((line.split() + ["0"])[1])
                self._count(here, there, calls, cost)
                if calls is not None:
                    calls, there = None, {}

    def _count(self, here, there, calls, cost):
        function = (here.get("ob", "?"), self._file(here["fl"]), here["fn"])
        if calls is None:
            self.self_cost[function] += cost
            return
        callee = (there.get("ob", function[0]),
                  self._file(there.get("fl", here["fl"])), there["fn"])
        edge = self.calls[function, callee]
        edge[0] += calls
        edge[1] += cost

    def _file(self, path):
        path = os.path.normpath(path)
        return path[len(self._source):] if path.startswith(self._source) \
            else path

    # --- stages ---------------------------------------------------------------

    def total(self):
        return sum(self.self_cost.values())

    def shares(self, by=1):
        """{function: {stage: part of it}}, the parts of one making 1; shared
        among callers by instructions, or (0) by the number of calls."""
        callers = collections.defaultdict(list)
        functions = set(self.self_cost)
        for (caller, callee), edge in self.calls.items():
            functions |= {caller, callee}
            if caller != callee:
                callers[callee].append((caller, edge[by]))
        shares, shared = {}, []
        for function in sorted(functions):
            stage = stage_of(function)
            if stage is None and callers[function]:
                shared.append(function)
            else:
                shares[function] = {stage or THREADS: 1.0}
        for _ in range(_ROUNDS):  # callers may be shared, and in circles
            changed = False
            for function in shared:
                new = _mix(callers[function], shares)
                changed |= _differ(new, shares.get(function, {}))
                shares[function] = new
            if not changed:
                break
        return shares

    def stages(self):
        """{stage: {"own" | "base" | library: instructions}}"""
        spent = {name: collections.Counter() for name in NAMES}
        shares = self.shares()
        for function, cost in self.self_cost.items():
            for stage, part in shares[function].items():
                spent[stage][origin_of(function)] += cost * part
        found = sum(map(sum, (s.values() for s in spent.values())))
        assert abs(found - self.total()) <= self.total() / 1000, found
        if not spent["exchange"]["own"]:
            raise SystemExit("bench: hookbridged has no debugging information "
                             f"about {self._source}: build it there with -g")
        return spent

    def allocations(self):
        """{stage: calls of malloc and its kin}"""
        made = collections.Counter()
        shares = self.shares(by=0)
        for (caller, callee), (number, _) in self.calls.items():
            if _is(callee, _ALLOCATORS) and not _is(caller, _MEMORY):
                for stage, part in shares[caller].items():
                    made[stage] += number * part
        return made

    def inclusive(self):
        """{function: instructions in it and in all that it calls}"""
        spent = collections.Counter(self.self_cost)
        for (caller, callee), (_, cost) in self.calls.items():
            if caller != callee:
                spent[caller] += cost
        return spent


def _mix(callers, shares):
    mixed, whole = collections.Counter(), 0
    for caller, cost in callers:
        for stage, part in shares.get(caller, {}).items():
            mixed[stage] += cost * part
            whole += cost * part
    if whole == 0:
        return {}
    return {stage: part / whole for stage, part in mixed.items()}


def _differ(a, b):
    return any(abs(a.get(k, 0) - b.get(k, 0)) > 1e-5 for k in a.keys() | b)


def _is(function, names):
    """Whether it is libc's function of one of these names."""
    return function[2] in names and "libc.so" in function[0]


def stage_of(function):
    if _is(function, _MEMORY):
        return ALLOCATOR
    for prefixes, name in STAGES:
        if function[1].startswith(tuple(prefixes.split())):
            return name
    return None


def origin_of(function):
    """"own", "base", or the library's name."""
    if stage_of(function) not in (None, ALLOCATOR):
        return "own"
    if function[1].startswith(_BASE):
        return "base"
    found = _LIBRARY.search(os.path.basename(function[0]))
    return found[1] if found else "other"
