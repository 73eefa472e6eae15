# SPDX-License-Identifier: Apache-2.0
"""The manual pages: well-formed, and true of this daemon.

Options are compared with what --help prints; log events, metrics, codes and
reasons with the sources that have them; examples are loaded. What the page of
the configuration says of each key is compared with the tables of keys by
tests/unit/test_manual.c.
"""

import glob
import os
import re
import subprocess

import pytest

import hookbridge as rig

pytestmark = pytest.mark.once

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
PAGES = sorted(glob.glob(f"{TOP}/packaging/man/*.[1-8]"))
PAGE_5 = f"{TOP}/packaging/man/hookbridge.yaml.5"
PAGE_8 = f"{TOP}/packaging/man/hookbridged.8"

# Pages of others, which need not be installed where this runs.
FOREIGN = {"fdatasync 2", "flock 2", "logrotate 8", "nginx 8",
           "systemd.exec 5"}


def name_of(page):
    return os.path.basename(page)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def section(page, title):
    """The text of a section, its heading left out."""
    text = read(page) + ".Sh "
    found = re.search(rf"^\.S[hs] {title}\n(.*?)(?=^\.S[hs] )", text,
                      re.M | re.S)
    assert found, f"{name_of(page)} has no section {title}"
    return found[1]


def items(page, title):
    """What the items of a section are called: ".It Ic a , b" is two."""
    return {word for line in re.findall(r"^\.It Ic (.*)$",
                                        section(page, title), re.M)
            for word in line.split(" , ")}


def literals(text):
    """The literal blocks of a page, as one sees them."""
    return [block.replace("\\e", "\\") for block in
            re.findall(r"^\.Bd -literal.*?\n(.*?\n)\.Ed$", text, re.M | re.S)]


def source(*patterns):
    """The text of the source files that match, without #include lines."""
    paths = [p for pattern in patterns
             for p in sorted(glob.glob(f"{TOP}/src/{pattern}"))]
    assert paths
    return re.sub(r"^#include.*$", "", "".join(map(read, paths)), flags=re.M)


# --- form ---------------------------------------------------------------------

def test_all_pages_are_there():
    assert [name_of(p) for p in PAGES] == [
        "hookbridge.yaml.5", "hookbridgectl.1", "hookbridged.8"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lint(page):
    """Nothing to complain of, not even of style. Which other pages are
    installed on this machine is none of our business."""
    result = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "style", page], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = [line for line in result.stdout.splitlines()
            if "referenced manual not found" not in line
            and "outdated mandoc.db" not in line]
    assert said == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_references_lead_somewhere(page):
    ours = {" ".join(name_of(p).rsplit(".", 1)) for p in PAGES}
    named = set(re.findall(r"\bXr (\S+ \d)", read(page)))
    assert named - ours - FOREIGN == set()
    assert ours - named == {" ".join(name_of(page).rsplit(".", 1))}
    titles = re.findall(r"^\.S[hs] (.*)$", read(page), re.M)
    assert set(re.findall(r"^\.Sx (.*?)(?: \S)?$", read(page),
                          re.M)) <= set(titles)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_fit_a_terminal(page):
    shown = subprocess.run(["mandoc", "-T", "ascii", page], text=True,
                           stdout=subprocess.PIPE, check=True).stdout
    lines = re.sub(".\b", "", shown).splitlines()
    assert len(lines) > 50
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_are_installed(page):
    installed = read(f"{TOP}/packaging/man/local.mk")
    assert f"%D%/{name_of(page)}" in installed.split()


# --- options ------------------------------------------------------------------

def program(name):
    return os.path.join(os.path.dirname(os.environ["HB_DAEMON"]), name)


def help_of(*command):
    return subprocess.run([*command, "--help"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def options_in(text):
    return set(re.findall(r"(?<![\w-])-(?:[A-Za-z]|-[a-z][a-z-]+)\b", text))


def commands_of(text):
    """The commands that a help lists: two blanks, a name, blanks, a sentence.
    """
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", text, re.M)


def described_options(page):
    lines = re.findall(r"^\.It (Fl .*)$", read(page), re.M)
    return {f"-{word}" for line in lines
            for word in re.findall(r"\bFl (-?[A-Za-z][\w-]*)", line)}


def test_options_of_hookbridged():
    assert described_options(PAGE_8) == options_in(
        help_of(os.environ["HB_DAEMON"]))


def test_options_of_hookbridgectl():
    """Of the program, and of each of its commands."""
    ctl, page = program("hookbridgectl"), f"{TOP}/packaging/man/hookbridgectl.1"
    text = help_of(ctl)
    commands = commands_of(text)
    assert {"explain", "send", "secret new", "secret check",
            "portal"} <= set(commands)
    for command in commands:
        text += help_of(ctl, *command.split())
        assert re.search(rf"^\.(It|Ss) .*\b{command}\b", read(page), re.M)
    assert described_options(page) == options_in(text)


# --- hookbridged(8) and the code ----------------------------------------------

def test_log_events():
    """Words of the calls, and words of the same kind that get there by a
    variable."""
    called = re.findall(r'\bhb_log(?:_limited)?\([^;]*?"([a-z]+\.[a-z]+)"',
                        source("*.c", "[!c]*/*.c", "c[!t]*/*.c"))
    assert len(called) > 15
    kinds = "|".join({word.split(".")[0] for word in called} | {"request"})
    words = set(re.findall(rf'"((?:{kinds})\.[a-z]{{2,}})"',
                           source("*.c", "[!c]*/*.c")))
    words.discard("admin.operators")  # a key that a record names
    assert {w for w in items(PAGE_8, "LOG") if "." in w} == words | set(called)


def test_metrics():
    families = re.findall(r'^\s+\[HB_M_\w+\] = \{"([a-z_]+)"',
                          source("base/metric.c"), re.M)
    header = read(f"{TOP}/include/hookbridge/metric.h")
    named = set(re.findall(r"\bHB_M_\w+", header)) - {"HB_M_FAMILY_COUNT"}
    assert len(families) == len(named) > 25
    assert items(PAGE_8, "METRICS") == set(families)


def test_codes():
    codes = re.search(r"codes\[\] = \{([^}]*)\}", source("intake/tally.c"))[1]
    answers = {c for c in re.findall(r"\d+", codes) if c != "499"}
    assert len(answers) > 15
    assert items(PAGE_8, "ANSWERS") == answers
    assert ".Ql 499" in section(PAGE_8, "ANSWERS")


def test_reasons_of_failed_verification():
    table = re.search(r"hb_verify_reasons\[\] = \{(.*?)\};",
                      source("verify/verify.c"), re.S)[1]
    reasons = re.findall(r'"(\w+)"', table)
    assert len(reasons) > 10
    text = section(PAGE_8, "LOG")
    assert [r for r in reasons if not re.search(rf"^\.Ql {r}\b", text,
                                                re.M)] == []


def test_reasons_of_dead_letters():
    """Given with a failure, by routing, by the replay, because a body cannot be
    kept, or by what has no better one."""
    code = source("[nridv]*/*.c", "sink/*.c", "store/*.c")
    reasons = {*re.findall(r'HB_E_DEAD,\s*"([a-z-]+)"', code),
               *re.findall(r'plan->reason = "([a-z-]+)"', code),
               *re.findall(r'"(name-[a-z-]+)"', code),
               *re.findall(r'\? "([a-z]+)" : NULL', source("replay/*.c")),
               *re.findall(r'"(claims-[a-z]+|[a-z]+-share)"',
                           source("claim/*.c")), "refused"}
    assert len(reasons) > 18
    assert items(PAGE_8, "Dead letters") == reasons


def test_reasons_of_503():
    code = source("intake/exchange.c", "deliver/*.c", "http/*.c")
    reasons = {*re.findall(r'answer_later\(\w+, "([a-z-]+)"\)', code),
               *re.findall(r'HB_UNSETTLED, "([a-z-]+)"', code),
               *re.findall(r'HB_E_RETRY, "([a-z-]+)"', code),
               *re.findall(r'\? "([a-z-]+)" : NULL;', code),
               *re.findall(r'\? NULL : "([a-z-]+)";', code),
               *re.findall(r'\breturn "([a-z-]+)";', code),
               *re.findall(r'conn_evict\([^;]*"([a-z-]+)"\)', code),
               *re.findall(r'\b503, "([a-z-]+)"', code),
               *re.findall(r'"([a-z]+-(?:full|broken))"',
                           source("store/room.c")),
               *re.findall(r'HB_E_RESOURCE,\s*"([a-z-]+-share)"',
                           source("store/accounts.c"))}
    reasons -= {"confirmed", "spooled", "dead-lettered", "unsettled"}
    assert len(reasons) > 12
    assert {w for w in items(PAGE_8, "LOG") if "." not in w} == reasons


# --- hookbridge.yaml(5) and the code ------------------------------------------

def kafka_table(name):
    return re.search(rf"\b{name}\[\] = \{{(.*?)^\}};",
                     source("sink/kafka_conf.c"), re.M | re.S)[1]


def test_properties_that_are_set():
    defaults = re.findall(r'\{"([\w.]+)", "([\w.]+)"', kafka_table("defaults"))
    text = section(PAGE_5, "sinks.NAME of type kafka")
    assert re.findall(r"^\.It ([\w.]+) Ta (\S+)$", text, re.M) == defaults
    assert len(defaults) > 5


def test_properties_that_are_refused():
    # static const struct {...} refused[] = {{"acks", "..."}, ...};
    names = re.findall(r'^\s+\{"([\w.*]+)",', kafka_table("refused"), re.M)
    text = section(PAGE_5, "sinks.NAME of type kafka")
    listed = re.search(r"^\.Bl -item.*?^\.It\n(.*?)^\.El", text,
                       re.M | re.S)[1]
    listed = re.sub(r"^\.Pq .*$", "", listed, flags=re.M)
    assert re.findall(r"[\w.*]+", listed) == names
    assert len(names) > 10


# --- examples -----------------------------------------------------------------

SECRET = re.compile(r'"file:([\w.]+)"')


def check(directory, text):
    """What hookbridged -t says to a configuration, whose secrets it finds."""
    (directory / "hookbridge.yaml").write_text(text)
    for name in SECRET.findall(text):
        (directory / name).write_text(rig.new_secret() + "\n")
    for path in directory.iterdir():
        path.chmod(0o600)
    result = subprocess.run(
        [os.environ["HB_DAEMON"], "-t", "-c", directory / "hookbridge.yaml"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        env={**os.environ, "HOOKBRIDGE_REGIONS_TOKEN": rig.new_secret()})
    return result.returncode, result.stderr


EXAMPLES = [block for page in PAGES
            for block in literals(read(page).partition(".Sh EXAMPLES\n")[2])
            if block.startswith("listen:")]


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_are_valid(text, tmp_path):
    assert check(tmp_path, text) == (0, "")


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


def test_the_examples_of_keys_are_one_configuration(tmp_path):
    """Valid, and with the one warning that its maxlen deserves."""
    text = "".join(literals(read(PAGE_5).partition(".Sh KEYS\n")[2]
                            .partition(".Sh FILES\n")[0]))
    code, said = check(tmp_path, text)
    assert code == 0
    warnings = [line for line in said.splitlines() if "warning: " in line]
    assert len(warnings) == 1 and ".maxlen: " in warnings[0]


# --- conf/hookbridge.yaml -----------------------------------------------------

SETTING = re.compile(r"\s*#?(?:- )?#?([a-z_]+):(?: |$)")
COMMENT = re.compile(r"\s*# ")


def test_each_setting_of_the_sample_is_explained():
    """By a comment above it, which those that follow at once may share; the
    sections by the line that begins them."""
    explained, seen = {"listen", "http", "log", "endpoints", "sinks", "routes",
                       "delivery"}, set()
    block = False
    for line in read(f"{TOP}/conf/hookbridge.yaml").splitlines():
        setting = None if COMMENT.match(line) else SETTING.match(line)
        if setting:
            seen.add(setting[1])
            if block:
                explained.add(setting[1])
        elif COMMENT.match(line):
            block = True
        elif not line.strip():
            block = False
    # Names of sinks are no settings.
    assert seen - explained == {"main", "archive"}
