# SPDX-License-Identifier: Apache-2.0
"""hookbridgectl and the daemon together: each command once, as an operator
would use it. What becomes of odd answers is in test_ctl_admin.py."""

import glob
import itertools
import json
import os
import threading

import pytest

import ctl
from ctl import NO, NO_INPUT, NO_PERMISSION, OK, UNAVAILABLE, run
from events import of_redis
from process import free_port, wait_until

# Somebody who is neither root nor the daemon's user, nor an operator.
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def config(redis, stream, **rest):
    """Completed jobs go to a stream, others nowhere."""
    return {"endpoints": {"e": {"path": "/e", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": redis.url}},
            "routes": [{"name": "done", "when": {"status": "completed"},
                        "to": [{"sink": "r", "stream": stream}]}],
            "spool": {}, **rest}


def body(number, status="Completed"):
    return json.dumps({"status": status, "job_id": f"job-{number}"}).encode()


def asks(daemon, *arguments, **options):
    return run("-c", daemon.config_path, *arguments, **options)


def documents(result):
    assert result.stderr == "" and result.returncode == OK
    return [json.loads(line) for line in result.stdout.splitlines()]


def ids_of(entries):
    return [of_redis(e).headers["ce_id"].decode() for e in entries]


def test_status(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    assert daemon.post_signed("e", body(1)).status == 200
    assert daemon.post_signed("e", body(2, "Failed")).status == 202
    result = asks(daemon, "status")
    assert (result.returncode, result.stderr) == (OK, "")
    shown = result.stdout.splitlines()
    assert shown[0].startswith("hookbridge ") and "is ready" in shown[0]
    assert f"process {daemon.popen.pid}, up " in shown[1]
    assert ["r", unique, "up", "0", "0", "0", "B", "-"] in [
        line.split() for line in shown]
    assert "dead letters by reason: unrouted 1" in shown
    doc, = documents(asks(daemon, "status", "--json"))
    assert doc["events"]["confirmed"] == doc["events"]["dead_lettered"] == 1
    assert {c["name"] for c in doc["checks"]} >= {"spool", "sink r"}
    assert daemon.terminate() == 0
    assert asks(daemon, "status").returncode == UNAVAILABLE


def test_dead_letters(hookbridge, redis_server, unique):
    """Looked at, sent again in vain, then by a new route; some dropped."""
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    texts = [body(n, "Failed") for n in range(3)] + [b"[\x1b[31m]"]
    for number, text in enumerate(texts):
        answer = daemon.post_signed("e", text, webhook_id=f"msg_{number}")
        assert answer.json()["outcome"] == "dead-lettered"
    listed = documents(asks(daemon, "dead", "list", "--json"))
    assert [d["event_id"] for d in listed] == [f"msg_{n}" for n in range(4)]
    unrouted = documents(asks(daemon, "dead", "list", "--json", "--reason",
                              "unrouted", "--endpoint", "e"))
    assert unrouted == listed[:3]
    last = listed[3]["id"]
    raw = asks(daemon, "dead", "show", last, "--body", text=False)
    assert (raw.returncode, raw.stdout) == (OK, texts[3])
    shown = asks(daemon, "dead", "show", last).stdout
    assert "\x1b" not in shown and f"number        {last}\n" in shown
    result = asks(daemon, "dead", "retry", listed[0]["id"])
    assert result.returncode == NO
    assert "it is a dead letter again" in result.stderr
    assert daemon.terminate() == 0
    changed = config(redis_server, unique)
    del changed["routes"][0]["when"]
    daemon.configure(changed)
    daemon.start().wait_up()
    result = asks(daemon, "dead", "retry", "--reason", "unrouted", "--yes")
    assert (result.returncode, result.stdout) == (OK, "3 retried\n")
    assert sorted(ids_of(redis_server.entries(unique, 3))) == [
        "msg_0", "msg_1", "msg_2"]
    result = asks(daemon, "dead", "drop", last, "--yes")
    assert (result.returncode, result.stdout) == (OK, f"{last}  dropped\n")
    assert asks(daemon, "dead", "show", last).returncode == NO
    assert documents(asks(daemon, "dead", "list", "--json")) == []


def test_what_waits(hookbridge, redis_server, unique):
    """For a sink that is away: listed, shown, one dropped, the rest moved."""
    sinks = {"r": {"type": "redis", "url": redis_server.url},
             "gone": {"type": "redis",
                      "url": f"redis://127.0.0.1:{free_port()}"}}
    daemon = hookbridge(config(redis_server, unique, sinks=sinks, routes=[
        {"to": [{"sink": "gone", "stream": unique}]},
        {"when": {"status": "never"},
         "to": [{"sink": "r", "stream": unique}]}]))
    for number in range(3):
        answer = daemon.post_signed("e", body(number),
                                    webhook_id=f"msg_{number}")
        assert answer.json()["outcome"] == "spooled"
    shelf, = documents(asks(daemon, "spool", "list", "--json"))
    assert (shelf["sink"], shelf["destination"], shelf["records"]) == (
        "gone", unique, 3)
    assert asks(daemon, "spool", "list").stdout.splitlines()[1].split()[:4] \
        == ["gone", unique, "e", "3"]
    number = first_delivery(daemon)
    doc, = documents(asks(daemon, "spool", "show", number, "--json"))
    assert doc["event_id"] == "msg_0"
    raw = asks(daemon, "spool", "show", number, "--body")
    assert json.loads(raw.stdout)["job_id"] == "job-0"

    def is_dropped():
        """Unless the replay holds it just now."""
        return asks(daemon, "spool", "drop", number,
                    "--yes").returncode == OK
    wait_until(is_dropped)
    result = asks(daemon, "spool", "reroute", "gone", "--to", "r", "--yes")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout == "2 moved, 0 left\n"
    assert sorted(ids_of(redis_server.entries(unique, 2))) == [
        "msg_1", "msg_2"]
    daemon.wait_drained()


def first_delivery(daemon):
    for number in range(1, 100):
        if daemon.admin("GET", f"/api/v1/spool/{number}")[0] == 200:
            return number
    raise AssertionError("no delivery has a number")


def test_dedup_forget(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()

    def outcome():
        return daemon.post_signed("e", body(1), webhook_id="msg_1").json()[
            "outcome"]

    assert [outcome(), outcome()] == ["confirmed", "duplicate"]
    result = asks(daemon, "dedup", "forget", "e", "msg_1")
    assert (result.returncode, result.stderr) == (OK, "")
    assert outcome() == "confirmed"
    assert asks(daemon, "dedup", "forget", "e", "msg_2").returncode == NO
    assert asks(daemon, "dedup", "forget", "f", "msg_1").returncode == NO
    assert len(redis_server.entries(unique, 2)) == 2


def test_tail(hookbridge, redis_server, unique):
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    popen = ctl.start("-c", daemon.config_path, "tail", "--json",
                      "--outcome", "dead-lettered")
    lines = []
    reader = threading.Thread(
        target=lambda: lines.append(popen.stdout.readline()))
    reader.start()
    numbers = itertools.count()

    def is_told():
        """Who listens is told of what happens from then on."""
        daemon.post_signed("e", body(next(numbers), "Completed"))
        daemon.post_signed("e", body(next(numbers), "Failed"))
        return lines

    wait_until(is_told)
    reader.join()
    doc = json.loads(lines[0])
    assert (doc["endpoint"], doc["outcome"], doc["reason"]) == (
        "e", "dead-lettered", "unrouted")
    assert daemon.terminate() == 0
    code, _, said = ctl.finish(popen)
    assert code == UNAVAILABLE
    assert said.startswith("hookbridgectl: the daemon has ended the tail: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be others")
def test_who_may_do_what(hookbridge, redis_server, unique):
    """Everybody who can open the socket may look, operators may change."""
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    daemon.post_signed("e", body(1, "Failed"))
    number = daemon.admin("GET", "/api/v1/dead")[1]["dead"][0]["id"]
    where = ("--admin", f"unix:{daemon.admin_path}")
    denied = run(*where, "status", before=AS_NOBODY)
    assert denied.returncode == NO_PERMISSION
    os.chmod(daemon.run_directory, 0o755)
    os.chmod(daemon.admin_path, 0o666)
    assert run(*where, "status", before=AS_NOBODY).returncode == OK
    assert run(*where, "dead", "list", before=AS_NOBODY).returncode == OK
    for command in ("show", "retry"):
        denied = run(*where, "dead", command, number, before=AS_NOBODY)
        assert denied.returncode == NO_PERMISSION
        assert "admin.operators" in denied.stderr
    assert daemon.terminate() == 0
    daemon.configure(config(redis_server, unique, admin={
        "address": f"unix:{daemon.admin_path}", "operators": ["nobody"]}))
    daemon.start().wait_up()
    os.chmod(daemon.admin_path, 0o666)
    assert run(*where, "dead", "show", number,
               before=AS_NOBODY).returncode == OK


def test_spool_verify(hookbridge, redis_server, unique):
    """While the daemon runs, after it, and when a byte is another one."""
    daemon = hookbridge(config(redis_server, unique)).wait_up()
    for number in range(5):
        daemon.post_signed("e", body(number, "Failed"))
    running = documents(asks(daemon, "spool", "verify", "--json"))
    assert [os.path.basename(d["directory"]) for d in running] == [
        "deliveries", "dead"]
    assert all(d["sound"] and d["in_use"] for d in running)
    assert running[1]["records"] == running[1]["unsettled"] == 5
    assert daemon.terminate() == 0
    result = asks(daemon, "spool", "verify")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.count("\n    sound\n") == 2
    damage(daemon.spool_path("dead"), b"job-3")
    result = run("spool", "verify", daemon.spool_path("dead"))
    assert (result.returncode, result.stderr) == (NO, "")
    assert "damaged" in result.stdout
    assert asks(daemon, "spool", "verify").returncode == NO
    above = run("spool", "verify", os.path.dirname(daemon.spool_path("dead")))
    assert (above.returncode, above.stderr) == (NO, "")
    assert above.stdout.endswith(result.stdout)
    for name, code in (("gone", NO_INPUT), ("lock", NO_INPUT)):
        path = os.path.join(daemon.spool_path("dead"), name)
        result = run("spool", "verify", path)
        assert (result.returncode, result.stdout) == (code, "")
        assert result.stderr.count(path) == 1


def damage(directory, text):
    """Another byte in place of the first of this text."""
    for path in glob.glob(f"{directory}/*"):
        with open(path, "r+b") as f:
            at = f.read().find(text)
            if at >= 0:
                f.seek(at)
                f.write(b"X")
                return
    raise AssertionError(f"{text} is in no file")
