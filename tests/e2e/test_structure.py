# SPDX-License-Identifier: Apache-2.0
"""The source as a house: what stands on what, and how large a room may be.

Each rule looks at all files and tells what breaks it, one "file:line: sentence"
each. The last test gives every rule a small tree that breaks it.
"""

import collections
import os
import re
import shlex
import statistics
import subprocess

import pytest

pytestmark = pytest.mark.once

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))

# From the ground up. A file includes what is in its own folder and what stands
# on a lower floor; folders of one floor do not know each other.
FLOORS = [
    ["base"],
    ["cfg", "net", "spool"],
    ["http", "event"],
    ["verify", "normalize", "route"],
    ["render"],
    ["sink", "store", "claim"],
    ["deliver", "replay"],
    ["intake", "redeliver"],
    ["admin"],
    ["daemon", "ctl"],
    ["main.c"],
]

# Who may include a library's headers: so that another could take its place.
LIBRARIES = {
    "curl/": ["src/ctl/"],
    "event2/": ["src/base/loop.c", "src/net/", "src/http/server.c",
                "src/sink/kafka_", "src/daemon/"],
    "hiredis/": ["src/sink/redis"],
    "jansson.h": ["src/admin/", "src/ctl/"],
    "librdkafka/": ["src/sink/kafka", "src/daemon/versions.c"],
    "openssl/": ["src/base/crypto.c", "src/daemon/versions.c"],
    "yaml.h": ["src/cfg/yaml.c"],
}

LINES_MAX = 700     # of a file of the program
TEST_LINES_MAX = 1000
COLUMNS_MAX = 80    # where a tab goes to the next multiple of eight
FUNCTION_MAX = 60   # lines, from its name to its closing brace
FUNCTION_MEDIAN = 20
# Longer ones, by name: flat switches and tables only.
LONG_FUNCTIONS = set()


# --- reading ------------------------------------------------------------------

def read_tree():
    """Path -> text of everything written by hand that has an SPDX line."""
    tree = {}
    for folder in ("include", "src", "tests", "packaging"):
        for path, folders, names in os.walk(os.path.join(TOP, folder)):
            folders[:] = [f for f in folders
                          if f not in ("__pycache__", "vectors", "samples")]
            for name in names:
                file = os.path.relpath(os.path.join(path, name), TOP)
                if name.endswith((".c", ".h", ".mk", ".py", ".sh")):
                    with open(os.path.join(TOP, file), encoding="utf-8") as f:
                        tree[file] = f.read()
    return tree


def code_of(tree, *folders):
    """Those of the tree that are C, below the folders."""
    return {path: text for path, text in sorted(tree.items())
            if path.endswith((".c", ".h")) and path.startswith(folders)}


def owners(tree):
    """Public header -> places (file, line) where a folder's local.mk has it."""
    found = collections.defaultdict(list)
    for path, text in sorted(tree.items()):
        if not re.fullmatch(r"src/\w+/local\.mk", path):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            for header in re.findall(r"include/hookbridge/\w+\.h", line):
                found[header].append((path, number))
    return found


def folder_of(path, owned):
    if path.startswith("include/"):
        path = owned[path][0][0] if path in owned else path
    return path.split("/")[1]


def includes(path, text):
    """(line, file): quoted ones as paths from the top, others as <file>."""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'#\s*include\s+(?:"([^"]+)"|(<[^>]+>))', line)
        if match is None:
            continue
        quoted, other = match.groups()
        if quoted is None:
            yield number, other
        elif quoted.startswith("hookbridge/"):
            yield number, "include/" + quoted
        else:
            yield number, os.path.normpath(
                os.path.join(os.path.dirname(path), quoted))


def functions(text):
    """(line, name, length) of each definition: its name stands in column 0,
    its braces alone in theirs."""
    name = line = None
    for number, row in enumerate(text.splitlines(), 1):
        match = re.match(r"(\w+)\(", row)
        if match is not None:
            name, line = match.group(1), number
        elif row == "}" and name is not None:
            yield line, name, number - line + 1
            name = None


# --- rules --------------------------------------------------------------------

def rule_spdx(tree):
    """Every file says its licence first."""
    for path, text in sorted(tree.items()):
        if not any("SPDX-License-Identifier: Apache-2.0" in line
                   for line in text.splitlines()[:2]):
            yield f"{path}:1: no SPDX line at the top"


def rule_head(tree):
    """Then it says what it is, by its own name."""
    for path, text in code_of(tree, "include/", "src/", "tests/").items():
        start = "/* %s - " % os.path.basename(path)
        if not "".join(text.splitlines()[1:2]).startswith(start):
            yield f'{path}:2: the head does not begin with "{start}"'


def rule_guard(tree):
    """A header's guard is its place."""
    for path, text in code_of(tree, "include/", "src/").items():
        if not path.endswith(".h"):
            continue
        guard = ("HOOKBRIDGE_" + os.path.basename(path)
                 if path.startswith("include/") else "HB_" + path[4:])
        guard = re.sub(r"\W", "_", guard).upper()
        if f"#ifndef {guard}\n#define {guard}\n" not in text:
            yield f"{path}:1: the include guard is not {guard}"


def rule_length(tree):
    """A file is read in one sitting."""
    for path, text in code_of(tree, "include/", "src/", "tests/").items():
        lines = text.count("\n")
        most = TEST_LINES_MAX if path.startswith("tests/") else LINES_MAX
        if lines > most:
            yield f"{path}:{lines}: more than {most} lines"


def rule_columns(tree):
    for path, text in code_of(tree, "include/", "src/", "tests/").items():
        for number, line in enumerate(text.splitlines(), 1):
            columns = len(line.expandtabs(8))
            if columns > COLUMNS_MAX:
                yield f"{path}:{number}: {columns} columns"


def rule_functions(tree):
    """A function does one thing."""
    lengths = []
    for path, text in code_of(tree, "include/", "src/").items():
        for number, name, length in functions(text):
            lengths.append(length)
            if length > FUNCTION_MAX and name not in LONG_FUNCTIONS:
                yield f"{path}:{number}: {name} has {length} lines"
    median = statistics.median(lengths) if lengths else 0
    if median > FUNCTION_MEDIAN:
        yield f"src/:0: half of the functions have {median} lines or more"


def rule_owner(tree):
    """A public header belongs to one folder, whose local.mk lists it."""
    owned = owners(tree)
    for path in code_of(tree, "include/"):
        if path not in owned:
            yield f"{path}:1: in no src/*/local.mk"
        for place, number in owned[path][1:]:
            yield f"{place}:{number}: {path} is in another local.mk, too"


def rule_direction(tree):
    """What is included stands below, or in the same folder."""
    owned = owners(tree)
    floors = {folder: floor for floor, folders in enumerate(FLOORS)
              for folder in folders}
    for path, text in code_of(tree, "include/", "src/").items():
        mine = folder_of(path, owned)
        if mine not in floors:
            yield f"{path}:1: {mine} has no floor yet: give it one in FLOORS"
            continue
        for number, file in includes(path, text):
            if file.startswith("<"):
                continue
            other = folder_of(file, owned)
            if other == mine:
                continue
            if file.startswith("src/"):
                yield f"{path}:{number}: {file} is for its own folder only"
            elif floors.get(other, len(FLOORS)) >= floors[mine]:
                yield f"{path}:{number}: {other} does not stand below {mine}"


def rule_circle(tree):
    """No header includes itself by way of others."""
    code = code_of(tree, "include/", "src/")
    below = {path: [(n, f) for n, f in includes(path, text) if f in code]
             for path, text in code.items()}
    done = set()

    def descend(path, trail):
        for number, file in below[path]:
            if file in trail:
                circle = trail[trail.index(file):] + [file]
                yield f"{path}:{number}: a circle: {' > '.join(circle)}"
            elif file not in done:
                yield from descend(file, trail + [file])
        done.add(path)

    for path in code:
        if path not in done:
            yield from descend(path, [path])


def rule_libraries(tree):
    """A library is seen by those only who wrap it."""
    for path, text in code_of(tree, "include/", "src/").items():
        for number, file in includes(path, text):
            for header, users in LIBRARIES.items():
                if (file.startswith("<" + header)
                        and not path.startswith(tuple(users))):
                    yield f"{path}:{number}: {file} is not for this file"


RULES = [value for name, value in sorted(globals().items())
         if name.startswith("rule_")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__[5:])
def test_rule(rule):
    breaches = list(rule(read_tree()))
    assert not breaches, "\n" + "\n".join(breaches)


# --- headers ------------------------------------------------------------------

def compiler():
    """The command that reads headers as the build does."""
    build = os.path.dirname(os.environ["HB_DAEMON"])
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=gnu11", "-Wall",
               "-Werror", "-fsyntax-only", "-x", "c", "-I", "include",
               "-include", os.path.join(build, "config.h")]
    for package in ("libevent", "rdkafka", "hiredis", "libcurl", "jansson"):
        flags = subprocess.run(["pkg-config", "--cflags", package],
                               stdout=subprocess.PIPE, text=True, check=False)
        command += shlex.split(flags.stdout)
    return command


def test_every_header_compiles_alone():
    headers = [path for path in code_of(read_tree(), "include/", "src/")
               if path.endswith(".h")]
    assert len(headers) > 30
    # Each file of one command is a translation unit of its own.
    result = subprocess.run([*compiler(), *headers], cwd=TOP, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            check=False)
    assert result.returncode == 0, "\n" + result.stdout


# --- the rules themselves -----------------------------------------------------

HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n/* %s - text */\n"
MAKE = {"src/base/local.mk": "# SPDX-License-Identifier: Apache-2.0\n"
                             "x = include/hookbridge/low.h\n",
        "src/sink/local.mk": "# SPDX-License-Identifier: Apache-2.0\n"
                             "x = include/hookbridge/high.h\n"}
LONG = "static int\nlong(void)\n{\n" + "\t;\n" * 60 + "}\n"


def header(name, *lines):
    return (HEAD % (name + ".h")
            + "#ifndef HOOKBRIDGE_%s_H\n" % name.upper()
            + "#define HOOKBRIDGE_%s_H\n" % name.upper()
            + "".join(line + "\n" for line in lines) + "#endif\n")


def source(name, *lines):
    return HEAD % name + "".join(line + "\n" for line in lines)


# Of each rule: the file that breaks it, and what is said of it.
BREACHES = [
    ("spdx", {"src/base/a.c": "int x;\n"}, "src/base/a.c:1: no SPDX"),
    ("head", {"src/base/a.c": source("b.c")}, "src/base/a.c:2: the head"),
    ("guard", {"src/base/a.h": source("a.h", "#ifndef A_H", "#define A_H")},
     "not HB_BASE_A_H"),
    ("length", {"src/base/a.c": source("a.c", *["x"] * 699)},
     "src/base/a.c:701: more than 700"),
    ("columns", {"src/base/a.c": source("a.c", "\t" * 10 + "x")},
     "src/base/a.c:3: 81 columns"),
    ("functions", {"src/base/a.c": source("a.c", LONG)},
     "src/base/a.c:4: long has 63 lines"),
    ("functions", {"src/base/a.c": source("a.c", LONG)},
     "half of the functions have 63"),
    ("owner", {"include/hookbridge/stray.h": header("stray")},
     "stray.h:1: in no"),
    ("owner", {"src/route/local.mk": "include/hookbridge/low.h\n"},
     "src/route/local.mk:1: include/hookbridge/low.h is in another"),
    ("direction", {"src/base/a.c": source("a.c", '#include "hookbridge/high.h"')},
     "src/base/a.c:3: sink does not stand below base"),
    ("direction", {"src/sink/a.c": source("a.c", '#include "../base/b.h"'),
                   "src/base/b.h": source("b.h")},
     "src/sink/a.c:3: src/base/b.h is for its own folder only"),
    ("direction", {"src/attic/a.c": source("a.c")}, "attic has no floor yet"),
    ("circle", {"src/base/a.h": source("a.h", '#include "b.h"'),
                "src/base/b.h": source("b.h", '#include "a.h"')},
     "a circle: src/base/a.h > src/base/b.h > src/base/a.h"),
    ("libraries", {"src/base/a.c": source("a.c", "#include <yaml.h>")},
     "src/base/a.c:3: <yaml.h> is not for this file"),
]


def sound():
    """A tree that breaks no rule."""
    return {**MAKE, "include/hookbridge/low.h": header("low"),
            "include/hookbridge/high.h":
                header("high", '#include "hookbridge/low.h"')}


def test_rules_leave_a_sound_tree_alone():
    assert [b for rule in RULES for b in rule(sound())] == []


@pytest.mark.parametrize("name, files, expected", BREACHES,
                         ids=[row[0] for row in BREACHES])
def test_rules_find_what_breaks_them(name, files, expected):
    breaches = list(globals()["rule_" + name]({**sound(), **files}))
    assert any(expected in breach for breach in breaches), breaches


def test_every_rule_is_tried():
    assert ({"rule_" + row[0] for row in BREACHES}
            == {rule.__name__ for rule in RULES})
