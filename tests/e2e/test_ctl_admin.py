# SPDX-License-Identifier: Apache-2.0
"""hookbridgectl's commands that ask a daemon: what they ask, what they make of
the answers, and what they do when there are none. The daemon is played."""

import base64
import hashlib
import json
import os
import socket
import stat
import time

import pytest

import ctl
from ctl import (CONFIG, IO, NO, NO_PERMISSION, OK, TRY_AGAIN, UNAVAILABLE,
                 USAGE, AdminServer, problem, run)
from process import wait_until

BODY = b'{"job_id": "\x1b]0;x\x07", "n": 1}\n\xff'
CLAIM = b'{"job_id": "j", "result": []}'
DIGEST = hashlib.sha256(CLAIM).hexdigest()
ESCAPE = "\x1b[31mred\x1b[0m"


@pytest.fixture
def admin(tmp_path):
    with AdminServer(tmp_path / "admin.sock") as server:
        yield server


def now_ms():
    return int(time.time() * 1000)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def posts(admin):
    return [(r.path, json.loads(r.body)) for r in admin.requests
            if r.method == "POST"]


# --- whom to ask --------------------------------------------------------------

def test_the_address_of_the_configuration(admin, tmp_path):
    """Nothing else of it has to be right, and no secret is read."""
    file = tmp_path / "hookbridge.yaml"
    file.write_text(f'admin: {{address: "{admin.address}"}}\nlisten: nowhere\n'
                    'endpoints: {e: {secrets: "file:gone"}}\n')
    file.chmod(0o600)
    admin.answers["GET", "/api/v1/spool"] = {"shelves": []}
    for arguments, env in [(["-c", file], {}),
                           ([], {"HOOKBRIDGE_CONFIG": str(file)})]:
        result = run(*arguments, "spool", "list", env=env)
        assert (result.returncode, result.stderr) == (OK, "")
    # --admin has precedence, and then the file is not even read.
    file.write_text("admin: {address: 5}\n")
    assert admin.run("-c", file, "spool", "list").returncode == OK
    result = run("-c", file, "spool", "list")
    assert result.returncode == CONFIG
    assert "admin.address: an address of TCP" in result.stderr


def test_nobody_answers(tmp_path):
    path = tmp_path / "gone.sock"
    result = run("--admin", f"unix:{path}", "status")
    assert (result.returncode, result.stdout) == (UNAVAILABLE, "")
    assert f"nobody answers at unix:{path}: No such file" in result.stderr
    assert "--admin" in result.stderr and "running" in result.stderr
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))  # and does not listen
        result = run("--admin", f"unix:{path}", "tail")
        assert result.returncode == UNAVAILABLE
        assert "Connection refused" in result.stderr


def test_a_socket_that_may_not_be_opened(admin, tmp_path):
    (tmp_path / "admin.sock").chmod(0)
    result = admin.run("status", before=[
        "setpriv", "--bounding-set=-dac_override",
        "--inh-caps=-dac_override"] if os.geteuid() == 0 else [])
    assert result.returncode == NO_PERMISSION
    assert "run this as root" in result.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:9", "unix:", "admin.sock",
                                     "unix:/" + 107 * "x"])
def test_addresses_that_are_none(address):
    result = run("--admin", address, "status")
    assert result.returncode == USAGE
    assert "--admin: expected unix: and a path" in result.stderr


@pytest.mark.parametrize("code, status", [
    (400, USAGE), (403, NO_PERMISSION), (404, NO), (409, NO),
    (503, TRY_AGAIN), (500, UNAVAILABLE), (405, UNAVAILABLE)])
def test_refusals(admin, code, status):
    admin.answers["GET", "/api/v1/dead/5"] = problem(code, f"so {ESCAPE}")
    result = admin.run("dead", "show", 5)
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith("hookbridgectl: so \\u001b[31mred")
    assert "\x1b" not in result.stderr
    assert ("admin.operators" in result.stderr) == (code == 403)


def test_answers_that_are_no_documents(admin):
    for answer in [(200, b"<html>"), (200, [1]), (502, b"bad gateway")]:
        admin.answers["GET", "/api/v1/spool"] = answer
        result = admin.run("spool", "list")
        assert result.returncode == UNAVAILABLE
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments, said", [
    (["status", "now"], "unexpected word"),
    (["tail", "e"], "unexpected word"),
    (["spool", "list", "x"], "unexpected word"),
    (["spool", "show"], "expected one number"),
    (["spool", "show", "5x"], "expected one number"),
    (["dead", "show", "1", "2"], "expected one number"),
    (["dead", "show", "../1"], "expected one number"),
    (["dead", "show", "1", "--body", "--json"], "take one of them"),
    (["spool", "drop"], "say which"),
    (["spool", "drop", "-1"], "invalid option"),
    (["spool", "drop", "a"], "expected numbers"),
    (["spool", "reroute", "a"], "name a sink, and with --to another"),
    (["spool", "reroute", "--to", "b"], "name a sink"),
    (["dead", "list", "5"], "unexpected word"),
    (["dead", "list", "--before", "yesterday"], "--before: expected a time"),
    (["dead", "retry"], "say which"),
    (["dead", "drop", "5", "--all"], "take one of them"),
    (["dead", "drop", "5", "--reason", "unrouted"], "take one of them"),
    (["dead", "drop", "5x"], "expected numbers"),
    (["dedup", "forget", "e"], "a word is missing"),
    (["dedup", "forget", "e", "i", "j"], "unexpected word"),
    (["claim", "get"], "name one body"),
    (["claim", "get", "abcdef0"], "8 of its hexadecimal digits"),
    (["claim", "get", "ABCDEF01"], "expected a digest"),
    (["claim", "get", DIGEST + "0"], "expected a digest"),
    (["claim", "get", DIGEST, "--json"], "--json never shows a body"),
])
def test_wrong_usage(admin, arguments, said):
    result = admin.run(*arguments)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert said in result.stderr
    assert admin.requests == []


# --- status -------------------------------------------------------------------

def status_of(**changes):
    then = now_ms() - 300_000
    return {
        "version": "0.1.0", "pid": 4711, "started_ms": then, "uptime_s": 5000,
        "config": "/etc/hookbridge.yaml", "ready": True,
        "events": {"in_flight": 3, "confirmed": 12345, "spooled": 4,
                   "dead_lettered": 1, "duplicate": 7},
        "rates": {"seconds": 10, "confirmed": 120.55, "spooled": 0.0,
                  "dead_lettered": 0.0, "duplicate": 0.0, "replayed": 1.5},
        "memory": {"used": 1 << 20, "limit": 1 << 28},
        "sinks": [{
            "name": "main", "type": "kafka", "health": "up", "why": None,
            "destinations": [
                {"name": "t", "health": "up", "why": None, "pending": 2,
                 "spooled": 3, "bytes": 6000, "oldest_ms": then},
                {"name": "n" * 60, "health": "slow",
                 "why": f"topic {ESCAPE}", "pending": 0, "spooled": 0,
                 "bytes": 0, "oldest_ms": None}]}],
        "spool": {"state": "ok", "why": None, "records": 3, "bytes": 6000,
                  "disk_bytes": 1 << 26, "max_size": 1 << 33,
                  "oldest_ms": then, "orphaned": 0, "quarantined": 0,
                  "lost": 0},
        "dead": {"state": "ok", "why": None, "records": 5, "bytes": 20,
                 "disk_bytes": 0, "max_size": 1 << 31, "oldest_ms": then,
                 "reasons": [{"reason": "unrouted", "records": 4},
                             {"reason": "too-large", "records": 1}]},
        "dedup": {"entries": 8, "under_way": 0, "max_entries": 100,
                  "bytes": 400, "lasts": True, "broken": False},
        "claims": {"count": 2, "bytes": 3000, "max_size": 1 << 33},
        **changes}


def answer_status(admin, checks=(), **changes):
    doc = status_of(**changes)
    admin.answers["GET", "/api/v1/status"] = doc
    admin.answers["GET", "/readyz"] = (200 if doc["ready"] else 503, {
        "ready": doc["ready"], "checks": list(checks)})
    return doc


def test_status(admin):
    answer_status(admin)
    result = admin.run("status")
    assert (result.returncode, result.stderr) == (OK, "")
    shown = result.stdout.splitlines()
    assert max(map(len, shown)) <= 80
    assert shown[0] == "hookbridge 0.1.0 is ready"
    assert shown[1] == "process 4711, up 1 h 23 m, /etc/hookbridge.yaml"
    words = [line.split() for line in shown]
    assert ["confirmed", "120.5", "12345"] in words or [
        "confirmed", "120.6", "12345"] in words
    assert ["replayed", "1.5", "-"] in words
    assert ["main", "t", "up", "2", "3", "5.9", "KiB", "5", "m",
            "ago"] in words
    assert ["deliveries", "ok", "3", "5.9", "KiB", "64.0", "MiB", "8.0",
            "GiB", "5", "m", "ago"] in words
    assert "dead letters by reason: unrouted 4, too-large 1" in shown
    assert "8 of 100 ids remembered, 400 B, also over a restart" in shown
    assert shown[-2].startswith("! main:nnn")
    assert shown[-1] == "  \\u001b[31mred\\u001b[0m"
    assert "\x1b" not in result.stdout


def test_status_of_one_that_is_not_well(admin):
    answer_status(
        admin, ready=False, spool={**status_of()["spool"], "orphaned": 2,
                                   "quarantined": 1, "lost": 9},
        dedup={**status_of()["dedup"], "broken": True},
        checks=[{"name": "spool", "ok": False, "required": True,
                 "detail": "No space left"},
                {"name": "sink main", "ok": True, "required": False,
                 "detail": "ok"}])
    result = admin.run("status")
    assert result.returncode == NO
    faults = [line for line in result.stdout.splitlines() if line[:1] == "!"]
    assert "is not ready" in result.stdout
    assert faults[0] == "! spool: No space left"
    assert [f.split()[1] for f in faults[2:]] == ["2", "1", "9", "the"]
    assert "sink main" not in result.stdout


def test_status_without_a_spool(admin):
    answer_status(admin, spool=None, dead=None, claims=None)
    result = admin.run("status")
    assert result.returncode == OK
    assert "there is no spool.directory" in result.stdout


def test_status_for_programs(admin):
    checks = [{"name": "spool", "ok": True, "required": True, "detail": "ok"}]
    doc = answer_status(admin, checks)
    result = admin.run("--json", "status")
    assert (result.returncode, result.stderr) == (OK, "")
    assert lines(result.stdout) == [{**doc, "checks": checks}]


def test_status_is_coloured_on_a_terminal_only(admin):
    answer_status(admin)
    code, shown = admin.run_on_terminal("status")
    assert code == OK and "\x1b[32mup\x1b[0m" in shown
    code, shown = admin.run_on_terminal("status", env={"NO_COLOR": "1"})
    assert code == OK and "\x1b" not in shown


# --- spool --------------------------------------------------------------------

def shelf(**changes):
    return {"sink": "main", "type": "kafka", "destination": "t",
            "endpoint": "e", "records": 3, "bytes": 6000,
            "oldest_ms": now_ms() - 61_000, "orphaned": False, **changes}


def test_spool_list(admin):
    shelves = [shelf(), shelf(sink="old", destination="d" * 100,
                              orphaned=True)]
    admin.answers["GET", "/api/v1/spool"] = {"shelves": shelves}
    result = admin.run("spool", "list")
    assert (result.returncode, result.stderr) == (OK, "")
    shown = result.stdout.splitlines()
    assert max(map(len, shown)) <= 80 and len(shown) == 3
    assert shown[1].split() == ["main", "t", "e", "3", "5.9", "KiB", "1", "m",
                                "ago"]
    assert shown[2].endswith("  orphaned") and "ddd..." in shown[2]
    assert lines(admin.run("spool", "list", "--json").stdout) == shelves
    admin.answers["GET", "/api/v1/spool"] = {"shelves": []}
    assert admin.run("spool", "list").stdout == "Nothing waits.\n"
    assert admin.run("spool", "list", "--json").stdout == ""


def test_spool_show(admin):
    doc = {"id": 17, "sink": "main", "type": "kafka", "destination": "t",
           "endpoint": "e", "event_id": "msg_1", "job_id": "j",
           "received_ms": 1767225600500, "kept_ms": now_ms() - 2000,
           "key": None, "headers": {"ce_id": "msg_1", "x": ESCAPE},
           "size": len(BODY), "value_base64":
           base64.b64encode(BODY).decode(), "held": True}
    admin.answers["GET", "/api/v1/spool/17"] = doc
    result = admin.run("spool", "show", 17)
    assert (result.returncode, result.stderr) == (OK, "")
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout
    for line in ["number        17", "at its sink   yes",
                 "    x: \\u001b[31mred\\u001b[0m",
                 '    {"job_id": "\\u001b]0;x\\u0007", "n": 1}',
                 "    \\\\xff"]:
        assert line in result.stdout.splitlines()
    assert "2026-01-01T00:00:00.500Z" in result.stdout
    assert "\nkey " not in result.stdout
    assert lines(admin.run("spool", "show", 17, "--json").stdout) == [doc]
    raw = admin.run("spool", "show", 17, "--body", text=False)
    assert (raw.returncode, raw.stdout) == (OK, BODY)


def test_no_payload_reaches_a_terminal_as_it_is(admin, tmp_path):
    admin.answers["GET", "/api/v1/dead/5"] = {"id": 5, "body": ESCAPE}
    admin.answers["GET", f"/api/v1/claims/{DIGEST}"] = (200, CLAIM)
    code, shown = admin.run_on_terminal("dead", "show", 5)
    assert code == OK and "\x1b" not in shown and "red" in shown
    for arguments in [("dead", "show", 5, "--body"), ("claim", "get", DIGEST)]:
        code, shown = admin.run_on_terminal(*arguments)
        assert code == USAGE
        assert "a terminal would obey" in shown and "job_id" not in shown


def test_a_long_payload_is_cut(admin):
    admin.answers["GET", "/api/v1/dead/5"] = {"id": 5, "body": 5000 * "x"}
    result = admin.run("dead", "show", 5)
    assert 4096 * "x" + "\n" in result.stdout
    assert "and 904 bytes more; --body writes all of it" in result.stdout
    assert admin.run("dead", "show", 5, "--body").stdout == 5000 * "x"


def test_spool_drop(admin):
    admin.answers["POST", "/api/v1/spool/1/drop"] = {"dropped": True}
    admin.answers["POST", "/api/v1/spool/3/drop"] = {"dropped": True}
    result = admin.run("spool", "drop", 1, 2, 3, "--yes")
    assert result.returncode == NO
    assert result.stdout == "1  dropped\n3  dropped\n2 dropped, 1 failed\n"
    assert result.stderr == "hookbridgectl: 2: there is no such thing\n"
    assert posts(admin) == [(f"/api/v1/spool/{i}/drop", {}) for i in (1, 2, 3)]


def test_spool_reroute(admin):
    """Asked again until nothing is left."""
    left = [1200]

    def reroute(request):
        moved = min(left[0], json.loads(request.body)["limit"])
        left[0] -= moved
        return {"moved": moved, "refused": 0, "left": left[0], "why": None,
                "next": 1200 - left[0] if left[0] else None}

    admin.answers["GET", "/api/v1/spool"] = {"shelves": [
        shelf(sink="old", records=1000), shelf(sink="old", records=200),
        shelf(records=5)]}
    admin.answers["POST", "/api/v1/spool/reroute"] = reroute
    result = admin.run("spool", "reroute", "old", "--to", "main")
    assert result.returncode == USAGE and posts(admin) == []
    assert ("this would move 1200 deliveries (11.7 KiB) of sink \"old\" to "
            "sink \"main\"; say --yes") in result.stderr
    result = admin.run("spool", "reroute", "old", "--to", "main", "--yes")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout == "1200 moved, 0 left\n"
    assert posts(admin) == [("/api/v1/spool/reroute", {
        "sink": "old", "to": "main", "limit": 500, "after": after})
                            for after in (0, 500, 1000)]


def test_spool_reroute_that_cannot_move_all(admin):
    """The first ones cannot: the rest is tried all the same."""
    answers = iter([{"moved": 0, "refused": 1, "left": 3, "why": "no topic",
                     "next": 9},
                    {"moved": 2, "refused": 0, "left": 1, "why": None,
                     "next": None}])
    admin.answers["GET", "/api/v1/spool"] = {"shelves": [shelf()]}
    admin.answers["POST", "/api/v1/spool/reroute"] = lambda _: next(answers)
    result = admin.run("spool", "reroute", "main", "--to", "b", "--yes",
                       "--json")
    assert result.returncode == NO
    assert lines(result.stdout) == [{"moved": 2, "left": 1,
                                     "why": "no topic"}]
    assert "not all could be moved: no topic" in result.stderr
    admin.answers["POST", "/api/v1/spool/reroute"] = problem(400, "no sink")
    result = admin.run("spool", "reroute", "main", "--to", "\udcff", "--yes")
    assert result.returncode == USAGE
    assert "xff" in posts(admin)[-1][1]["to"]
    result = admin.run("spool", "reroute", "b", "--to", "b", "--yes")
    assert result.returncode == USAGE
    assert "--to: expected another sink" in result.stderr
    result = admin.run("spool", "reroute", "mian", "--to", "b", "--yes")
    assert result.returncode == NO
    assert 'nothing waits for a sink "mian"' in result.stderr


# --- dead ---------------------------------------------------------------------

def letter(number, **changes):
    return {"id": number, "reason": "unrouted", "endpoint": "e",
            "event_id": f"msg_{number}", "job_id": None, "destination": None,
            "received_ms": now_ms() - 61_000, "kept_ms": now_ms() - 61_000,
            "size": 2048, **changes}


class Letters:
    """Dead letters, listed in pages of three. Those of refused cannot be
    acted on; those that are retried in vain come back with a new number."""

    def __init__(self, admin, numbers, refused=(), in_vain=()):
        self.admin, self.there = admin, list(numbers)
        self.refused, self.in_vain = set(refused), set(in_vain)
        admin.answers["GET", "/api/v1/dead"] = self.list
        for number in numbers:
            for verb in ("retry", "drop"):
                admin.answers[
                    "POST", f"/api/v1/dead/{number}/{verb}"] = self.act

    def list(self, _):
        after = int(self.admin.queries[-1]["after"])
        page = [n for n in self.there if n > after][:3]
        more = [n for n in self.there if n > after][3:]
        return {"dead": [letter(n) for n in page],
                "next": page[-1] if more else None}

    def act(self, request):
        number, verb = request.path.split("/")[-2:]
        number = int(number)
        if number in self.refused:
            return problem(409, "its endpoint is gone")
        self.there.remove(number)
        if number in self.in_vain:
            self.there.append(max(self.there, default=number) + 100)
            return {"outcome": "dead-lettered"}
        return {"outcome": "confirmed"} if verb == "retry" else {
            "dropped": True}


def test_dead_list(admin):
    Letters(admin, range(1, 8))
    result = admin.run("dead", "list")
    assert (result.returncode, result.stderr) == (OK, "")
    shown = result.stdout.splitlines()
    assert max(map(len, shown)) <= 80 and len(shown) == 8
    assert shown[0].split() == ["NUMBER", "KEPT", "REASON", "ENDPOINT",
                                "SIZE", "EVENT"]
    assert shown[7].split() == ["7", "1", "m", "ago", "unrouted", "e", "2.0",
                                "KiB", "msg_7"]
    result = admin.run("dead", "list", "--json")
    assert [doc["id"] for doc in lines(result.stdout)] == list(range(1, 8))


def test_dead_list_by_what_they_have_in_common(admin):
    admin.answers["GET", "/api/v1/dead"] = {"dead": [], "next": None}
    result = admin.run("dead", "list", "--reason", "a b&c", "--endpoint",
                       "e+f", "--before", "2026-01-01T00:00:00Z")
    assert result.returncode == OK
    assert result.stdout == "There are no dead letters of that kind.\n"
    assert {k: v for k, v in admin.queries[0].items() if k != "limit"} == {
        "after": "0", "reason": "a b&c", "endpoint": "e+f",
        "before_ms": "1767225600000"}


def test_an_empty_page_is_not_the_end(admin):
    pages = iter([{"dead": [], "next": 500}, {"dead": [letter(501)],
                                              "next": None}])
    admin.answers["GET", "/api/v1/dead"] = lambda _: next(pages)
    result = admin.run("dead", "list", "--json")
    assert [doc["id"] for doc in lines(result.stdout)] == [501]
    assert [q["after"] for q in admin.queries] == ["0", "500"]


def test_dead_retry_of_some(admin):
    letters = Letters(admin, [1, 2, 3], refused=[2], in_vain=[3])
    result = admin.run("dead", "retry", 1)  # one alone is not asked about
    assert (result.returncode, result.stdout) == (OK, "1  confirmed\n")
    result = admin.run("dead", "retry", 2, 3)
    assert result.returncode == USAGE and letters.there == [2, 3]
    assert "this would send 2 dead letters again" in result.stderr
    result = admin.run("dead", "retry", 2, 3, "--yes", "--json")
    assert result.returncode == NO and result.stderr == ""
    assert lines(result.stdout) == [
        {"id": 2, "error": "its endpoint is gone", "code": 409},
        {"id": 3, "error": "it is a dead letter again", "code": 200}]


def test_dead_retry_of_all(admin):
    """Those that become dead letters again meanwhile are left alone."""
    letters = Letters(admin, range(1, 8), refused=[4], in_vain=[2, 7])
    result = admin.run("dead", "retry", "--all", "--yes")
    assert result.returncode == NO
    assert result.stdout == "4 retried, 3 failed\n"
    assert result.stderr.count("it is a dead letter again") == 2
    assert letters.there[0] == 4 and len(letters.there) == 3
    assert len(posts(admin)) == 7


def test_dead_drop_asks(admin):
    letters = Letters(admin, [1, 2])
    question = "drop 2 dead letters for good? [y/N]"
    for answer in ("n", "", "yess"):
        code, shown = admin.run_on_terminal("dead", "drop", "--all",
                                            answer=answer)
        assert code == NO and question in shown and "nothing was" in shown
    assert letters.there == [1, 2]
    code, shown = admin.run_on_terminal("dead", "drop", "--all", answer="y")
    assert code == OK and letters.there == []
    assert "2 dropped" in shown
    result = admin.run("dead", "drop", "--all", "--yes")
    assert result.returncode == NO
    assert "there are no dead letters" in result.stderr


def test_who_may_not_is_told_once(admin):
    Letters(admin, [1, 2, 3])
    for number in (1, 2, 3):
        admin.answers["POST", f"/api/v1/dead/{number}/drop"] = problem(
            403, "you may not")
    result = admin.run("dead", "drop", "--all", "--yes")
    assert result.returncode == NO_PERMISSION
    assert result.stderr.count("you may not") == 1
    assert result.stdout == "0 dropped, 3 left as they were\n"
    assert len(posts(admin)) == 1


def test_many_failures_are_counted(admin):
    Letters(admin, range(1, 31), refused=range(1, 31))
    result = admin.run("dead", "drop", "--all", "--yes")
    assert result.returncode == NO
    assert result.stdout == "0 dropped, 30 failed\n"
    assert result.stderr.count("its endpoint is gone") == 20
    assert "further failures are only counted" in result.stderr


def test_an_interruption_ends_it_in_between(admin):
    """What was done is told, what was not, is left."""
    letters = Letters(admin, range(1, 8))
    act, popens = letters.act, []

    def interrupt(request):
        popens[0].terminate()
        return act(request)

    admin.answers["POST", "/api/v1/dead/3/drop"] = interrupt
    popens.append(ctl.start("--admin", admin.address, "dead", "drop", "--all",
                            "--yes"))
    code, shown, _ = ctl.finish(popens[0])
    assert code == NO
    assert shown == "3 dropped, 4 left as they were\n"
    assert letters.there == [4, 5, 6, 7]


# --- dedup --------------------------------------------------------------------

def test_dedup_forget(admin):
    admin.answers["POST", "/api/v1/dedup/forget"] = {"forgotten": True}
    result = admin.run("dedup", "forget", "e", "msg_1")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.startswith("Forgotten: ")
    assert posts(admin) == [("/api/v1/dedup/forget",
                             {"endpoint": "e", "id": "msg_1"})]
    admin.answers["POST", "/api/v1/dedup/forget"] = {"forgotten": False}
    result = admin.run("dedup", "forget", "e", "msg_1", "--json")
    assert result.returncode == NO
    assert lines(result.stdout) == [{"id": "msg_1", "forgotten": False}]


# --- claim --------------------------------------------------------------------

def claims(*digests):
    return {"claims": [{"digest": d, "endpoint": "e", "size": 5,
                        "kept_ms": now_ms() - 3_700_000} for d in digests]}


def test_claim_list(admin):
    admin.answers["GET", "/api/v1/claims"] = claims(DIGEST)
    result = admin.run("claim", "list")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.splitlines()[1].split() == [
        DIGEST[:16], "e", "5", "B", "1", "h", "1", "m", "ago"]
    assert lines(admin.run("claim", "list", "--json").stdout) == \
        admin.answers["GET", "/api/v1/claims"]["claims"]
    admin.answers["GET", "/api/v1/claims"] = claims()
    assert admin.run("claim", "list").stdout == "There are no claimed bodies.\n"


@pytest.mark.parametrize("name", [
    DIGEST, f"urn:hookbridge:claim:{DIGEST}", DIGEST[:8],
    f"urn:hookbridge:claim:{DIGEST[:20]}"])
def test_claim_get(admin, name):
    admin.answers["GET", "/api/v1/claims"] = claims(DIGEST, DIGEST, 64 * "0")
    admin.answers["GET", f"/api/v1/claims/{DIGEST}"] = (200, CLAIM)
    result = admin.run("claim", "get", name, text=False)
    assert (result.returncode, result.stdout) == (OK, CLAIM)


def test_claim_get_into_a_file(admin, tmp_path):
    admin.answers["GET", f"/api/v1/claims/{DIGEST}"] = (200, CLAIM)
    file = tmp_path / "body"
    result = admin.run("claim", "get", DIGEST, "--out", file, "--json")
    assert (result.returncode, result.stderr) == (OK, "")
    assert lines(result.stdout) == [{"file": str(file), "digest": DIGEST,
                                     "size": len(CLAIM)}]
    assert file.read_bytes() == CLAIM
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b"mine")
    result = admin.run("claim", "get", DIGEST, "--out", file)
    assert result.returncode == IO and "File exists" in result.stderr
    assert file.read_bytes() == b"mine"


def test_claim_get_of_something_else(admin, tmp_path):
    """Nothing is written of what does not have the digest."""
    admin.answers["GET", f"/api/v1/claims/{DIGEST}"] = (200, CLAIM[:-1])
    file = tmp_path / "body"
    result = admin.run("claim", "get", DIGEST, "--out", file)
    assert result.returncode == IO and not file.exists()
    assert "does not have the digest" in result.stderr
    admin.answers["GET", "/api/v1/claims"] = claims(DIGEST,
                                                    DIGEST[:10] + 54 * "0")
    result = admin.run("claim", "get", DIGEST[:10])
    assert result.returncode == USAGE
    assert "several digests begin with" in result.stderr
    result = admin.run("claim", "get", "00000000")
    assert result.returncode == NO
    assert "there is no body" in result.stderr


# --- tail ---------------------------------------------------------------------

def settled(**changes):
    doc = {"endpoint": "production", "id": "msg_1", "job_id": "j",
           "status": "completed", "outcome": "confirmed",
           "destinations": ["main:t", "streams:s"], "reason": None,
           "at_ms": 1767225600500, "took_ms": 12, **changes}
    return f"event: event.settled\ndata: {json.dumps(doc)}\n\n"


def test_tail(admin):
    """Until the daemon ends it."""
    admin.answers["GET", "/api/v1/tail"] = (200, (
        ": keep-alive\n\n" + settled() +
        settled(outcome="dead-lettered", reason="unrouted", id=ESCAPE,
                job_id=None, destinations=[], endpoint="e" * 40) +
        'event: missed\ndata: {"count": 5}\n\n' +
        settled().replace("event.settled", "delivery.replayed") +
        settled(id="i" * 100, destinations=["d" * 100]) +
        settled(id="msg_" + 27 * "x", job_id="\u6f22" * 99)).encode())
    result = admin.run("tail", "--endpoint", "a&b", "--outcome", "spooled")
    assert result.returncode == UNAVAILABLE
    assert "the daemon has ended the tail" in result.stderr
    assert admin.queries == [{"endpoint": "a&b", "outcome": "spooled"}]
    shown = result.stdout.splitlines()
    assert max(map(len, shown)) <= 80 and "\x1b" not in result.stdout
    assert shown[:2] == [
        "00:00:00.500  confirmed      production    msg_1",
        "    12 ms, completed, job j, main:t, streams:s"]
    assert shown[2].split()[1:3] == ["dead-lettered", "eeeeeeeee..."]
    assert "\\u001b[31mred" in shown[2]
    assert shown[3] == "    12 ms, completed, unrouted"
    assert shown[4] == "... 5 events were too fast to be told"
    assert shown[6] == (
        "    12 ms, delivery.replayed, completed, job j, main:t, streams:s")
    assert shown[7].endswith("iii...") and shown[8].endswith("ddd...")
    assert shown[9].endswith("  msg_" + 27 * "x")
    assert shown[10].endswith("\u6f22...") and len(shown[10]) == 80


def test_tail_for_programs(admin):
    admin.answers["GET", "/api/v1/tail"] = (200, (
        settled() + 'event: missed\ndata: {"count": 5}\n\n'
        "data: no JSON\n\n").encode())
    result = admin.run("--json", "tail")
    first, second = lines(result.stdout)
    assert (first["event"], first["id"]) == ("event.settled", "msg_1")
    assert second == {"event": "missed", "count": 5}


def test_tail_that_is_refused(admin):
    admin.answers["GET", "/api/v1/tail"] = problem(400, "no such endpoint")
    result = admin.run("tail", "--endpoint", "x")
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr == "hookbridgectl: no such endpoint\n"


def test_tail_tells_at_once(tmp_path):
    """Each event when it comes; and it ends when nobody reads any more."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        popen = ctl.start("--admin", f"unix:{path}", "--json", "tail")
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: "
                         b"text/event-stream\r\n\r\n" + settled().encode())
            assert json.loads(popen.stdout.readline())["id"] == "msg_1"
            popen.stdout.close()

            def has_ended():
                try:
                    peer.sendall(settled().encode())
                except OSError:
                    pass
                return popen.poll() is not None

            wait_until(has_ended)
        assert popen.returncode == IO
        assert "stdout: " in popen.stderr.read()
        popen.stderr.close()
