# SPDX-License-Identifier: Apache-2.0
"""A program that a test runs: it never outlives the test, whatever happens."""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    # Should pytest be killed, the kernel stops what it has started.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _first_client_port():
    """Clients are given ports from here on."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        return int(f.read().split()[0])


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on now, nor is given to a
    client while its server is away for a while."""
    for _ in range(1000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.randrange(
                    10000, max(11000, _first_client_port()))))
                return s.getsockname()[1]
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until(condition, timeout=20, what="the condition"):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {timeout} s")
        time.sleep(0.02)


class Process:
    """Output goes to a file that grows over restarts: `log_path`.

    Start it on the main thread only: the kernel's parent is a thread.
    """

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.log_path = os.path.join(directory, f"{name}.log")
        self.popen = None
        os.makedirs(directory, exist_ok=True)

    def spawn(self, argv, env=None, cwd=None, stdin=subprocess.DEVNULL,
              stdout=None):
        assert not self.is_running(), f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            # A session of its own: Ctrl-C is for pytest, which then stops
            # everything in order.
            self.popen = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout or log, stderr=log, env=env,
                cwd=cwd or self.directory, start_new_session=True,
                preexec_fn=_die_with_parent)

    def is_running(self):
        return self.popen is not None and self.popen.poll() is None

    @property
    def pid(self):
        return self.popen.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_size(self):
        return len(self.log()) if os.path.exists(self.log_path) else 0

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def wait_ready(self, is_ready, timeout=60):
        """Until is_ready() is true; an error if the process ends before."""
        def ready():
            if not self.is_running():
                raise RuntimeError(
                    f"{self.name} ended with {self.popen.returncode}:\n"
                    + self.log_tail())
            return is_ready()
        try:
            wait_until(ready, timeout, self.name)
        except TimeoutError as error:
            raise RuntimeError(f"{error}:\n{self.log_tail()}") from None

    def signal(self, number):
        self.popen.send_signal(number)

    def pause(self):
        """Stops it where it is, its connections open and silent."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """As a power failure would: SIGKILL."""
        if self.is_running():
            self.popen.kill()
            self.popen.wait()

    def stop(self, timeout=30):
        """SIGTERM; the exit code, negative when a signal ended it."""
        if self.is_running():
            self.resume()
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(
                    f"{self.name} did not end within {timeout} s of SIGTERM:\n"
                    + self.log_tail()) from None
        return self.popen.returncode if self.popen else None


def accepts(port):
    """Whether somebody listens on 127.0.0.1:port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
