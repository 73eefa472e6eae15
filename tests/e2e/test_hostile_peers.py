# SPDX-License-Identifier: Apache-2.0
"""Peers that go away at every stage, and peers that come in numbers. Nothing
that was received as a whole is lost, nothing else becomes an event, and what
they held comes free."""

import resource
import time

import pytest

from hookbridge import SANITIZED
from process import wait_until
from rawhttp import (BODY, CHUNKED, END, GET, HOST, LENGTH, LINE, MIB,
                     SIGNATURE, chunk, has_read_all, is_gone, stuff)

HEAD = LINE + HOST + SIGNATURE
CROWD = 50


def leave(connection, how):
    if how == "reset":
        connection.reset()
    elif how == "finish":
        connection.finish_sending()
    else:
        connection.close()


def wait_descriptors(daemon, count):
    wait_until(lambda: daemon.descriptors() <= count, 20,
               "descriptors that come free")


# --- gone before the webhook is there -----------------------------------------

# What is sent before they go.
UNFINISHED = [
    ("nothing", b""),
    ("method", b"POST"),
    ("head", HEAD),
    ("head but for its end", HEAD + LENGTH + b"\r"),
    ("no body", HEAD + LENGTH + END),
    ("half a body", HEAD + LENGTH + END + BODY[:20]),
    ("body but for its end", HEAD + LENGTH + END + BODY[:-1]),
    ("chunk size", HEAD + CHUNKED + END + b"3"),
    ("half a chunk", HEAD + CHUNKED + END + b"3a\r\n" + BODY[:20]),
    ("chunks but for the last", HEAD + CHUNKED + END + chunk(BODY)),
    ("chunks but for the end", HEAD + CHUNKED + END + chunk(BODY) + b"0\r\n"),
    ("another head", GET + HEAD),
    ("empty line", GET + b"\r\n"),
]


@pytest.mark.threads
@pytest.mark.parametrize("how", ["finish", "close", "reset"])
def test_gone_before_the_end(open_front, how):
    """Each of them many times. Measured: 0.04 s."""
    daemon = open_front()
    before = daemon.descriptors()
    parted = []
    with daemon.budget(cpu=0.3, rss=8 * MIB):
        for _, text in UNFINISHED:
            for _ in range(CROWD):
                connection = daemon.connect()
                connection.send(daemon.fill(text, "never", "-"))
                leave(connection, how)
                if how == "finish":
                    parted.append((text, connection))
            wait_descriptors(daemon, before)
        for text, connection in parted:
            # Half a request deserves no answer.
            answers = connection.read_to_end().count(b"HTTP/1.1 ")
            assert answers == text.count(GET)
            connection.close()
    daemon.assert_serves()
    assert "never" not in daemon.ids()
    assert daemon.terminate() == 0
    assert daemon.metric("http_connections") == 0
    assert daemon.metric("memory_used_bytes") == 0


# --- gone after that ----------------------------------------------------------

@pytest.fixture
def holding_front(open_front, own_redis):
    """A daemon whose sink confirms nothing before own_redis.resume()."""
    daemon = open_front(
        sinks={"r": {"type": "redis", "url": own_redis.url, "timeout": "9s"}},
        routes=[{"to": [{"sink": "r", "stream": "s"}]}],
        delivery={"ack_timeout": "9s"})
    own_redis.pause()
    return daemon


@pytest.mark.threads
@pytest.mark.parametrize("how", ["finish", "close", "reset"])
def test_gone_during_delivery(holding_front, own_redis, how):
    """Its event goes its way, and who can still read gets an answer. Those who
    have gone cost nothing meanwhile: a loop that turned for them would take a
    second of CPU in this second."""
    daemon = holding_front
    before = daemon.descriptors()
    crowd = [daemon.connect() for _ in range(CROWD)]
    with daemon.budget(cpu=0.2, rss=8 * MIB):
        for n, connection in enumerate(crowd):
            # Something behind it, so that some of it is left unread.
            connection.send(daemon.webhook(f"held-{n}") + GET[:-3])
            wait_until(lambda: has_read_all(connection), 10, "the daemon")
            leave(connection, how)
        time.sleep(1)
    own_redis.resume()
    if how == "finish":
        for connection in crowd:
            assert connection.read_answer().status == 200
            assert connection.is_closed()
    wait_descriptors(daemon, before)
    found = [fields[b"ce_id"].decode()
             for _, fields in own_redis.entries("s", CROWD + 1)]
    assert sorted(found[1:]) == sorted(f"held-{n}" for n in range(CROWD))
    assert daemon.terminate() == 0
    assert daemon.metric("events_total") == CROWD + 1
    assert daemon.metric("memory_used_bytes") == 0


@pytest.mark.parametrize("how", ["finish", "close", "reset"])
def test_gone_while_it_is_answered(open_front, how):
    """More answers wait than its sockets take. Who only ceases to send may read
    them all; the others are noticed at once. Measured: 0.03 s."""
    daemon = open_front()
    before = daemon.descriptors()
    with daemon.budget(cpu=0.3, rss=8 * MIB):
        for _ in range(10):
            connection = daemon.connect()
            stuff(connection, 5000)
            leave(connection, how)
            if how == "finish":
                answers = connection.read_to_end().count(b"HTTP/1.1 404 ")
                assert answers == 5000
            wait_descriptors(daemon, before)
    daemon.assert_serves()


def test_gone_while_it_lingers(open_front):
    daemon = open_front()
    before = daemon.descriptors()
    with daemon.budget(cpu=0.2, rss=8 * MIB):
        for how in ("finish", "close", "reset") * 20:
            connection = daemon.connect()
            connection.send(b"\0")
            assert connection.read_answer().status == 400
            leave(connection, how)
        wait_descriptors(daemon, before)


def test_connections_that_come_and_go(open_front):
    """Reset at once: some before they are accepted. Measured: 0.1 s for 5000 of
    them."""
    daemon = open_front()
    before = daemon.descriptors()
    with daemon.budget(cpu=0.5, rss=8 * MIB):
        for _ in range(5000):
            daemon.connect().reset()
        wait_descriptors(daemon, before)
    daemon.assert_serves()


# --- numbers ------------------------------------------------------------------

def have_descriptors(count):
    """Raises this process's own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        pytest.skip(f"no more than {hard} descriptors here (RLIMIT_NOFILE)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


MANY = 1000 if SANITIZED else 10_000


def crowd_of(daemon, count, text):
    """So many connections, 200 from each address, that send this."""
    crowd = []
    for n in range(count):
        crowd.append(daemon.connect(source=f"127.0.1.{1 + n // 200}"))
        crowd[-1].send(text)
    wait_until(lambda: has_read_all(crowd[-1]), 20, "the daemon")
    return crowd


# What they send, what all of them may cost; measured: a third of that.
STATES = [
    ("kept alive", GET, 20 * MIB),
    ("in a head", HEAD + b"X: ", 40 * MIB),
    ("in a body", HEAD + LENGTH + END + BODY[:20], 80 * MIB),
]


@pytest.mark.parametrize("text, rss", [
    pytest.param(*row[1:], id=row[0]) for row in STATES])
def test_10000_connections(open_front, text, rss):
    """They take little memory, no CPU time while they wait, and nobody else's
    turn. Measured: 0.4 s to accept, read and close all of them."""
    have_descriptors(MANY + 1000)
    daemon = open_front(http={
        "connections": 12_000, "head_timeout": "1m", "body_timeout": "1m"})
    before = daemon.descriptors()
    with daemon.budget(cpu=1.5, rss=rss):
        crowd = crowd_of(daemon, MANY, daemon.fill(text, "crowd", "-"))
        wait_until(lambda: daemon.descriptors() > MANY, 20, "all of them")
        waiting_since = daemon.cpu_seconds()
        time.sleep(1)
        assert daemon.cpu_seconds() - waiting_since < 0.1
        for _ in range(20):
            begun = time.monotonic()
            daemon.assert_serves(source="127.0.2.1")
            assert time.monotonic() - begun < 1
        assert not any(map(is_gone, crowd))
        for connection in crowd:
            connection.close()
        wait_descriptors(daemon, before)
    assert SANITIZED or daemon.peak_rss() < 100 * MIB


def test_bodies_beyond_the_memory(open_front):
    """Bodies of strangers hold a quarter of the memory, 64 KiB at a time; for
    one that comes faster the slowest have to go. Measured: 0.02 s."""
    # One worker: each sheds its own.
    daemon = open_front(memory="16MiB", workers=1,
                        http={"connections_per_address": 0})
    head = HEAD + b"Content-Length: 1000000\r\n" + END
    with daemon.budget(cpu=0.2, rss=8 * MIB):
        crowd = [daemon.connect() for _ in range(200)]
        for connection in crowd:
            connection.send(daemon.fill(head, "crowd", "-") + b" ")
        with daemon.connect() as connection:
            connection.send(daemon.webhook(body=b" " * 1_000_000 + BODY))
            assert connection.read_answer().status == 200
        left = [connection for connection in crowd
                if not connection.has_answer()]
        assert 10 < len(left) < 80
        for connection in crowd:
            connection.close()
    daemon.assert_serves()


@pytest.mark.threads
def test_descriptors_run_out(open_front):
    """Who is in is served; the others wait until somebody leaves. Meanwhile no
    loop turns and the log stays short: one line a second and worker."""
    daemon = open_front()
    before = daemon.descriptors()
    limit = before + 10
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with daemon.budget(cpu=0.3, rss=8 * MIB):
        crowd = [daemon.connect() for _ in range(40)]
        wait_until(lambda: daemon.descriptors() >= limit, 20, "all in use")
        waiting_since = daemon.cpu_seconds()
        time.sleep(2)
        assert daemon.cpu_seconds() - waiting_since < 0.1
        assert 1 <= len(daemon.log_records("listen.error")) <= 2 * 4
        for connection in crowd:
            connection.send(daemon.webhook(Connection="close"))
        # Each of them makes room for one that waits.
        for connection in crowd:
            assert connection.read_answer().status == 200
            connection.close()
        wait_descriptors(daemon, before)
    daemon.assert_serves()
    complaint = daemon.log_records("listen.error")[0]
    assert "raise LimitNOFILE" in complaint["remedy"]
