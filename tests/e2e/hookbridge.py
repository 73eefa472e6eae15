# SPDX-License-Identifier: Apache-2.0
"""The daemon under test: a configuration, a process, its answers, its log."""

import base64
import copy
import datetime
import http.client
import json
import os
import re
import secrets as random_secrets
import shutil
import socket
import tempfile
import weakref

import svix.webhooks

from http1 import Connection
from process import Process, accepts, free_port, wait_until

# A process that says one of these on stderr has failed, whatever its exit code.
_COMPLAINTS = re.compile(
    r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer"
    r"|SUMMARY: \w*Sanitizer|runtime error:|hookbridge: bug in"
    r"|hookbridge: out of memory")

# Sanitizers make the daemon slow; what they look for needs no masses.
SANITIZED = os.environ.get("HB_BUILD", "plain") != "plain"
# Set by tests/run --long: as often as it takes to trust the result.
LONG = bool(os.environ.get("HB_LONG"))

_FIELD = re.compile(r' ([a-z0-9_.]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')
_WORDS = re.compile(r"(?:<\d>|\S+ )(error|warning|info|debug) ([a-z0-9_.]+)")


def new_secret():
    return "whsec_" + base64.b64encode(random_secrets.token_bytes(24)).decode()


def new_id():
    return "msg_" + random_secrets.token_hex(14)


def sign(secret, body, webhook_id=None, timestamp=None, prefix="svix"):
    """The three headers, by Svix's own library. timestamp: Unix seconds."""
    if isinstance(body, bytes):
        body = body.decode()
    webhook_id = webhook_id or new_id()
    now = datetime.datetime.now(datetime.timezone.utc)
    when = now if timestamp is None else datetime.datetime.fromtimestamp(
        timestamp, datetime.timezone.utc)
    signature = svix.webhooks.Webhook(secret).sign(webhook_id, when, body)
    return {f"{prefix}-id": webhook_id,
            f"{prefix}-timestamp": str(int(when.timestamp())),
            f"{prefix}-signature": signature}


class Hookbridge(Process):
    """config is a dict as in hookbridge.yaml(5). The rig adds what is missing:
    a listener on a free port, a secret of its own for an endpoint in svix mode
    that has none, an admin socket, and a directory for a spool that has none.
    files: {name: text} beside the configuration, 0600."""

    def __init__(self, directory, config, files=None, program=None, env=None):
        super().__init__("hookbridged", str(directory))
        self.program = program or os.environ["HB_DAEMON"]
        self.env = {**os.environ, **(env or {})}
        self.config_path = os.path.join(self.directory, "hookbridge.yaml")
        self.secrets = {}
        self.port = None
        # A socket's path must be short.
        self.run_directory = tempfile.mkdtemp(prefix="hb-")
        weakref.finalize(self, shutil.rmtree, self.run_directory, True)
        self.admin_path = os.path.join(self.run_directory, "admin.sock")
        self.expected_exit = 0
        self._log_from = 0
        for name, text in (files or {}).items():
            self.write_file(name, text)
        self.configure(config)

    # --- configuration and process --------------------------------------------

    def write_file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                  "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def configure(self, config):
        """Takes effect at the next start()."""
        config = copy.deepcopy(config)
        if "listen" not in config:
            self.port = self.port or free_port()
            config = {"listen": [{"address": f"127.0.0.1:{self.port}"}],
                      **config}
        else:
            self.port = int(config["listen"][0]["address"].rsplit(":", 1)[1])
        for name, endpoint in config.get("endpoints", {}).items():
            if endpoint.get("mode") == "svix":
                self._give_secret(name, endpoint)
        if "spool" in config:
            config["spool"].setdefault("directory", self.spool_path())
        config.setdefault("admin", {"address": f"unix:{self.admin_path}"})
        # Known, so that the rig can tell when all of them are connected.
        config.setdefault("workers", 2)
        # Shadow memory for the default's 4 million takes long to make.
        if SANITIZED:
            config.setdefault("dedup", {"max_entries": 100000})
        self.config = config
        # JSON is YAML, too.
        self.write_file("hookbridge.yaml",
                        json.dumps(config, indent=2, ensure_ascii=False))

    def spool_path(self, *parts):
        return os.path.join(self.directory, "spool", *parts)

    def _give_secret(self, name, endpoint):
        if "secrets" in endpoint:
            return
        secret = self.secrets.setdefault(name, new_secret())
        self.write_file(f"{name}.secret", secret + "\n")
        endpoint["secrets"] = [f"file:{name}.secret"]

    def start(self, *arguments):
        self._log_from = self.log_size()
        self.spawn([self.program, "-c", self.config_path, *arguments],
                   env=self.env)
        try:
            self.wait_ready(lambda: accepts(self.port))
        except RuntimeError:
            self.expected_exit = None  # it has failed already
            raise
        return self

    def terminate(self, timeout=60):
        """SIGTERM, the end of what is in flight, the exit code."""
        code = self.stop(timeout)
        self.assert_no_complaints()
        return code

    def kill9(self):
        self.kill()
        self.expected_exit = None
        self.assert_no_complaints()

    def restart(self):
        if self.is_running():
            assert self.terminate() == 0, self.log_tail()
        return self.start()

    def assert_no_complaints(self):
        found = _COMPLAINTS.search(self.log())
        assert not found, self.log()[max(0, found.start() - 2000):][:20000]

    def finish(self):
        """The end of every test: stopped, with exit code 0, without a report of
        a sanitizer."""
        code = self.stop(60)
        self.assert_no_complaints()
        if self.expected_exit is not None:
            assert code == self.expected_exit, (
                f"hookbridged ended with {code}:\n{self.log_tail()}")

    # --- webhooks -------------------------------------------------------------

    def connect(self, **options):
        """A connection to speak HTTP/1.1 by hand, see http1.py."""
        return Connection(self.port, **options)

    def post(self, target, body, headers=None, timeout=30):
        """One POST on a connection of its own. body: bytes, text, or what
        becomes JSON."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        with self.connect(timeout=timeout) as connection:
            return connection.request("POST", target, to_bytes(body), headers)

    def signed_headers(self, endpoint, body, **options):
        secret = options.pop("secret", None) or self.secrets[endpoint]
        return sign(secret, to_bytes(body), **options)

    def post_signed(self, endpoint, body, headers=None, timeout=30, **options):
        """A webhook as Svix sends it. options: secret, webhook_id, timestamp,
        prefix ("webhook" for the standard's header names)."""
        body = to_bytes(body)
        headers = {**self.signed_headers(endpoint, body, **options),
                   **(headers or {})}
        path = self.config["endpoints"][endpoint]["path"]
        return self.post(path, body, headers, timeout)

    # --- as its operator ------------------------------------------------------

    def admin(self, method, target, body=None, timeout=30):
        """(the code, the JSON or else the text) of a request to the admin
        socket."""
        connection = _UnixConnection(self.admin_path, timeout)
        try:
            connection.request(
                method, target, None if body is None else json.dumps(body),
                {} if body is None else {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            if "json" in answer.headers.get("Content-Type", ""):
                return answer.status, json.loads(data)
            return answer.status, data.decode()
        finally:
            connection.close()

    def status(self):
        code, status = self.admin("GET", "/api/v1/status")
        assert code == 200, status
        return status

    def wait_drained(self, timeout=60):
        """Until nothing is kept for a destination any more."""
        wait_until(lambda: self.status()["spool"]["records"] == 0, timeout,
                   "an empty spool")

    # --- what it says ---------------------------------------------------------

    def log_records(self, word=None, **fields):
        """Records as dicts (level, event, and the fields as text) that have
        this event word and these fields, since the last start."""
        wanted = {k: str(v) for k, v in fields.items()}
        lines = self.log()[self._log_from:].splitlines()
        records = filter(None, map(_parse_record, lines))
        return [r for r in records if word in (None, r["event"])
                and wanted.items() <= r.items()]

    def log_contains(self, word, **fields):
        return bool(self.log_records(word, **fields))

    def wait_log(self, word, timeout=20, **fields):
        """Waits for such a record and returns the first."""
        return wait_until(lambda: self.log_records(word, **fields), timeout,
                          f"log record {word} {fields}")[0]

    def wait_up(self, missing=(), timeout=30):
        """Until every sink and every topic but the missing ones is up, seen
        from every worker."""
        for sink, conf in self.config.get("sinks", {}).items():
            if conf["type"] == "redis":
                self._wait_redis_up(sink, timeout)
            elif conf["type"] == "kafka":
                self.wait_log("sink.up", timeout, sink=sink)
        for sink, topic in self.topics():
            if topic not in missing:
                self.wait_log("destination.up", timeout, sink=sink, dst=topic)
        return self

    def _wait_redis_up(self, sink, timeout):
        # It is up with the first worker's connection, and said to be up again
        # with the last one's.
        count = min(self.config["workers"], 2)
        wait_until(lambda: len(self.log_records("sink.up", sink=sink)) >= count,
                   timeout, f"sink {sink} up for {count} workers")

    def topics(self):
        """(sink, topic) of all topics in the configuration."""
        targets = [t for r in self.config.get("routes", [])
                   for t in as_list(r["to"])]
        targets += as_list(self.config.get("dead_letter", []))
        return {(t["sink"], topic) for t in targets if "topic" in t
                for topic in as_list(t.get("topics", t["topic"]))}

    def metrics(self):
        """{'name{labels}': number}: now, or as printed at the last exit."""
        if self.is_running():
            text = self.admin("GET", "/metrics")[1]
        else:
            text = self.log()[self._log_from:]
        return {m[1]: float(m[2]) for m in re.finditer(
            r"^hookbridge_([a-z0-9_]+(?:\{.*\})?) (\S+)$", text, re.M)}

    def metric(self, name, **labels):
        """The sum of all series of a family that have these labels."""
        return sum_of(self.metrics(), name, **labels)


def sum_of(metrics, name, **labels):
    total = 0
    for series, value in metrics.items():
        family, _, rest = series.partition("{")
        found = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if family == name and labels.items() <= found.items():
            total += value
    return total


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def as_list(value):
    return value if isinstance(value, list) else [value]


def to_bytes(body):
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body).encode()


def _unquote(value):
    if not value.startswith('"'):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _parse_record(line):
    """One record, key=value or JSON; None for any other line."""
    line_json = re.sub(r"^<\d>", "", line)
    if line_json.startswith("{"):
        try:
            record = json.loads(line_json)
        except ValueError:
            return None
        return {k: v if isinstance(v, str) else str(v)
                for k, v in record.items()} if "event" in record else None
    words = _WORDS.match(line)
    if words is None:
        return None
    record = {"level": words[1], "event": words[2]}
    for name, value in _FIELD.findall(line[words.end():]):
        record[name] = _unquote(value)
    return record
