# SPDX-License-Identifier: Apache-2.0
"""Many signed webhooks from many senders that behave as Svix does: what was not
answered with 2xx is sent again, under the same id."""

import collections
import queue
import threading
import time

from hookbridge import SANITIZED
from http1 import Connection, request_bytes
from process import wait_until


def scaled(count):
    return count // 8 if SANITIZED else count


class Load:
    """start() it, do harm, then join(). Everything is signed before."""

    def __init__(self, daemon, endpoint, count, senders=32, prefix="m",
                 retry=True):
        self.port = daemon.port
        self.retry = retry
        self.acknowledged = {}  # id -> outcome
        self.codes = collections.Counter()
        path = daemon.config["endpoints"][endpoint]["path"]
        self._requests = queue.SimpleQueue()
        for n in range(count):
            body = (b'{"status":"Completed","job_id":"%s-%d",'
                    b'"metadata":{"n":%d},"result":"%s"}' % (
                        prefix.encode(), n, n, b"x" * 1000))
            headers = daemon.signed_headers(endpoint, body,
                                            webhook_id=f"{prefix}-{n}")
            self._requests.put((f"{prefix}-{n}", request_bytes(
                "POST", path, body,
                {"Content-Type": "application/json", **headers})))
        self.count = count
        self.slowest = 0  # of the answers, in seconds
        self._failures = []
        self._stopping = False
        self._threads = [threading.Thread(target=self._run_sender)
                         for _ in range(senders)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def wait_acknowledged(self, count, timeout=60):
        wait_until(lambda: len(self.acknowledged) >= count, timeout,
                   f"{count} acknowledged webhooks")

    def stop(self):
        """Nothing more is begun, nothing sent again."""
        self._stopping = True

    def join(self, timeout=120):
        """Until everything was acknowledged, or stop() has taken effect."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        alive = sum(t.is_alive() for t in self._threads)
        self.stop()
        assert alive == 0, (f"{alive} senders at work: "
                            f"{len(self.acknowledged)} of {self.count} "
                            f"acknowledged, {self.codes}")
        if self._failures:
            raise self._failures[0]

    def _run_sender(self):
        codes = collections.Counter()
        try:
            self._send_all(codes)
        except Exception as failure:  # for join()
            self._failures.append(failure)
        finally:
            self.codes.update(codes)

    def _send_all(self, codes):
        connection = None
        while not self._stopping:
            try:
                webhook_id, request = self._requests.get_nowait()
            except queue.Empty:
                break
            pause = 0.05
            while not self._stopping:
                answer, connection = self._send(connection, request)
                codes[answer.status if answer else "lost"] += 1
                if answer and answer.status in (200, 202):
                    self.acknowledged[webhook_id] = answer.json()["outcome"]
                    break
                if not self.retry:
                    break
                assert answer is None or answer.status == 503, answer
                time.sleep(pause)
                pause = min(2 * pause, 0.8)
        if connection is not None:
            connection.close()

    def _send(self, connection, request):
        """(the answer or None, the connection or None)"""
        try:
            if connection is None:
                connection = Connection(self.port, timeout=30)
            begun = time.monotonic()
            connection.send(request)
            answer = connection.read_answer()
            self.slowest = max(self.slowest, time.monotonic() - begun)
        except OSError:
            if connection is not None:
                connection.close()
            return None, None
        if answer.headers.get("connection") == "close":
            connection.close()
            connection = None
        return answer, connection


def ids_of(messages):
    """The event ids that a consumer has, and how many came twice or more."""
    found = collections.Counter(
        m.headers["ce_id"].decode() for m in messages)
    return set(found), sum(found.values()) - len(found)
