# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 on the wire: how requests may come in pieces and in rows, and how
those that take too long or come in too great a number are shown the door."""

import os
import resource
import socket
import time

import pytest

from events import file_lines
from http1 import request_bytes
from process import free_port, wait_until

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


@pytest.fixture
def site(hookbridge, tmp_path):
    """site(http=…, …) starts a daemon that writes to a file."""
    def make(**rest):
        daemon = hookbridge({
            "endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"f": {"type": "file",
                            "path": str(tmp_path / "events")}},
            "routes": [{"to": [{"sink": "f"}]}], **rest})
        daemon.events = lambda: len(file_lines(tmp_path / "events"))
        return daemon
    return make


def signed(daemon, body=BODY, **more):
    headers = {"Content-Type": "application/json",
               **daemon.signed_headers("all", body), **more}
    return request_bytes("POST", "/all", body, headers)


def chunked(daemon, *pieces, trailer=b"", extension=b""):
    body = b"".join(pieces)
    head = request_bytes("POST", "/all", b"", {
        **daemon.signed_headers("all", body),
        "Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    chunks = [b"%x%s\r\n%s\r\n" % (len(p), extension, p) for p in pieces]
    return head + b"".join(chunks) + b"0\r\n" + trailer + b"\r\n"


# --- pieces -------------------------------------------------------------------

def test_keep_alive(site):
    daemon = site()
    with daemon.connect() as connection:
        for n in range(20):
            connection.send(signed(daemon))
            answer = connection.read_answer()
            assert answer.status == 200
            assert answer.headers.get("connection") != "close"
        connection.send(signed(daemon, Connection="close"))
        assert connection.read_answer().headers["connection"] == "close"
        assert connection.is_closed()
    assert daemon.events() == 21


def test_http_1_0(site):
    daemon = site()
    with daemon.connect() as connection:
        connection.send(signed(daemon).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert connection.read_answer().status == 200
        assert connection.is_closed()


@pytest.mark.threads
def test_pipelining(site):
    """Answers come in the order of the requests."""
    daemon = site()
    ids = [f"m-{n}" for n in range(50)] * 2
    requests = [request_bytes("POST", "/all", BODY, daemon.signed_headers(
        "all", BODY, webhook_id=i)) for i in ids]
    with daemon.connect() as connection:
        connection.send(b"".join(requests))
        answers = [connection.read_answer().json() for _ in requests]
    assert [a["id"] for a in answers] == ids
    assert [a["outcome"] for a in answers] == \
        ["confirmed"] * 50 + ["duplicate"] * 50
    assert daemon.events() == 50


def test_byte_by_byte(site):
    daemon = site()
    with daemon.connect() as connection:
        connection.send_bytewise(signed(daemon))
        assert connection.read_answer().status == 200
        connection.send_bytewise(chunked(daemon, BODY[:10], BODY[10:]))
        assert connection.read_answer().status == 200


def test_every_split(site):
    """Two pieces, split at every place."""
    daemon = site()
    with daemon.connect() as connection:
        request = signed(daemon)
        for i in range(1, len(request), 7):
            request = signed(daemon)
            connection.send(request[:i])
            time.sleep(0.001)  # else the kernel may join them
            connection.send(request[i:])
            assert connection.read_answer().status == 200, i


def test_chunked(site):
    daemon = site()
    with daemon.connect() as connection:
        for request in (
                chunked(daemon, BODY),
                chunked(daemon, *(BODY[i:i + 1] for i in range(len(BODY)))),
                chunked(daemon, BODY, extension=b";a=b"),
                chunked(daemon, BODY, trailer=b"X: y\r\n")):
            connection.send(request)
            assert connection.read_answer().status == 200
    assert daemon.events() == 4


def test_a_signature_in_a_trailer_is_none(site):
    daemon = site()
    headers = daemon.signed_headers("all", BODY)
    trailer = "".join(f"{k}: {v}\r\n" for k, v in headers.items()).encode()
    with daemon.connect() as connection:
        connection.send(
            b"POST /all HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            b"\r\n%x\r\n%s\r\n0\r\n%s\r\n" % (len(BODY), BODY, trailer))
        assert connection.read_answer().status == 401


@pytest.mark.parametrize("broken", [
    b"5 \r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n",
    b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5 junk\r\nhello\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\nhello", b"\r\n0\r\n\r\n", b"-1\r\n",
    b"5" + b";x" * 400 + b"\r\nhello\r\n0\r\n\r\n"])
def test_broken_chunks(site, broken):
    daemon = site()
    request = chunked(daemon, BODY)
    head = request[:request.index(b"\r\n\r\n") + 4]
    with daemon.connect() as connection:
        connection.send(head + broken)
        answer = connection.read_answer()
        assert answer.status in (400, 413), answer
        assert answer.headers["connection"] == "close"
        connection.finish_sending()
        assert connection.is_closed()
    assert daemon.events() == 0


def test_100_continue(site):
    """Only a request that may go on is told to; others get their answer."""
    daemon = site()
    request = signed(daemon, Expect="100-continue")
    head, body = request[:-len(BODY)], request[-len(BODY):]
    with daemon.connect() as connection:
        connection.send(head)
        assert connection.read_answer().status == 100
        connection.send(body)
        assert connection.read_answer().status == 200
    with daemon.connect() as connection:
        connection.send(head.replace(b"/all", b"/other"))
        assert connection.read_answer().status == 404
    with daemon.connect() as connection:
        connection.send(head.replace(b"100-continue", b"x"))
        assert connection.read_answer().status == 417


def has_read_all(connection):
    """Whether nothing of what was sent waits in the daemon's socket, where a
    reset would discard it (proc_pid_net(5): tcp)."""
    daemon_port = connection.socket.getpeername()[1]
    our_port = connection.socket.getsockname()[1]
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            local, remote, _, queues = line.split()[1:5]
            if (int(local.split(":")[1], 16) == daemon_port
                    and int(remote.split(":")[1], 16) == our_port):
                return int(queues.split(":")[1], 16) == 0
    raise AssertionError("the connection is gone")


def test_a_lost_client_is_delivered(site):
    """Once it is there whole, the event goes its way; the retry finds it."""
    daemon = site()
    headers = daemon.signed_headers("all", BODY, webhook_id="m")
    with daemon.connect() as connection:
        connection.send(request_bytes("POST", "/all", BODY, headers))
        wait_until(lambda: has_read_all(connection), 10, "the daemon")
        connection.reset()
    daemon.wait_log("event.settled", id="m")
    answer = daemon.post("/all", BODY, headers)
    assert answer.json()["outcome"] == "duplicate"
    assert daemon.events() == 1


def test_half_a_body_is_nothing(site):
    daemon = site()
    for end in ("reset", "finish_sending"):
        with daemon.connect() as connection:
            connection.send(signed(daemon)[:-5])
            getattr(connection, end)()
            if end == "finish_sending":
                assert connection.is_closed()
    assert daemon.post_signed("all", BODY).status == 200
    assert daemon.events() == 1


# --- deadlines ----------------------------------------------------------------

def test_a_slow_head(site):
    """An absolute deadline: dripping does not extend it."""
    daemon = site(http={"head_timeout": "1s"})
    with daemon.connect() as connection:
        begun = time.monotonic()
        connection.send(b"POST /all HTTP/1.1\r\nHost: a\r\n")
        answer = drip(connection, b"X")
        assert time.monotonic() - begun < 3
        assert answer is None or answer.status == 408
        assert connection.is_closed()


def drip(connection, byte):
    """Sends a byte now and then until there is an answer or an end."""
    connection.socket.settimeout(0.1)
    for _ in range(100):
        try:
            connection.send(byte)
            return connection.read_answer()
        except TimeoutError:
            continue
        except OSError:
            return None
    raise AssertionError("it waited for ever")


def test_a_slow_body(site):
    daemon = site(http={"body_timeout": "1s", "body_rate": "1MiB"})
    with daemon.connect() as connection:
        connection.send(signed(daemon, b" " * 1000 + BODY)[:-500])
        begun = time.monotonic()
        answer = drip(connection, b" ")
        assert time.monotonic() - begun < 4
        assert answer is None or answer.status == 408
        assert connection.is_closed()
    assert daemon.events() == 0


def test_an_idle_connection(site):
    daemon = site(http={"idle_timeout": "500ms"})
    with daemon.connect() as used, daemon.connect() as fresh:
        used.send(signed(daemon))
        assert used.read_answer().status == 200
        assert used.is_closed(5)
        assert fresh.is_closed(15)


def test_the_answer_outlives_the_body(site):
    """An early refusal is not eaten by a reset: the sender can read it after
    it has sent everything."""
    daemon = site(endpoints={"all": {"path": "/all", "mode": "svix",
                                     "body_size": "2KiB"}})
    for body in (b"x" * 3000, b"x" * 200_000):
        with daemon.connect() as connection:
            connection.send(signed(daemon, body))
            answer = connection.read_answer()
            assert answer.status == 413
            assert connection.is_closed()


# --- numbers ------------------------------------------------------------------

def test_connections_of_one_address(site):
    daemon = site(http={"connections_per_address": 5})
    connections = [daemon.connect() for _ in range(8)]
    try:
        states = []
        for connection in connections:
            try:
                connection.send(signed(daemon))
                states.append(connection.read_answer().status)
            except OSError:
                states.append(None)
        assert states[:5] == [200] * 5
        assert set(states[5:]) <= {None, 503}
    finally:
        for connection in connections:
            connection.close()

    def served():
        try:
            return daemon.post_signed("all", BODY).status == 200
        except OSError:
            return False
    wait_until(served, 10, "room again")


def test_requests_of_one_connection(site):
    daemon = site(http={"requests_per_connection": 3})
    with daemon.connect() as connection:
        for n in (1, 2, 3):
            connection.send(signed(daemon))
            answer = connection.read_answer()
            assert answer.status == 200
            assert (answer.headers.get("connection") == "close") == (n == 3)
        assert connection.is_closed()


@pytest.mark.threads
def test_out_of_descriptors(site):
    """It waits for one to come free: no busy loop, nothing broken."""
    daemon = site()
    assert daemon.post_signed("all", BODY).status == 200
    held = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE,
                     (held + 10, held + 10))
    connections = []
    try:
        for _ in range(30):
            connections.append(daemon.connect())
        wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd"))
                   >= held + 10, 10, "no descriptor left")
        before = cpu_seconds(daemon.pid)
        time.sleep(1)
        assert cpu_seconds(daemon.pid) - before < 0.5
        # Those that are in are served.
        connections[0].send(signed(daemon))
        assert connections[0].read_answer().status == 200
    finally:
        for connection in connections:
            connection.close()
    assert daemon.post_signed("all", BODY).status == 200
    assert daemon.log().count("\n") < 200


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.threads
def test_many_connections(site):
    """Most of them idle, the others served."""
    daemon = site(http={"connections_per_address": 0})
    connections = [daemon.connect() for _ in range(500)]
    try:
        for connection in connections[::10]:
            connection.send(signed(daemon))
        for connection in connections[::10]:
            assert connection.read_answer().status == 200
    finally:
        for connection in connections:
            connection.close()


def test_listens_on_a_unix_socket(hookbridge, site, tmp_path):
    path = tmp_path / "http.sock"
    daemon = site(listen=[{"address": f"127.0.0.1:{free_port()}"},
                          {"address": f"unix:{path}"}])
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(signed(daemon))
        assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert daemon.terminate() == 0
    assert not path.exists()
