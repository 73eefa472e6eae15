# SPDX-License-Identifier: Apache-2.0
"""Input without end, and input that makes much work: whatever a peer sends,
memory and CPU time stay bounded.

The budgets are three to five times what the plain build was measured to take,
but at least 0.2 s: the kernel counts in steps of 10 ms, and test machines are
busy. What is sent is so much that a path which looks at all bytes again for
each read, line or chunk takes more than ten times the budget.
"""

import ssl
import threading
import time

import pytest

from hookbridge import SANITIZED
from rawhttp import (BODY, CHUNKED, END, GET, HOST, LAST_CHUNK, LENGTH, LINE,
                     MIB, SIGNATURE, chunk, is_gone, post, pour, wait_gone)

# What one connection may make the daemon hold, generously: its input, its
# output and what malloc() keeps of both.
SMALL = 8 * MIB

# What one does, so many do, one after the other: for figures that count.
PEERS = 20

HEAD = LINE + HOST + SIGNATURE
CHUNKED_HEAD = HEAD + CHUNKED + END

# What comes first, and what comes again and again; the answer.
ENDLESS = [
    ("request line", b"POST /", b"a", 414),
    ("escaped target", LINE[:5] + b"/", b"%41", 414),
    ("header", HEAD + b"X: ", b"a", 431),
    ("header name", HEAD, b"a", 431),
    ("tiny headers", HEAD, b":\r\n", 431),
    ("headers", HEAD, b"X: a\r\n", 431),
    ("empty lines before", b"", b"\r\n", 400),
    ("zeros of a size", CHUNKED_HEAD, b"0", 413),
    ("digits of a size", CHUNKED_HEAD, b"a", 413),
    ("extension", CHUNKED_HEAD + b"5;", b"a", 400),
    ("extensions", CHUNKED_HEAD + b"5", b";a=b", 400),
    ("extension of the last chunk", CHUNKED_HEAD + b"0;", b"a", 400),
    ("blank lines before a chunk", CHUNKED_HEAD, b"\r\n", 400),
    ("blank lines between chunks", CHUNKED_HEAD + chunk(BODY), b"\r\n", 400),
    ("trailer", CHUNKED_HEAD + LAST_CHUNK + b"X: ", b"a", 400),
    ("trailers", CHUNKED_HEAD + LAST_CHUNK, b"X: a\r\n", 400),
    ("tiny chunks", CHUNKED_HEAD, chunk(b" "), 400),
    ("chunks", CHUNKED_HEAD, chunk(b" " * 1000), 413),
]


@pytest.mark.parametrize("first, again, code", [
    pytest.param(*row[1:], id=row[0]) for row in ENDLESS])
def test_without_end(open_front, first, again, code):
    """It is refused where its limit is, and 256 KiB later nobody listens any
    more. Measured: 0.01 s, and 0.06 s and 4 MiB where a body is allowed to grow.
    Without the limit, 1 GB comes in: seconds even if it is read but once."""
    daemon = open_front()
    first = daemon.fill(first, "m", "n")
    with daemon.budget(cpu=0.3, rss=SMALL):
        for _ in range(PEERS):
            with daemon.connect() as connection:
                connection.send(first)
                pour(connection, again * (65536 // len(again)), 50 * MIB)
                wait_gone(connection)
    daemon.assert_serves()
    assert daemon.terminate() == 0
    assert daemon.metric("http_requests_total", code=str(code)) == PEERS


# --- the most that is allowed -------------------------------------------------

def test_10000_headers(open_front):
    """A pass over all headers for each of them would be 10^8 comparisons a
    request."""
    daemon = open_front(http={"head_size": "1MiB", "headers": 10000})
    request = post(b"".join(b"x%d:\r\n" % n for n in range(9990)) + LENGTH)
    with daemon.budget(cpu=0.2, rss=SMALL), daemon.connect() as connection:
        for n in range(20):
            connection.send(daemon.fill(request, f"m{n}", ""))
            assert connection.read_answer().status == 200


def test_60000_headers_in_a_large_head(open_front):
    daemon = open_front(http={"head_size": "1MiB", "headers": 10000})
    with daemon.budget(cpu=0.2, rss=SMALL):
        for name, code in ((b"x:\r\n", 431), (b":\r\n", 400)):
            for _ in range(20):
                with daemon.connect() as connection:
                    connection.send(HEAD[:-len(SIGNATURE)] + name * 60000 + END)
                    assert connection.read_answer().status == code
                    assert connection.is_closed()


def send_pieces(connection, data, count):
    """With a moment between them, in which each can be read alone: nothing
    tells us when."""
    length = len(data) // count + 1
    for i in range(0, len(data), length):
        connection.send(data[i:i + length])
        time.sleep(0.001)


def test_a_head_in_small_pieces(open_front):
    """Measured: 0.06 s, for waking up. Were each piece's end searched from the
    head's beginning: 4 * 10^8 lines, more than 2 s."""
    daemon = open_front(http={"head_size": "1MiB", "head_timeout": "1m"})
    head = LINE + HOST + b"X:\r\n" * 250_000 + END
    with daemon.budget(cpu=0.3, rss=SMALL), daemon.connect() as connection:
        send_pieces(connection, head, 3000)
        assert connection.read_answer().status == 431


def spaced(length):
    """BODY with white space before it."""
    return b" " * (length - len(BODY)) + BODY


def test_a_body_in_small_pieces(open_front):
    """Measured: 0.06 s, likewise. All of it hashed again for each piece:
    3 * 10^9 bytes, 2 s."""
    daemon = open_front(http={"body_timeout": "1m"})
    request = daemon.webhook(body=spaced(2_000_000))
    with daemon.budget(cpu=0.3, rss=SMALL), daemon.connect() as connection:
        send_pieces(connection, request, 3000)
        assert connection.read_answer().status == 200


def in_chunks(daemon, body, length, extension=b""):
    head = daemon.webhook(body=body)
    head = head[:head.index(b"Content-Length")] + CHUNKED + END
    return b"".join([head, *(
        chunk(body[i:i + length], b"%x%s" % (length, extension))
        for i in range(0, len(body), length)), LAST_CHUNK, END])


@pytest.mark.parametrize("length, count, extension", [
    (1, 65_000, b""), (1, 65_000, b";" + b"a" * 250), (32, 65_000, b"")])
def test_a_body_in_tiny_chunks(open_front, length, count, extension):
    """As many chunks as there may be; all that they bring along is skipped.
    Measured: 0.05 s. A body that was moved with each of them: 10^11 bytes."""
    daemon = open_front()
    request = in_chunks(daemon, spaced(length * count), length, extension)
    with daemon.budget(cpu=0.3, rss=SMALL), daemon.connect() as connection:
        connection.send(request)
        assert connection.read_answer().status == 200


# --- floods -------------------------------------------------------------------

def read_answers(connection, count, codes):
    for _ in range(count):
        codes.add(connection.read_answer().status)


def empty(fields):
    """A request without a body: its refusal ends no connection."""
    return LINE + HOST + fields + b"Content-Length: 0\r\n" + END


# What is sent 50 000 times in a row, its answer, and the budget: a signature is
# paid for. Measured: 0.15 s, 0.15 s, 0.2 s, 0.25 s and 0.4 s.
FLOODS = [
    ("unknown path", lambda daemon: GET, 404, 0.7),
    ("media type", lambda daemon: empty(b"Content-Type: text/plain\r\n"), 415,
     0.7),
    ("no signature", lambda daemon: empty(b""), 401, 0.7),
    ("wrong signature", lambda daemon: daemon.webhook().replace(b"-1", b"-2"),
     401, 1.2),
    ("duplicates", lambda daemon: daemon.webhook(), 200, 1.6),
]


@pytest.mark.threads
@pytest.mark.parametrize("make, code, cpu", [
    pytest.param(*row[1:], id=row[0]) for row in FLOODS])
def test_pipelined_flood(open_front, make, code, cpu):
    """Requests in a row, written without waiting for any answer. Had all that
    stands behind a request to be moved for it, 10^11 bytes were."""
    daemon = open_front()
    count = 2000 if SANITIZED else 50_000
    request, codes = make(daemon), set()
    with daemon.budget(cpu, rss=SMALL), daemon.connect() as connection:
        reader = threading.Thread(target=read_answers,
                                  args=(connection, count, codes))
        reader.start()
        connection.send(request * count)
        reader.join()
    assert codes == {code}
    # Refusals are counted, not logged one by one.
    assert code == 200 or daemon.log().count("\n") < 500


def test_flood_behind_a_held_request(open_front, own_redis):
    """Nothing of it is read while the first is being delivered, but for what
    came in one read with it."""
    daemon = open_front(
        sinks={"r": {"type": "redis", "url": own_redis.url, "timeout": "9s"}},
        routes=[{"to": [{"sink": "r", "stream": "s"}]}],
        delivery={"ack_timeout": "9s"})
    own_redis.pause()
    with daemon.budget(cpu=0.2, rss=SMALL):
        connections = [daemon.connect() for _ in range(PEERS)]
        for connection in connections:
            connection.send(daemon.webhook() + GET * 100)
            pour(connection, GET * 1000, 50 * MIB, patience=0.02)
            assert not is_gone(connection)
    own_redis.resume()
    for connection in connections:
        assert connection.read_answer().status == 200
        assert connection.read_answer().status == 404
        connection.reset()
    daemon.assert_serves()


# --- lingering ----------------------------------------------------------------

def refused_upload(daemon):
    """A connection that announces 4 GB and has been told 413."""
    connection = daemon.connect()
    connection.send(daemon.fill(post(b"Content-Length: 4000000000\r\n", b""),
                                "m", "n"))
    assert connection.read_answer().status == 413
    assert connection.is_closed()
    return connection


def test_lingering_takes_little(open_front):
    """The answer is safe from a reset for 256 KiB; what else was taken stands
    in the buffers of two sockets."""
    daemon = open_front()
    with daemon.budget(cpu=0.2, rss=SMALL):
        for _ in range(PEERS):
            with refused_upload(daemon) as connection:
                assert pour(connection, bytes(65536), 500 * MIB) < 32 * MIB
                wait_gone(connection)


# --- other protocols ----------------------------------------------------------

def test_tls_on_the_plain_port(open_front):
    """A handshake fails at once; it does not wait for a deadline."""
    daemon = open_front()
    context = ssl.create_default_context()
    with daemon.budget(cpu=0.2, rss=SMALL):
        for _ in range(PEERS):
            with daemon.connect() as connection:
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(connection.socket,
                                        server_hostname="localhost")
