# SPDX-License-Identifier: Apache-2.0
"""hookbridgectl as a person or a script runs it, and a web server for it."""

import collections
import http.server
import json
import os
import pty
import re
import socketserver
import subprocess
import threading
import urllib.parse

# Exit codes: those of sysexits, and 1 where the answer is no.
(OK, NO, USAGE, NO_INPUT, UNAVAILABLE, INTERNAL, IO, TRY_AGAIN, NO_PERMISSION,
 CONFIG) = 0, 1, 64, 66, 69, 70, 74, 75, 77, 78

# What of our own environment would change what a test sees.
_FOREIGN = ("HOOKBRIDGE_CONFIG", "NO_COLOR", "REDUCTO_API_KEY",
            "REDUCTO_BASE_URL", "CREDENTIALS_DIRECTORY", "http_proxy",
            "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY",
            "ALL_PROXY", "NO_PROXY")


# A process that says one of these has failed, whatever its exit code.
_COMPLAINTS = re.compile(r"Sanitizer|runtime error:|hookbridge: bug in")


def program():
    return os.environ.get("HB_CTL") or os.path.join(
        os.path.dirname(os.environ["HB_DAEMON"]), "hookbridgectl")


def environment(env=None):
    clean = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
    return {**clean, **(env or {})}


def run(*arguments, env=None, before=(), timeout=60, **options):
    """The finished program: returncode, stdout and stderr as text. before: a
    command that runs it."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("text", True)
    result = subprocess.run([*before, program(), *map(str, arguments)],
                            stderr=subprocess.PIPE, timeout=timeout,
                            env=environment(env), check=False, **options)
    assert not _COMPLAINTS.search(str(result.stderr)), result.stderr
    return result


def start(*arguments, env=None, **options):
    """The running program, for finish()."""
    return subprocess.Popen([program(), *map(str, arguments)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True,
                            env=environment(env), **options)


def finish(popen, timeout=60):
    """(exit code, stdout, stderr) of what start() has started."""
    stdout, stderr = popen.communicate(timeout=timeout)
    assert not _COMPLAINTS.search(stderr), stderr
    return popen.returncode, stdout, stderr


def run_on_terminal(*arguments, env=None, answer=None):
    """(exit code, what a terminal got): stdout and stderr both are one, and
    stdin, too, if there is an answer to type."""
    master, slave = pty.openpty()
    try:
        popen = subprocess.Popen(
            [program(), *map(str, arguments)],
            stdin=subprocess.DEVNULL if answer is None else slave,
            stdout=slave, stderr=slave, env=environment(env))
        os.close(slave)
        if answer is not None:
            os.write(master, answer.encode() + b"\n")
        shown = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            shown += data
        return popen.wait(60), shown.decode()
    finally:
        os.close(master)


Request = collections.namedtuple("Request", "method path headers body")


class WebServer:
    """Answers every request with what a test has set, and keeps them all.
    Header names in lower case. hold(): no answer before release()."""

    def __init__(self, code=200, body=b"{}", headers=None):
        self.code, self.body, self.headers = code, body, headers or {}
        self.requests = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("content-length", 0))
                body = self.rfile.read(length)
                outer.requests.append(Request(
                    self.command, self.path,
                    {k.lower(): v for k, v in self.headers.items()}, body))
                outer.may_answer.wait(60)
                self.send_response(outer.code)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except ConnectionError:
                    pass  # who asked has gone

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def hold(self):
        self.may_answer.clear()

    def release(self):
        self.may_answer.set()


class AdminServer:
    """What hookbridgectl asks, played: answers[("GET", path)] is a document, a
    (code, document or bytes), or a function of the Request that returns one of
    these. Paths are without their query, which is in queries, one for each
    request; what is not there is 404."""

    def __init__(self, path):
        self.address = f"unix:{path}"
        self.answers, self.requests, self.queries = {}, [], []
        outer = self

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                url = urllib.parse.urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                request = Request(
                    self.command, urllib.parse.unquote(url.path),
                    {k.lower(): v for k, v in self.headers.items()},
                    self.rfile.read(length))
                outer.requests.append(request)
                outer.queries.append(dict(urllib.parse.parse_qsl(
                    url.query, keep_blank_values=True)))
                self.say(*outer.find(request))

            do_GET = do_POST = answer

            def say(self, code, content):
                is_doc = not isinstance(content, bytes)
                body = json.dumps(content).encode() if is_doc else content
                self.send_response(code)
                self.send_header("Content-Type", (
                    "application/octet-stream" if not is_doc else
                    "application/json" if code < 300 else
                    "application/problem+json"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

            def address_string(self):
                return "unix"

        self.server = Server(str(path), Handler)
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def find(self, request):
        found = self.answers.get((request.method, request.path))
        if callable(found):
            found = found(request)
        if found is None:
            return problem(404, "there is no such thing")
        return found if isinstance(found, tuple) else (200, found)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def run(self, *arguments, **options):
        return run("--admin", self.address, *arguments, **options)

    def run_on_terminal(self, *arguments, **options):
        return run_on_terminal("--admin", self.address, *arguments, **options)


def problem(code, detail):
    return code, {"type": "about:blank", "title": "Refused", "status": code,
                  "detail": detail}
