# SPDX-License-Identifier: Apache-2.0
"""The command line of hookbridged: what it prints, and how it ends."""

import os
import re
import socket
import stat
import subprocess
import time

import pytest

import hookbridge as rig

TOP = os.path.join(os.path.dirname(__file__), "../..")
OK, NO, USAGE, NO_INPUT, UNAVAILABLE, IO, NO_PERMISSION, CONFIG = (
    0, 1, 64, 66, 69, 74, 77, 78)

GOOD = """\
listen: [{address: "127.0.0.1:%d"}]
endpoints: {e: {path: /e, mode: svix, secrets: "file:e.secret"}}
sinks: {f: {type: file, path: "%s/events"}}
routes: [{to: {sink: f}}]
"""


def run(*arguments, env=None, before=(), **options):
    """The finished program: returncode, stdout and stderr as text. before: a
    command that runs it."""
    options.setdefault("stdout", subprocess.PIPE)
    clean = {k: v for k, v in os.environ.items() if k != "HOOKBRIDGE_CONFIG"}
    return subprocess.run([*before, os.environ["HB_DAEMON"],
                           *map(str, arguments)],
                          stderr=subprocess.PIPE, text=True, timeout=60,
                          env={**clean, **(env or {})}, check=False, **options)


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def good(tmp_path):
    """A configuration without a fault."""
    write(tmp_path / "e.secret", rig.new_secret() + "\n")
    return write(tmp_path / "hookbridge.yaml",
                 GOOD % (rig.free_port(), tmp_path))


@pytest.fixture
def bad(good):
    return write(good.with_name("bad.yaml"),
                 good.read_text() + "htpp: {}\nmemory: 64k\n")


# --- options ------------------------------------------------------------------

@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(option):
    result = run(option)
    assert result.returncode == OK and result.stderr == ""
    for word in ("usage: hookbridged", "-c, --config", "-t, --test",
                 "--dump-config", "--log-level", "--version",
                 "$HOOKBRIDGE_CONFIG", "SIGTERM", "SIGHUP"):
        assert word in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


def test_version():
    result = run("--version")
    assert (result.returncode, result.stderr) == (OK, "")
    assert re.fullmatch(r"hookbridge \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize("arguments, said", [
    (["--nonsense"], "unrecognized option '--nonsense'"),
    (["-x"], "invalid option -- 'x'"),
    (["-c"], "option requires an argument"),
    (["--version=5"], "doesn't allow an argument"),
    (["extra"], "unexpected argument extra"),
    (["-t", "hookbridge.yaml"], "unexpected argument hookbridge.yaml"),
    (["--log-level", "loud"],
     "--log-level: expected error, warning, info or debug, got loud"),
])
def test_wrong_usage(arguments, said):
    result = run(*arguments)
    assert result.returncode == USAGE
    assert result.stdout == ""
    assert said in result.stderr
    assert "usage: hookbridged" in result.stderr


# --- checking ------------------------------------------------------------------

NO_SPOOL = """\
    without spool.directory nothing is kept on disk: while a sink is down,
    webhooks are answered 503
"""


def test_a_good_configuration(good):
    result = run("-t", "-c", good)
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout == f"{good}: the configuration is valid\n" + NO_SPOOL
    write(good, good.read_text() + "spool: {directory: /var/spool/hb}\n")
    result = run("-t", "-c", good)
    assert result.stdout == f"{good}: the configuration is valid\n"


def test_warnings_are_no_errors(good):
    write(good, good.read_text().replace("routes: [{",
                                         "routes: [{when: {channel: x}, "))
    result = run("--test", "--config", good)
    assert result.returncode == OK
    assert result.stderr.endswith("2 warnings\n")
    assert "is valid" in result.stdout


def test_every_error_is_printed(bad):
    result = run("-t", "-c", bad)
    assert (result.returncode, result.stdout) == (NO, "")
    assert result.stderr == (
        f"{bad}:5:1: htpp: unknown key\n"
        '    did you mean "http"?\n'
        f'{bad}:6:9: memory: expected a size such as 64KiB, got "64k"\n'
        "    sizes take B, KiB, MiB and GiB\n"
        "2 errors\n")


def test_a_bad_configuration_does_not_start(bad):
    result = run("-c", bad)
    assert (result.returncode, result.stdout) == (CONFIG, "")
    assert result.stderr.endswith("2 errors\n")
    assert "daemon.start" not in result.stderr


@pytest.mark.parametrize("options", [["-t"], ["--dump-config"], []])
def test_no_such_file(tmp_path, options):
    result = run(*options, "-c", tmp_path / "missing.yaml")
    assert (result.returncode, result.stdout) == (NO_INPUT, "")
    assert "missing.yaml: cannot open it: No such file" in result.stderr


# Root may read everything; without these capabilities root is like others.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
             "--inh-caps=-dac_override,-dac_read_search"]


def test_a_file_that_may_not_be_read(good):
    before = AS_OTHERS if os.geteuid() == 0 else []
    good.chmod(0)
    assert run("-t", "-c", good, before=before).returncode == NO_PERMISSION
    assert run("-c", good, before=before).returncode == NO_PERMISSION


def test_a_file_that_others_may_write(good):
    good.chmod(0o602)
    for options, code in (["-t"], NO), ([], CONFIG):
        result = run(*options, "-c", good)
        assert result.returncode == code
        assert "can be written by everybody" in result.stderr
        assert f"    chmod go-w {good}\n" in result.stderr


def test_the_environment_names_the_file(good, bad):
    env = {"HOOKBRIDGE_CONFIG": str(good)}
    assert run("-t", env=env).stdout.startswith(f"{good}: ")
    assert run("-t", "-c", bad, env=env).returncode == NO
    # Empty is as if it were not there.
    result = run("-t", env={"HOOKBRIDGE_CONFIG": ""})
    default = re.search(r"^(/\S+/hookbridge/hookbridge\.yaml): ",
                        result.stderr, re.M)
    assert default or result.returncode == OK


def test_stdin(good):
    text = good.read_text()
    result = run("-t", "-c", "-", input=text, cwd=good.parent)
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout == "stdin: the configuration is valid\n" + NO_SPOOL
    result = run("-t", "-c", "-", input=text + "htpp: {}\n", cwd=good.parent)
    assert result.returncode == NO
    assert result.stderr.startswith("stdin:5:1: htpp: unknown key\n")


def test_a_spool_that_may_not_be_read(good):
    before = AS_OTHERS if os.geteuid() == 0 else []
    spool = good.with_name("spool")
    (spool / "deliveries").mkdir(parents=True)
    write(good, good.read_text() + f"spool: {{directory: {spool}}}\n")
    assert run("-t", "-c", good).stdout.count("\n") == 1
    (spool / "deliveries").chmod(0)
    result = run("-t", "-c", good, before=before)
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.splitlines()[1:] == [
        f"    what waits on disk is not known: {spool}/deliveries: "
        "Permission denied"]


def test_checking_touches_nothing(good):
    """No port is taken, no broker asked, no file made."""
    port = int(re.search(r":(\d+)\"", good.read_text())[1])
    write(good, good.read_text().replace(
        "sinks: {", 'sinks: {k: {type: kafka, brokers: "192.0.2.1:9092"}, ')
        .replace("{sink: f}", "[{sink: f}, {sink: k, topic: t}]") +
          f"spool: {{directory: {good.parent}/spool}}\n")
    with socket.create_server(("127.0.0.1", port)):
        start = time.monotonic()
        result = run("-t", "-c", good)
        assert result.returncode == OK, result.stderr
        assert time.monotonic() - start < 20
    assert not (good.parent / "events").exists()
    assert not (good.parent / "spool").exists()


# --- the configuration in force ------------------------------------------------

def test_dump(good):
    secret = (good.parent / "e.secret").read_text().strip()
    result = run("--dump-config", "-c", good)
    assert (result.returncode, result.stderr) == (OK, "")
    assert secret.removeprefix("whsec_") not in result.stdout
    assert '- "file:e.secret"  # 38 bytes' in result.stdout
    assert re.search(r"^  head_timeout: 10s  # ", result.stdout, re.M)
    again = run("--dump-config", "-c", "-", input=result.stdout,
                cwd=good.parent)
    assert (again.returncode, again.stderr) == (OK, "")
    assert again.stdout == result.stdout


def test_dump_of_a_bad_configuration(bad):
    result = run("--dump-config", "-c", bad)
    assert (result.returncode, result.stdout) == (NO, "")
    assert result.stderr.endswith("2 errors\n")


def test_dump_has_the_options_word(good):
    result = run("--dump-config", "--log-level", "debug", "-c", good)
    assert re.search(r"^  level: debug\b", result.stdout, re.M)


@pytest.mark.parametrize("option", ["-t", "--dump-config", "--help",
                                    "--version"])
def test_output_that_cannot_be_written(good, option):
    with open("/dev/full", "w", encoding="ascii") as full:
        result = run(option, "-c", good, stdout=full)
    assert result.returncode == IO
    assert "stdout: No space left on device" in result.stderr


# --- starting ------------------------------------------------------------------

def test_the_option_decides_the_log_level(hookbridge, tmp_path):
    daemon = hookbridge({
        "log": {"level": "error"},
        "endpoints": {"e": {"path": "/e", "mode": "svix"}},
        "sinks": {"f": {"type": "file", "path": str(tmp_path / "events")}},
        "routes": [{"to": {"sink": "f"}}]})
    assert daemon.terminate() == OK
    assert daemon.log_records() == []
    daemon.start("--log-level", "info")
    assert daemon.wait_log("daemon.ready")


def test_an_address_that_is_taken(good):
    port = int(re.search(r":(\d+)\"", good.read_text())[1])
    with socket.create_server(("127.0.0.1", port)):
        result = run("-c", good)
    assert result.returncode == UNAVAILABLE
    assert f"127.0.0.1:{port}" in result.stderr


# --- what is shipped -----------------------------------------------------------

SECRETS = ["production.secret", "analytics.secret", "direct.token"]


def write_secrets(directory):
    for name in SECRETS:
        write(directory / name, rig.new_secret() + "\n")


@pytest.mark.parametrize("name", ["hookbridge.yaml", "minimal.yaml",
                                  "quickstart.yaml", "quickstart-kafka.yaml"])
def test_shipped_files(tmp_path, name):
    with open(os.path.join(TOP, "conf", name), encoding="utf-8") as f:
        path = write(tmp_path / name, f.read())
    result = run("-t", "-c", path)
    assert result.returncode == NO, "its secrets are not there yet"
    write_secrets(tmp_path)
    result = run("-t", "-c", path)
    assert (result.returncode, result.stderr) == (OK, "")


def test_the_example_of_the_readme(tmp_path):
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        examples = re.findall(r"^```yaml\n(.*?)^```", f.read(), re.M | re.S)
    assert examples
    write_secrets(tmp_path)
    for i, text in enumerate(examples):
        path = write(tmp_path / f"{i}.yaml", text)
        result = run("-t", "-c", path)
        assert result.returncode == OK, result.stderr


def test_secrets_are_read_with_care(good):
    secret = good.parent / "e.secret"
    secret.chmod(0o644)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o644
    result = run("-t", "-c", good)
    assert result.returncode == NO
    assert f"    chmod 600 {secret}\n" in result.stderr
