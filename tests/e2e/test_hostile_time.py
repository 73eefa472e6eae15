# SPDX-License-Identifier: Apache-2.0
"""Slow peers: who sends a byte now and then, who sends nothing, who reads
nothing. Every moment of a connection has a deadline that no byte moves.
"""

import contextlib
import itertools
import time

import pytest

from rawhttp import (BODY, CHUNKED, END, GET, HOST, LAST_CHUNK, LENGTH, LINE,
                     MIB, SIGNATURE, answers_in, chunk, is_gone, stuff,
                     wait_reset)

HEAD = LINE + HOST + SIGNATURE
CHUNKED_HEAD = HEAD + CHUNKED + END
LONG_HEAD = HEAD + b"Content-Length: 2000000\r\n" + END
EXPECTING_HEAD = HEAD + LENGTH + b"Expect: 100-continue\r\n" + END
TRAILERS = CHUNKED_HEAD + chunk(BODY) + LAST_CHUNK

# What is sent at once and what follows ten times a second; the answers until
# the connection's end, which comes at its deadline.
SLOW = [
    ("silence", b"", b"", []),
    ("request line", b"P", b"O", [408]),
    ("empty line, then a request line", b"\r\n", b"P", [408]),
    ("header", HEAD + b"X: ", b"a", [408]),
    ("headers", HEAD, b"X:\r\n", [408]),
    ("half a head", HEAD, b"", [408]),
    ("silence after a request", GET, b"", [404]),
    ("request line after a request", GET, b"P", [404, 408]),
    ("request line with a request", GET + b"PO", b"S", [404, 408]),
    ("no body", HEAD + LENGTH + END, b"", [408]),
    ("body", HEAD + LENGTH + END, b" ", [408]),
    ("large body", LONG_HEAD, b" " * 50, [408]),
    ("body after a fast beginning", LONG_HEAD + b" " * 900, b" ", [408]),
    ("body that is waited for", EXPECTING_HEAD, b"", [100, 408]),
    ("chunk size", CHUNKED_HEAD + b"3", b"", [408]),
    ("chunk extension", CHUNKED_HEAD + b"5;", b"a", [408]),
    ("chunk extensions", CHUNKED_HEAD, chunk(b" ", b"1;" + b"a" * 200), [408]),
    ("chunk", CHUNKED_HEAD + b"3a\r\n", b" ", [408]),
    ("chunks", CHUNKED_HEAD, chunk(b" "), [408]),
    ("trailer", TRAILERS, b"X", [408]),
    ("trailers", TRAILERS, b"X:\r\n", [408]),
]


class Slow:
    """A peer that sends a piece ten times a second until the daemon ends it."""

    def __init__(self, daemon, first, pieces):
        self.pieces = pieces
        self.begun = time.monotonic()
        self.connection = daemon.connect()
        self.connection.send(first)
        self.connection.socket.setblocking(False)
        self.sent = 0
        self.life = None  # seconds until the daemon's FIN

    def go_on(self):
        now = time.monotonic() - self.begun
        with contextlib.suppress(BlockingIOError):
            data = self.connection.socket.recv(65536)
            self.connection.buffer += data
            if not data:
                self.life = now
                return
        if now > (self.sent + 1) / 10:
            self.connection.send(next(self.pieces, b""))
            self.sent += 1

    def answers(self):
        return [a.status for a in answers_in(self.connection)]


def run_to_end(peers):
    begun = time.monotonic()
    while any(peer.life is None for peer in peers):
        assert time.monotonic() - begun < 30
        for peer in peers:
            if peer.life is None:
                peer.go_on()
        time.sleep(0.01)


def test_a_byte_now_and_then(open_front):
    """All of them at once, every deadline a second. Who takes longer at a
    decent pace is not hurt. Measured: 0.02 s; a loop that turned all the time
    would take 2 s."""
    daemon = open_front(http={
        "head_timeout": "1s", "body_timeout": "1s", "body_rate": 1000,
        "idle_timeout": "1s"})
    request = daemon.webhook("decent", b" " * 5000 + BODY, Connection="close")
    pieces = [request[i:i + 200] for i in range(0, len(request), 200)]
    with daemon.budget(cpu=0.2, rss=8 * MIB):
        slow = [Slow(daemon, daemon.fill(first, "slow", "-"),
                     itertools.repeat(again)) for _, first, again, _ in SLOW]
        decent = Slow(daemon, pieces[0], iter(pieces[1:]))
        run_to_end(slow + [decent])
    assert {row[0]: peer.answers() for row, peer in zip(SLOW, slow)} == {
        row[0]: row[3] for row in SLOW}
    lives = {row[0]: peer.life for row, peer in zip(SLOW, slow)}
    # A body's pace is looked at once a second.
    assert 0.9 < min(lives.values()) and max(lives.values()) < 5, lives
    assert decent.answers() == [200]
    assert decent.life > 2
    assert daemon.ids()[1:] == ["decent"]


def test_lingering_takes_no_time(open_front):
    """Neither silence nor a byte now and then prolongs the time after the
    answer in which what still comes is thrown away."""
    daemon = open_front(http={"linger_timeout": "300ms"})
    connections = [daemon.connect() for _ in range(2)]
    for connection in connections:
        connection.send(b"\0")
        assert connection.read_answer().status == 400
        assert connection.is_closed()
    assert not any(map(is_gone, connections))
    for connection in connections:
        # One is asked all the time; the other is asked when that is gone.
        wait_reset(connection)
        connection.close()


# --- who does not read --------------------------------------------------------

# Answers that nobody reads have ten seconds.
WRITE_DEADLINE = 10


@pytest.mark.threads
def test_answers_that_nobody_reads(open_front):
    """Requests in a row, and not one answer is read, or a byte now and then:
    such a peer is served as far as its sockets take it, a few hundred times,
    then left. Where the kernel is let, it takes megabytes: 16 000 answers.
    Measured: 0.05 s, and nothing while they wait."""
    daemon = open_front()
    with daemon.budget(cpu=0.3, rss=8 * MIB):
        begun = time.monotonic()
        crowd = [daemon.connect() for _ in range(10)]
        for connection in crowd:
            stuff(connection, 5000)
        waiting_since = daemon.cpu_seconds()
        while not all(map(is_gone, crowd)):
            assert time.monotonic() - begun < 3 * WRITE_DEADLINE
            with contextlib.suppress(ConnectionResetError):
                crowd[0].socket.recv(1)
            time.sleep(0.1)
        assert time.monotonic() - begun > WRITE_DEADLINE - 1
        assert daemon.cpu_seconds() - waiting_since < 0.2
        daemon.assert_serves()
    for connection in crowd:
        connection.close()
    assert daemon.terminate() == 0
    served = daemon.metric("http_requests_total", code="404")
    assert 10 * 100 < served < 10 * 2500


def test_answers_that_are_read_slowly(open_front):
    """Nothing is lost for who is only slow: each answer has its own time.
    Measured: 0.05 s."""
    daemon = open_front()
    count = 20_000
    with daemon.budget(cpu=0.4, rss=8 * MIB), daemon.connect() as connection:
        stuff(connection, 5000)
        for n in range(count):
            assert connection.read_answer().status == 404
            if n < count - 5000:
                connection.send(GET)
