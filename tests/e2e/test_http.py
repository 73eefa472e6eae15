# SPDX-License-Identifier: Apache-2.0
"""The listener on a raw socket: what senders do, slow ones, broken ones, too
many of them."""

import os
import resource
import socket
import time

import pytest

from http1 import Connection, request_bytes
from process import wait_until

BODY = b'{"status":"Completed","job_id":"job-1"}'


@pytest.fixture
def start(hookbridge, tmp_path):
    """start(http={...}): a daemon that publishes to a file."""
    def make(**rest):
        return hookbridge({
            "endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"out": {"type": "file",
                              "path": str(tmp_path / "events")}},
            "routes": [{"to": [{"sink": "out"}]}], **rest})
    return make


def signed(daemon, **options):
    """The bytes of one good request."""
    body = options.pop("body", BODY)
    return request_bytes("POST", "/all", body, {
        "Content-Type": "application/json",
        **daemon.signed_headers("all", body, **options)})


def chunked(daemon, *chunks):
    body = b"".join(chunks)
    head = request_bytes("POST", "/all", b"", {
        "Transfer-Encoding": "chunked",
        **daemon.signed_headers("all", body)})
    head = head.replace(b"Content-Length: 0\r\n", b"")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) \
        + b"0\r\n\r\n"


def test_kept_and_pipelined(start):
    daemon = start()
    with daemon.connect() as connection:
        for _ in range(3):
            connection.send(signed(daemon))
            assert connection.read_answer().status == 200
        connection.send(b"".join(signed(daemon) for _ in range(20)))
        assert [connection.read_answer().status for _ in range(20)] \
            == [200] * 20


def test_byte_by_byte(start):
    daemon = start()
    with daemon.connect() as connection:
        connection.send_bytewise(signed(daemon))
        assert connection.read_answer().status == 200
        connection.send_bytewise(chunked(daemon, BODY[:10], BODY[10:]))
        assert connection.read_answer().status == 200


def test_chunks_as_they_come(start):
    daemon = start()
    with daemon.connect() as connection:
        connection.send(chunked(daemon, *(bytes([b]) for b in BODY)))
        assert connection.read_answer().status == 200


def test_continue(start):
    """100 only where the body is wanted."""
    daemon = start()
    request = signed(daemon).replace(b"\r\n\r\n",
                                     b"\r\nExpect: 100-continue\r\n\r\n")
    head = request[:-len(BODY)]
    with daemon.connect() as connection:
        connection.send(head)
        assert connection.read_answer().status == 100
        connection.send(BODY)
        assert connection.read_answer().status == 200
        connection.send(head.replace(b"/all", b"/none"))
        assert connection.read_answer().status == 404


def test_half_closed(start):
    """A sender that says no more still gets its answer."""
    daemon = start()
    with daemon.connect() as connection:
        connection.send(signed(daemon))
        connection.finish_sending()
        assert connection.read_answer().status == 200
        assert connection.is_closed()


@pytest.mark.threads
def test_gone_before_the_answer(start):
    """The event is delivered all the same, and the retry finds it."""
    daemon = start()
    headers = daemon.signed_headers("all", BODY, webhook_id="msg_1")
    connection = daemon.connect()
    connection.send(request_bytes("POST", "/all", BODY, headers))
    connection.reset()
    daemon.wait_log("event.settled", id="msg_1")
    answer = daemon.post("/all", BODY, headers)
    assert answer.json()["outcome"] == "duplicate"


# --- deadlines ----------------------------------------------------------------

def trickle(connection, data, interval=0.1):
    """A byte at a time, for as long as anybody listens; how long that was."""
    began = time.monotonic()
    try:
        for byte in data:
            connection.send(bytes([byte]))
            connection.socket.settimeout(interval)
            try:
                connection._receive()
            except TimeoutError:
                continue
            break
    except OSError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_deadlines_do_not_move(start, part):
    """A byte now and then keeps nobody connected."""
    daemon = start(http={"head_timeout": "1s", "body_timeout": "1s",
                         "body_rate": "1MiB"})
    with daemon.connect() as connection:
        if part == "head":
            data = b"POST /all HTTP/1.1\r\nX: " + b"x" * 200
        elif part == "body":
            body = b'{"job_id":"%s"}' % (b"x" * 500)
            request = signed(daemon, body=body)
            connection.send(request[:-len(body)])
            data = body
        else:
            request = chunked(daemon, BODY * 100)
            head = request.index(b"\r\n\r\n") + 4
            connection.send(request[:head])
            data = request[head:]
        seconds = trickle(connection, data)
        assert 0.5 < seconds < 5
        assert b" 408 " in connection.buffer + connection.read_to_end()


def test_idle_connections_end(start):
    daemon = start(http={"idle_timeout": "1s"})
    with daemon.connect() as connection:
        connection.send(signed(daemon))
        assert connection.read_answer().status == 200
        began = time.monotonic()
        assert connection.is_closed(10)
        assert time.monotonic() - began < 5


# --- limits -------------------------------------------------------------------

def test_told_before_the_body_is_sent(start):
    """An answer is read even by a sender that has begun its body."""
    daemon = start()
    with daemon.connect() as connection:
        connection.send(b"POST /none HTTP/1.1\r\nHost: a\r\n"
                        b"Content-Length: 1000000\r\n\r\n" + b"x" * 100000)
        assert connection.read_answer().status == 404
        assert connection.is_closed()


def test_connections_of_one_address(start):
    daemon = start(http={"connections_per_address": 5})
    connections = [daemon.connect() for _ in range(5)]
    with daemon.connect() as sixth:
        assert sixth.is_closed(10)
    connections.pop().close()

    def admitted():
        with daemon.connect() as another:
            try:
                another.send(signed(daemon))
                return another.read_answer().status == 200
            except OSError:
                return False
    wait_until(admitted, 10, "a free place")
    for connection in connections:
        connection.close()


def test_out_of_descriptors(start):
    """Those connected are served, new ones wait, and the processor rests."""
    daemon = start(http={"connections_per_address": 0})
    used = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 10, 4096))
    connections = [daemon.connect() for _ in range(30)]
    connections[0].send(signed(daemon))
    assert connections[0].read_answer().status == 200
    before = cpu_seconds(daemon.pid)
    time.sleep(1)
    assert cpu_seconds(daemon.pid) - before < 0.3
    for connection in connections[:20]:
        connection.close()
    connections[29].send(signed(daemon))
    assert connections[29].read_answer().status == 200
    for connection in connections[20:]:
        connection.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_unix_socket(hookbridge, tmp_path):
    """For a proxy on the same machine; nobody else may connect."""
    path = tmp_path / "public.sock"
    daemon = hookbridge({
        "listen": [{"address": "127.0.0.1:0"}, {"address": f"unix:{path}"}],
        "endpoints": {"all": {"path": "/all", "mode": "svix"}},
        "sinks": {"out": {"type": "file", "path": str(tmp_path / "events")}},
        "routes": [{"to": [{"sink": "out"}]}]}, start=False)
    daemon.spawn([daemon.program, "-c", daemon.config_path])
    daemon.wait_log("daemon.ready")
    assert path.stat().st_mode & 0o777 == 0o660
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(str(path))
    connection = Connection.__new__(Connection)
    connection.socket, connection.buffer = raw, b""
    with connection:
        connection.send(signed(daemon))
        assert connection.read_answer().status == 200
    assert daemon.terminate() == 0
    assert not path.exists()
