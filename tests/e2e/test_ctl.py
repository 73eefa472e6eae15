# SPDX-License-Identifier: Apache-2.0
"""hookbridgectl: its command line, send, secret and portal."""

import base64
import json
import os
import re
import signal
import stat
import time

import pytest
import reducto

import ctl
import events
import hookbridge as rig
from ctl import (CONFIG, INTERNAL, IO, NO, NO_INPUT, NO_PERMISSION, OK,
                 TRY_AGAIN, UNAVAILABLE, USAGE, WebServer, run)
from process import free_port, wait_until

# Root may do everything; without these capabilities root is like others.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
             "--inh-caps=-dac_override,-dac_read_search"]

COMMANDS = ["explain", "send", "secret new", "secret check", "portal",
            "spool verify"]
ADMIN_COMMANDS = ["status", "tail", "spool list", "spool show",
                  "spool reroute", "spool drop", "dead list", "dead show",
                  "dead retry", "dead drop", "dedup forget", "claim list",
                  "claim get"]


# --- the command line ---------------------------------------------------------

def test_help_lists_the_commands():
    result = run("--help")
    assert result.returncode == OK and result.stderr == ""
    for word in [*COMMANDS, *ADMIN_COMMANDS, "usage: hookbridgectl", "-c, --config", "--json",
                 "--version", "$HOOKBRIDGE_CONFIG"]:
        assert word in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


@pytest.mark.parametrize("command", COMMANDS + ADMIN_COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_each_command_has_a_help(command, option):
    result = run(*command.split(), option)
    assert (result.returncode, result.stderr) == (OK, "")
    where = "--admin ADDRESS" if command in ADMIN_COMMANDS else "-c FILE"
    assert re.match(re.escape(
        f"usage: hookbridgectl [{where}] [--json] {command}") + r"\b",
        result.stdout)
    assert len(result.stdout.splitlines()) > 2
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_version():
    result = run("--version")
    assert (result.returncode, result.stderr) == (OK, "")
    assert re.fullmatch(r"hookbridgectl \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize("arguments, said", [
    ([], "usage: hookbridgectl [-c FILE | --admin ADDRESS] [--json] COMMAND"),
    (["--nonsense"], "unrecognized option '--nonsense'"),
    (["-c"], "option requires an argument"),
    (["sned"], 'did you mean "send"?'),
    (["secret"], "these are there:\n  secret new  "),
    (["dead"], "these are there:\n  dead list  "),
    (["nothing"], "these are there:\n  explain   "),
    (["help"], "  secret new           make a signing secret\n"),
    (["secret", "steal"], "there is no such command"),
    (["send"], "name an endpoint"),
    (["--admin", "unix:/s", "send", "e"], "--admin: send asks no daemon"),
    (["send", "e", "--admin", "unix:/s"], "unrecognized option"),
    (["send", "e", "body", "more"], "unexpected word"),
    (["send", "e", "--count", "0"], "--count: expected a number from 1 to"),
    (["send", "e", "--count", "-1"], "--count: expected"),
    (["send", "e", "--count", "3x"], "--count: expected"),
    (["send", "e", "--count", "10000001"], "--count: expected"),
    (["send", "e", "--rate", "0"], "--rate: expected webhooks a second"),
    (["send", "e", "--rate", "nan"], "--rate: expected"),
    (["send", "e", "--rate", "1e7"], "--rate: expected"),
    (["send", "e", "--concurrency", "1001"], "--concurrency: expected"),
    (["send", "e", "--nonsense"], "hookbridgectl: unrecognized option"),
    (["secret", "new", "file"], "a file is named by --out"),
    (["--json", "secret", "new"], "--json never shows a secret"),
    (["--json", "secret", "new", "--show"], "--json never shows a secret"),
    (["secret", "new", "--show", "--out", "x"], "take one of them"),
    (["send", "e", "--secret", "-", "-"], "stdin cannot be the secret and"),
    (["-c", "-", "send", "e", "--secret", "-"], "stdin cannot be the secret"),
    (["secret", "check"], "name the file"),
    (["secret", "check", "a", "b"], "one file at a time"),
    (["portal", "now"], "unexpected word"),
])
def test_wrong_usage(arguments, said):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert said in result.stderr


def test_options_may_stand_behind_the_command(tmp_path):
    (tmp_path / "s").write_text(rig.new_secret())
    (tmp_path / "s").chmod(0o600)
    before = run("--json", "secret", "check", tmp_path / "s")
    behind = run("secret", "check", tmp_path / "s", "--json")
    assert before.stdout == behind.stdout
    assert json.loads(before.stdout)["accepted"] is True


def test_output_that_cannot_be_written():
    with open("/dev/full", "w", encoding="ascii") as full:
        result = run("secret", "new", stdout=full)
    assert result.returncode == IO
    assert "stdout: No space left" in result.stderr


# --- send: a daemon with a stream ---------------------------------------------

@pytest.fixture
def site(hookbridge, redis_server, unique):
    """site(endpoints, ...): a daemon that puts all events into the stream
    site.stream of site.redis."""
    def make(endpoints=None, files=None, **config):
        daemon = hookbridge({
            "endpoints": endpoints or {"e": {"path": "/e", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": redis_server.url}},
            "routes": [{"to": {"sink": "r", "stream": unique}}],
            **config}, files=files)
        daemon.stream = unique
        daemon.redis = redis_server.client()
        return daemon.wait_up()
    return make


@pytest.fixture
def absent(tmp_path):
    """absent(endpoints): a configuration whose daemon does not run."""
    def make(endpoints=None, files=None):
        return rig.Hookbridge(tmp_path / "absent", {
            "endpoints": endpoints or {"e": {"path": "/e", "mode": "svix"}},
            "sinks": {"f": {"type": "file", "path": str(tmp_path / "f")}},
            "routes": [{"to": {"sink": "f"}}]}, files=files)
    return make


def messages(daemon):
    return [events.of_redis(e) for e in daemon.redis.xrange(daemon.stream)]


def values(daemon):
    return [json.loads(m.value) for m in messages(daemon)]


def send(daemon, *arguments, **options):
    """(exit code, the document of --json)"""
    result = run("-c", daemon.config_path, "--json", "send", *arguments,
                 **options)
    return result.returncode, json.loads(result.stdout)


def test_a_signed_webhook_is_accepted(site):
    daemon = site()
    result = run("-c", daemon.config_path, "send", "e")
    assert (result.returncode, result.stderr) == (OK, "")
    assert f"1 webhook to http://127.0.0.1:{daemon.port}/e in " in result.stdout
    assert re.search(r"^ +1  200  confirmed$", result.stdout, re.M)
    assert "latency" not in result.stdout  # the first line says it
    [value] = values(daemon)
    assert value["webhook_id"] == re.search(r"^id (msg_\w{27})$",
                                            result.stdout, re.M)[1]
    assert value["status"] == "completed"
    assert value["metadata"]["sent_by"] == "hookbridgectl"


def test_the_document(site):
    daemon = site()
    code, doc = send(daemon, "e", "--count", "7")
    assert code == OK
    assert doc["url"] == f"http://127.0.0.1:{daemon.port}/e"
    assert [doc[k] for k in ("wanted", "sent", "accepted", "refused",
                             "unreachable")] == [7, 7, 7, 0, 0]
    assert doc["answers"] == [{"code": 200, "count": 7, "says": "confirmed"}]
    latency = doc["latency_seconds"]
    assert list(latency) == ["min", "p50", "p90", "p99", "max"]
    assert list(latency.values()) == sorted(latency.values())
    assert 0 < latency["min"] <= latency["max"] <= doc["seconds"] < 30


def test_every_webhook_is_another(site):
    daemon = site()
    code, doc = send(daemon, "e", "--count", "300", "--concurrency", "20")
    assert (code, doc["accepted"]) == (OK, 300)
    sent = values(daemon)
    assert len(sent) == 300
    assert len({v["webhook_id"] for v in sent}) == 300
    assert len({v["job_id"] for v in sent}) == 300


def test_connections_are_kept(site):
    daemon = site()
    assert send(daemon, "e", "--count", "200", "--concurrency", "4")[0] == OK
    assert daemon.terminate() == 0
    # One more from the rig's look whether the daemon is there.
    assert daemon.metric("http_connections_total") <= 4 + 1
    assert daemon.metric("http_requests_total", endpoint="e") == 200


def test_a_rate_is_kept(site):
    daemon = site()
    code, doc = send(daemon, "e", "--count", "41", "--rate", "20")
    assert (code, doc["accepted"]) == (OK, 41)
    assert len(messages(daemon)) == 41
    assert 2.0 <= doc["seconds"] < 20


def start_send(absent, *arguments):
    """A sender for endpoint e, without a daemon."""
    return ctl.start("-c", absent().config_path, "--json", "send", "e",
                     *arguments)


def finish_send(process):
    """(exit code, the document of --json)"""
    code, document, _ = ctl.finish(process)
    return code, json.loads(document)


def test_a_rate_does_not_wait_for_answers(absent):
    """Ten in the second that the first is not answered: an open loop."""
    with WebServer() as server:
        server.hold()
        process = start_send(absent, "--url", server.url, "--count", "10",
                             "--rate", "50")
        wait_until(lambda: len(server.requests) == 10)
        server.release()
        assert ctl.finish(process)[0] == OK


def test_a_webhook_that_had_to_wait_is_late(absent):
    """Latency counts from when it was due, not from when it could be sent."""
    with WebServer() as server:
        server.hold()
        process = start_send(absent, "--url", server.url, "--count", "2",
                             "--rate", "1000", "--concurrency", "1")
        wait_until(lambda: len(server.requests) == 1)
        time.sleep(0.5)
        server.release()
        code, doc = finish_send(process)
    assert code == OK
    assert doc["latency_seconds"]["max"] >= 0.5
    assert doc["latency_seconds"]["min"] >= 0.49


TOKEN = "t0ken/of ours&more?"


@pytest.mark.parametrize("endpoint", [
    {"path": "/b", "token": {"in": "bearer"}},
    {"path": "/u", "token": {"in": "basic", "user": "joe"}},
    {"path": "/q", "token": {"in": "query.t"}},
    {"path": "/p/{token}/x", "token": {"in": "path"}},
    {"path": "/m", "token": {"in": "metadata.auth.token"}},
], ids=lambda endpoint: endpoint["token"]["in"].split(".")[0])
def test_direct_tokens(site, endpoint):
    endpoint = {"mode": "direct", **endpoint,
                "token": {**endpoint["token"], "secret": "file:token"}}
    daemon = site({"d": endpoint}, files={"token": TOKEN + "\n"})
    result = run("-c", daemon.config_path, "send", "d", "--count", "2")
    assert result.returncode == OK
    assert re.search(r"^  latency  min \S+ ms, p50 ", result.stdout, re.M)
    sent = values(daemon)
    assert len({v["job_id"] for v in sent}) == 2
    assert TOKEN not in json.dumps(sent) + daemon.log() + result.stdout
    result = run("-c", daemon.config_path, "send", "d", "--secret", "-",
                 input="another-token-of-16\n")
    assert result.returncode == NO
    assert "another-token" not in result.stdout + result.stderr


def test_the_newest_secret_signs(site):
    old, new = rig.new_secret(), rig.new_secret()
    endpoint = {"path": "/e", "mode": "svix",
                "secrets": ["file:new", "file:old"]}
    daemon = site({"e": endpoint}, files={"new": new, "old": old})
    assert send(daemon, "e")[0] == OK
    assert send(daemon, "e", "--secret", "file:old")[0] == OK
    assert daemon.terminate() == 0
    assert daemon.metric("verify_success_total", endpoint="e", key="0") == 1
    assert daemon.metric("verify_success_total", endpoint="e", key="1") == 1


def test_a_wrong_secret_is_refused(site):
    daemon = site()
    wrong = rig.new_secret()
    result = run("-c", daemon.config_path, "send", "e", "--secret", "-",
                 input=wrong)
    assert result.returncode == NO
    assert re.search(r"^ +1  401  the request could not be verified;",
                     result.stdout, re.M)
    assert "verify.failed" in result.stderr  # where to look
    assert wrong not in result.stdout + result.stderr
    assert wrong[6:] not in result.stdout + result.stderr
    assert messages(daemon) == []


def test_a_secret_on_the_command_line_is_not_taken(absent):
    """Nor repeated: others see command lines, and logs keep messages."""
    secret = rig.new_secret()
    result = run("-c", absent().config_path, "send", "e", "--secret", secret)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "--secret: expected file:NAME, env:NAME or -" in result.stderr
    assert secret[6:] not in result.stderr


def test_a_secret_of_several_lines(absent):
    """It would be several headers."""
    daemon = absent({"d": {"path": "/d", "mode": "direct", "token": {
        "in": "bearer", "secret": "file:token"}}}, {"token": TOKEN})
    with WebServer() as server:
        result = run("-c", daemon.config_path, "send", "d", "--url",
                     server.url, "--secret", "-", input=TOKEN + "\nx-y: z\n")
        assert server.requests == []
    assert (result.returncode, result.stdout) == (CONFIG, "")
    assert "--secret: it has several lines" in result.stderr


def test_secrets_by_reference(site, tmp_path):
    daemon = site()
    secret = daemon.secrets["e"]
    daemon.write_file("beside", secret)
    away = tmp_path / "away"
    away.write_text(secret + "\n")
    away.chmod(0o600)
    for reference in ("file:beside", f"file:{away}", "env:MINE"):
        code, doc = send(daemon, "e", "--secret", reference,
                         env={"MINE": secret})
        assert (code, doc["accepted"]) == (OK, 1), reference
    away.chmod(0o644)
    result = run("-c", daemon.config_path, "send", "e", "--secret",
                 f"file:{away}")
    assert result.returncode == CONFIG
    assert "--secret: expected a file that only its owner" in result.stderr
    assert f"chmod 600 {away}" in result.stderr


def test_a_given_body_is_sent_as_it_is(site, tmp_path, samples):
    body = samples("12-metadata-mixed-types.json")
    daemon = site()
    (tmp_path / "body").write_bytes(body)
    assert send(daemon, "e", tmp_path / "body")[0] == OK
    assert send(daemon, "e", "-", input=body.decode())[0] == OK
    wanted = events.member(body.decode(), "metadata")
    for message in messages(daemon):
        assert events.member(message.value.decode(), "metadata") == wanted


def test_a_large_body(site, tmp_path):
    """libcurl would ask for permission (Expect) before it sends one."""
    body = {"job_id": "large", "status": "completed",
            "metadata": {}, "result": {"x": "y" * 1500000}}
    daemon = site()
    (tmp_path / "body").write_text(json.dumps(body))
    assert send(daemon, "e", tmp_path / "body")[0] == OK
    assert values(daemon)[0]["result"] == body["result"]


def test_a_body_that_is_too_large(site, tmp_path):
    daemon = site({"e": {"path": "/e", "mode": "svix", "body_size": "1KiB"}})
    (tmp_path / "body").write_text("x" * 2000)
    result = run("-c", daemon.config_path, "send", "e", tmp_path / "body")
    assert result.returncode == NO
    assert re.search(r"^ +1  413  ", result.stdout, re.M)
    assert "body_size" in result.stderr


def test_a_body_that_is_missing(absent, tmp_path):
    daemon = absent()
    result = run("-c", daemon.config_path, "send", "e", tmp_path / "nothing")
    assert result.returncode == NO_INPUT
    assert "nothing\": No such file" in result.stderr


def test_stdin_is_there_once(absent):
    daemon = absent()
    config = json.dumps(daemon.config)
    result = run("-c", "-", "send", "e", "-", input=config,
                 cwd=daemon.directory)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "stdin is the configuration already" in result.stderr
    result = run("-c", "-", "send", "e", input=config, cwd=daemon.directory)
    assert result.returncode == UNAVAILABLE


def test_a_body_without_a_place_for_the_token(absent, tmp_path):
    daemon = absent({"m": {"path": "/m", "mode": "direct", "token": {
        "in": "metadata.t", "secret": "file:token"}}}, {"token": TOKEN})
    (tmp_path / "body").write_text("[1]")
    result = run("-c", daemon.config_path, "send", "m", tmp_path / "body")
    assert (result.returncode, result.stdout) == (NO, "")
    assert "it is no JSON object" in result.stderr


@pytest.mark.parametrize("wildcard, family", [("0.0.0.0", "127.0.0.1"),
                                              ("[::]", "[::1]")])
def test_a_listener_on_all_addresses(site, wildcard, family):
    port = free_port()
    daemon = site(listen=[{"address": f"{wildcard}:{port}"}])
    code, doc = send(daemon, "e")
    assert (code, doc["url"]) == (OK, f"http://{family}:{port}/e")


def test_another_url(site):
    daemon = site()
    with WebServer(code=503, body=b"closed \x1b[2J\x9b today\n") as server:
        result = run("-c", daemon.config_path, "send", "e", "--url",
                     f"{server.url}/x/y?z=1")
        [request] = server.requests
    assert (request.method, request.path) == ("POST", "/x/y?z=1")
    assert request.headers["content-type"] == "application/json"
    assert "expect" not in request.headers
    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}=",
                        request.headers["svix-signature"])
    assert abs(int(request.headers["svix-timestamp"]) - time.time()) < 60
    # What strangers say moves no cursor.
    assert result.returncode == NO
    assert "\x1b" not in result.stdout
    assert r"closed \u001b[2J" in result.stdout
    assert messages(daemon) == []


def test_an_event_that_goes_nowhere(site):
    """What the daemon answers is the same as when it is busy; its log is not.
    """
    daemon = site(routes=[{"when": {"status": "failed"}, "to": {
        "sink": "r", "stream": "never"}}])
    result = run("-c", daemon.config_path, "send", "e")
    assert result.returncode == NO
    assert "  503  " in result.stdout
    assert "its log says why: request.done (outcome)" in result.stderr
    daemon.wait_log("request.done", code="503", outcome="no-dead-letter")


def test_a_redirect_is_not_followed(absent):
    with WebServer(code=307, headers={"Location": "/elsewhere"}) as server:
        process = start_send(absent, "--url", server.url)
        code, doc = finish_send(process)
        assert [r.path for r in server.requests] == ["/"]
    assert code == NO
    assert doc["answers"][0]["code"] == 307


def test_nobody_is_there(absent):
    daemon = absent()
    begun = time.monotonic()
    result = run("-c", daemon.config_path, "send", "e", "--count", "1000000")
    assert result.returncode == UNAVAILABLE
    assert "-  Connection refused" in result.stdout
    assert "999999    -  not sent" in result.stdout
    assert "is hookbridged running" in result.stderr
    assert time.monotonic() - begun < 30


def test_the_daemon_goes_away(site):
    daemon = site()
    process = ctl.start("-c", daemon.config_path, "--json", "send", "e",
                        "--count", "100", "--rate", "50")
    wait_until(lambda: len(messages(daemon)) > 3)
    assert daemon.terminate() == 0
    code, doc = finish_send(process)
    assert code == UNAVAILABLE
    assert doc["sent"] == 100
    assert doc["accepted"] == len(messages(daemon)) < 100
    assert (doc["accepted"] + doc["refused"] + doc["unreachable"]) == 100


@pytest.mark.once  # it takes 15 s
def test_who_never_answers_is_not_waited_for(absent):
    with WebServer() as server:
        server.hold()
        process = start_send(absent, "--url", server.url)
        code, doc = finish_send(process)
    assert code == UNAVAILABLE
    assert doc["answers"] == [{"count": 1, "says": "Timeout was reached"}]
    assert 14 < doc["seconds"] < 25


def test_an_interrupt_ends_the_sending(site):
    daemon = site()
    process = ctl.start("-c", daemon.config_path, "--json", "send", "e",
                        "--count", "100000", "--rate", "20")
    wait_until(lambda: len(messages(daemon)) >= 3)
    process.send_signal(signal.SIGINT)
    code, doc = finish_send(process)
    assert code == OK
    assert doc["wanted"] == 100000
    assert 3 <= doc["sent"] == doc["accepted"] == len(messages(daemon)) < 5000


def test_a_second_interrupt_ends_the_waiting(absent):
    with WebServer() as server:
        server.hold()
        process = start_send(absent, "--url", server.url, "--count", "2")
        wait_until(lambda: server.requests)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        code, doc = finish_send(process)
        assert time.monotonic() - begun < 10
    assert code == TRY_AGAIN
    assert (doc["sent"], doc["accepted"], doc["unreachable"]) == (1, 0, 0)


def test_a_fault_of_its_own_has_a_code(absent):
    """How a bug, or the lack of memory, ends it."""
    with WebServer() as server:
        server.hold()
        process = start_send(absent, "--url", server.url)
        wait_until(lambda: server.requests)
        process.send_signal(signal.SIGABRT)
        assert ctl.finish(process)[0] == INTERNAL


def test_the_configuration_by_the_environment(absent):
    daemon = absent()
    result = run("send", "f", env={"HOOKBRIDGE_CONFIG": daemon.config_path})
    assert result.returncode == USAGE
    assert f'{daemon.config_path} has no endpoint "f"' in result.stderr


@pytest.mark.parametrize("name, said", [
    ("evrything", 'did you mean "everything"?'),
    ("x\x1b[2J", r'no endpoint "x\u001b[2J"; these are there:'),
    ("other", "\n    everything\n"),
])
def test_an_unknown_endpoint(absent, name, said):
    daemon = absent({"everything": {"path": "/e", "mode": "svix"}})
    result = run("-c", daemon.config_path, "send", name)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert said in result.stderr


def test_a_disabled_endpoint(absent):
    daemon = absent({"e": {"path": "/e", "mode": "disabled"}})
    result = run("-c", daemon.config_path, "send", "e")
    assert result.returncode == CONFIG
    assert "e is disabled" in result.stderr


def test_configurations_that_are_none(absent, tmp_path):
    result = run("-c", tmp_path / "no.yaml", "send", "e")
    assert result.returncode == NO_INPUT
    assert "by -c FILE or in HOOKBRIDGE_CONFIG" in result.stderr
    (tmp_path / "closed.yaml").write_text("{}")
    (tmp_path / "closed.yaml").chmod(0)
    result = run("-c", tmp_path / "closed.yaml", "send", "e",
                 before=AS_OTHERS if os.geteuid() == 0 else [])
    assert result.returncode == NO_PERMISSION
    assert "as the daemon's user" in result.stderr
    daemon = absent()
    with open(daemon.config_path, "a", encoding="ascii") as f:
        f.write("nonsense")
    result = run("-c", daemon.config_path, "send", "e")
    assert result.returncode == CONFIG
    assert result.stderr.endswith("1 error\n")


def test_warnings_are_for_who_checks_the_configuration(site):
    daemon = site()
    daemon.config["routes"].append(
        {"when": {"channel": "x"}, "to": daemon.config["routes"][0]["to"]})
    daemon.write_file("hookbridge.yaml", json.dumps(daemon.config))
    result = run("-c", daemon.config_path, "send", "e")
    assert (result.returncode, result.stderr) == (OK, "")


# --- send: on a terminal ------------------------------------------------------

def test_progress_and_colour_on_a_terminal(site):
    daemon = site()
    arguments = ["-c", daemon.config_path, "send", "e", "--count", "20",
                 "--rate", "30"]
    code, shown = ctl.run_on_terminal(*arguments)
    assert code == OK
    assert re.search(r"\r\x1b\[K\d+ of 20 sent, \d+ accepted, 0 refused, ",
                     shown)
    assert "\x1b[32m200\x1b[0m" in shown
    code, shown = ctl.run_on_terminal(*arguments, env={"NO_COLOR": "1"})
    assert code == OK
    assert "\x1b[32m" not in shown and "  200  confirmed" in shown
    result = run(*arguments)
    assert (result.stderr, "\x1b" in result.stdout) == ("", False)


# --- secret new ---------------------------------------------------------------

WHSEC = re.compile(r"whsec_([A-Za-z0-9+/]{32})\n")


def test_new_secrets_differ():
    made = [run("secret", "new").stdout for _ in range(3)]
    assert all(WHSEC.fullmatch(text) for text in made)
    assert len(set(made)) == 3
    assert len(base64.b64decode(WHSEC.fullmatch(made[0])[1])) == 24


def test_a_terminal_sees_a_new_secret_only_if_asked():
    code, shown = ctl.run_on_terminal("secret", "new")
    assert code == USAGE
    assert "name a file with --out, or add --show" in shown
    assert "whsec_" not in shown
    code, shown = ctl.run_on_terminal("secret", "new", "--show")
    assert code == OK
    assert WHSEC.fullmatch(shown.replace("\r", ""))


def test_a_new_secret_goes_into_a_file_of_its_own(tmp_path):
    file = tmp_path / "new.secret"
    result = run("secret", "new", "--out", file,
                 before=["sh", "-c", 'umask 0; exec "$@"', "sh"])
    text = file.read_text()
    assert (result.returncode, result.stderr) == (OK, "")
    assert WHSEC.fullmatch(text)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f'"{file}" holds a new secret' in result.stdout
    assert text.strip() not in result.stdout
    result = run("secret", "new", "--out", file)
    assert (result.returncode, result.stdout) == (IO, "")
    assert "exists and is left as it is; name a new file" in result.stderr
    assert file.read_text() == text


def test_a_new_secret_follows_no_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert run("secret", "new", "--out", tmp_path / "link").returncode == IO
    assert not (tmp_path / "target").exists()


def test_a_new_secret_as_a_document(tmp_path):
    result = run("--json", "secret", "new", "--out", tmp_path / "s")
    assert json.loads(result.stdout) == {
        "file": str(tmp_path / "s"), "kind": "hmac", "bytes": 24}


def test_a_new_secret_without_a_place(tmp_path):
    result = run("secret", "new", "--out", tmp_path / "no/such")
    assert result.returncode == IO
    assert "No such file or directory" in result.stderr
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    result = run("secret", "new", "--out", closed / "s",
                 before=AS_OTHERS if os.geteuid() == 0 else [])
    assert result.returncode == NO_PERMISSION
    assert os.listdir(closed) == []


def test_a_new_secret_works(site, tmp_path):
    file = tmp_path / "new.secret"
    assert run("secret", "new", "--out", file).returncode == OK
    assert run("secret", "check", file).returncode == OK
    daemon = site({"e": {"path": "/e", "mode": "svix",
                         "secrets": f"file:{file}"}})
    assert daemon.post_signed("e", {"job_id": "1", "status": "completed"},
                              secret=file.read_text().strip()).status == 200


# --- secret check -------------------------------------------------------------

PUBLIC = "whpk_" + base64.b64encode(bytes(range(7, 39))).decode()
PRIVATE = "whsk_" + base64.b64encode(bytes(range(64))).decode()
KEY = base64.b64encode(bytes(range(100, 124))).decode()
EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of Svix's manual

# name, text, mode, exit code, what is said
CHECKS = [
    ("hmac", "whsec_" + KEY, 0o600, OK, "yes: HMAC-SHA256 key of 24 bytes (192"),
    ("newline", f"whsec_{KEY}\n", 0o400, OK, "yes: HMAC-SHA256 key of 24"),
    ("public", PUBLIC, 0o600, OK, "yes: Ed25519 public key of 32 bytes"),
    ("weak", "whsec_" + base64.b64encode(b"x" * 18).decode(), 0o600, OK,
     "warning: keys of Svix have at least 24 bytes"),
    ("bare", KEY, 0o600, OK, "bits), without whsec_"),
    ("token", "not-base64-but-long", 0o600, OK, "direct token  yes: 19 bytes"),
    ("private", PRIVATE, 0o600, NO, "no: this is a private signing key"),
    ("cut", "whsec_" + KEY[:-1], 0o600, NO, "no: not padded base64"),
    ("unknown", "whxx_" + KEY, 0o600, NO, "no: unknown kind of secret"),
    ("short", "hunter2", 0o600, NO, "no: 7 bytes, at least 16 are needed"),
    ("lines", "not-base64-but\nlong", 0o600, NO, "several lines or control"),
    ("empty", "", 0o600, NO, "expected a secret"),
    ("example", EXAMPLE, 0o600, NO, "It is published as an example"),
    ("group", "whsec_" + KEY, 0o640, NO, "chmod 600"),
    ("world", "whsec_" + KEY, 0o604, NO, "has mode 0604"),
]
KINDS = {"token": "direct", "short": "direct", "lines": "direct"}


def daemon_accepts(directory, kind, name):
    """What hookbridged -t says of the same file; not on loopback."""
    endpoint = {"path": "/e", "mode": "svix", "secrets": f"file:{name}"}
    if kind == "direct":
        endpoint = {"path": "/e", "mode": "direct", "token": {
            "in": "bearer", "secret": f"file:{name}"}}
    daemon = rig.Hookbridge(str(directory), {
        "listen": [{"address": "0.0.0.0:8080"}], "endpoints": {"e": endpoint},
        "sinks": {"f": {"type": "file", "path": str(directory / "f")}},
        "routes": [{"to": {"sink": "f"}}]})
    daemon.spawn([daemon.program, "-t", "-c", daemon.config_path])
    assert daemon.popen.wait(60) in (OK, NO), daemon.log()
    return daemon.popen.returncode == OK


@pytest.mark.parametrize("name, text, mode, code, said", CHECKS,
                         ids=[check[0] for check in CHECKS])
def test_check_says_what_the_daemon_would(tmp_path, name, text, mode, code,
                                          said):
    file = tmp_path / name
    file.write_text(text)
    file.chmod(mode)
    result = run("secret", "check", file)
    document = run("secret", "check", file, "--json")
    assert (result.returncode, document.returncode) == (code, code)
    assert said in result.stdout + result.stderr
    assert result.stdout.startswith(
        f"{file}: {'accepted' if code == OK else 'refused'}\n")
    assert json.loads(document.stdout)["accepted"] is (code == OK)
    shown = result.stdout + result.stderr + document.stdout
    assert not text.strip() or text.strip() not in shown
    assert KEY not in shown
    assert daemon_accepts(tmp_path, KINDS.get(name), name) is (code == OK)


def test_check_knows_the_mode_and_the_key(tmp_path):
    file = tmp_path / "s"
    file.write_text("whsec_" + KEY)
    file.chmod(0o400)
    assert json.loads(run("--json", "secret", "check", file).stdout) == {
        "file": str(file), "accepted": True,
        "svix_secret": {"accepted": True, "kind": "hmac", "bytes": 24},
        "weak": False, "published": False, "mode": 0o400,
        "uid": os.geteuid()}


def test_check_relative_names_and_stdin(tmp_path):
    (tmp_path / "s").write_text("whsec_" + KEY)
    (tmp_path / "s").chmod(0o600)
    # Credentials are for configurations: a file here is a file here.
    other = tmp_path / "credentials"
    other.mkdir()
    (other / "s").write_text("x")
    result = run("secret", "check", "s", cwd=tmp_path,
                 env={"CREDENTIALS_DIRECTORY": str(other)})
    assert (result.returncode, result.stdout[:11]) == (OK, "s: accepted")
    result = run("secret", "check", "-", input="whsec_" + KEY + "\n")
    assert (result.returncode, result.stdout[:15]) == (OK, "stdin: accepted")
    assert run("secret", "check", "-", input="x").returncode == NO


def test_check_of_what_cannot_be_read(tmp_path):
    result = run("secret", "check", tmp_path / "s")
    assert result.returncode == NO_INPUT
    assert "No such file" in result.stderr
    (tmp_path / "s").write_text("whsec_" + KEY)
    (tmp_path / "s").chmod(0)
    result = run("secret", "check", tmp_path / "s",
                 before=AS_OTHERS if os.geteuid() == 0 else [])
    assert result.returncode == NO_PERMISSION
    (tmp_path / "link").symlink_to(tmp_path / "s")
    result = run("secret", "check", tmp_path / "link")
    assert result.returncode == NO
    assert "it is a symbolic link" in result.stderr


def test_a_secret_in_place_of_a_file_is_not_repeated():
    result = run("secret", "check", "whsec_" + KEY)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert "this is no file but a secret" in result.stderr
    assert KEY not in result.stderr


# --- portal -------------------------------------------------------------------

API_KEY = "rk_test_0123456789abcdef"
LINK = "https://app.svix.com/login#key=eyJhcHAi%3D&x=1"


def portal(server, *arguments, path="", **env):
    return run("portal", *arguments, env={
        "REDUCTO_API_KEY": API_KEY, "REDUCTO_BASE_URL": server.url + path,
        **env})


def api(link=LINK, **options):
    options.setdefault("headers", {"Content-Type": "application/json"})
    return WebServer(body=json.dumps(link).encode(), **options)


def test_the_link_is_printed():
    with api() as server:
        result = portal(server)
        assert (result.returncode, result.stderr) == (OK, "")
        assert result.stdout == LINK + "\n"
        document = portal(server, "--json")
        assert json.loads(document.stdout) == {"url": LINK}
        [request, _] = server.requests
    assert (request.method, request.path, request.body) == (
        "POST", "/configure_webhook", b"")
    assert request.headers["content-length"] == "0"
    assert request.headers["authorization"] == f"Bearer {API_KEY}"


@pytest.mark.parametrize("path", ["", "/", "/api/v3", "/api/v3/"])
def test_the_request_is_the_official_clients(path):
    with api() as server:
        theirs = reducto.Reducto(api_key=API_KEY, base_url=server.url + path,
                                 max_retries=0).webhook.run()
        # It gives the answer's text, the JSON string's quotes included.
        assert portal(server, path=path).stdout == json.loads(theirs) + "\n"
        first, second = server.requests
    for part in ("method", "path", "body"):
        assert getattr(first, part) == getattr(second, part)
    for name in ("authorization", "accept", "content-type", "content-length",
                 "host"):
        assert first.headers[name] == second.headers[name]


def test_a_link_that_is_not_quoted():
    with WebServer(body=LINK.encode() + b"\n") as server:
        result = portal(server)
    assert (result.returncode, result.stdout) == (OK, LINK + "\n")


@pytest.mark.parametrize("code, exit_code, remedy", [
    (401, NO_PERMISSION, "compare REDUCTO_API_KEY"),
    (403, NO_PERMISSION, "compare REDUCTO_API_KEY"),
    (404, NO, "is REDUCTO_BASE_URL right?"),
    (422, NO, "is REDUCTO_BASE_URL right?"),
    (429, TRY_AGAIN, "try again later"),
    (503, TRY_AGAIN, "try again later"),
])
def test_errors_of_the_api_are_shown(code, exit_code, remedy):
    body = b'{"detail":"no \x1b[2J way"}'
    with WebServer(code=code, body=body) as server:
        result = portal(server)
        assert len(server.requests) == 1
    assert (result.returncode, result.stdout) == (exit_code, "")
    assert (f'Reducto answered {code}: {{"detail":"no \\u001b[2J way"}}\n'
            in result.stderr)
    assert remedy in result.stderr
    assert API_KEY not in result.stderr


def test_the_key_follows_no_redirect():
    with api() as elsewhere, WebServer(
            code=307, headers={"Location": elsewhere.url + "/x"}) as server:
        result = portal(server)
        assert (result.returncode, elsewhere.requests) == (NO, [])
    assert "Reducto answered 307" in result.stderr


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"url":"https://x"}',
                                  b'""', b'"https://x" and more', b"null",
                                  b"https://x\nhttps://y", b"http://x y",
                                  b'"' + b"x" * 100000 + b'"'])
def test_an_answer_that_is_no_link(body):
    with WebServer(body=body) as server:
        result = portal(server)
    assert (result.returncode, result.stdout) == (UNAVAILABLE, "")
    assert "expected a link as a JSON string" in result.stderr


def test_a_link_moves_no_cursor():
    with api("https://x/\x1b]0;owned\x07") as server:
        result = portal(server)
    assert result.stdout == "https://x/\\u001b]0;owned\\u0007\n"


def test_the_api_is_not_reachable():
    result = run("portal", env={
        "REDUCTO_API_KEY": API_KEY,
        "REDUCTO_BASE_URL": f"http://127.0.0.1:{free_port()}"})
    assert (result.returncode, result.stdout) == (UNAVAILABLE, "")
    assert "Reducto is not reachable: " in result.stderr
    assert API_KEY not in result.stderr


def test_portal_without_a_key():
    result = run("portal")
    assert result.returncode == NO_INPUT
    assert "REDUCTO_API_KEY is not set" in result.stderr
    result = run("portal", env={"REDUCTO_API_KEY": API_KEY + "\r\nX: y"})
    assert result.returncode == CONFIG
    assert API_KEY not in result.stderr


@pytest.mark.parametrize("base", [
    "http://192.0.2.1", "http://localhost.example.com", "ftp://127.0.0.1",
    "platform.reducto.ai", "file:///etc/passwd", "http://127.0.0.1@192.0.2.1"])
def test_the_key_is_not_sent_in_clear(base):
    result = run("portal", env={"REDUCTO_API_KEY": API_KEY,
                                "REDUCTO_BASE_URL": base})
    assert (result.returncode, result.stdout) == (CONFIG, "")
    assert "REDUCTO_BASE_URL is no address that a key" in result.stderr


def test_no_proxy_sees_a_key_in_clear():
    with api() as server, WebServer() as proxy:
        assert portal(server, http_proxy=proxy.url).returncode == OK
        assert proxy.requests == []


@pytest.fixture
def opener(tmp_path):
    """A directory with an xdg-open that writes down how it was called."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "xdg-open"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$#" "$@" > "$OPENED"\n'
                      'env >> "$OPENED"\necho chatter\nexit "${FAIL:-0}"\n')
    script.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}",
            "OPENED": str(tmp_path / "opened")}


def test_the_link_is_opened(opener):
    link = "https://app.svix.com/'$(reboot)`;&x=\"1\"#k"
    with api(link) as server:
        result = portal(server, "--open", **opener)
    assert (result.returncode, result.stdout) == (OK, link + "\n")
    with open(opener["OPENED"], encoding="utf-8") as f:
        opened = f.read()
    assert opened.startswith(f"1\n{link}\n")
    assert API_KEY not in opened  # nothing a browser needs to know


@pytest.mark.parametrize("link", [
    "http://app.svix.com/", "file:///etc/passwd", "javascript:alert(1)",
    "http://localhost/", "--help", "https:", "smb://x/y", "https://x/a b",
    "https://x/\x1b[2J"])
def test_what_is_not_opened(opener, link):
    with api(link) as server:
        result = portal(server, "--open", **opener)
    assert result.returncode == NO
    assert "only a link of https:// is opened" in result.stderr
    assert not os.path.exists(opener["OPENED"])


def test_the_opener_fails(opener):
    with api() as server:
        result = portal(server, "--open", FAIL="3", **opener)
        assert (result.returncode, result.stdout) == (UNAVAILABLE, LINK + "\n")
        assert "open the link by hand" in result.stderr
        result = portal(server, "--open", PATH="/nonexistent")
        assert (result.returncode, result.stdout) == (UNAVAILABLE, LINK + "\n")
        assert "cannot start xdg-open" in result.stderr
