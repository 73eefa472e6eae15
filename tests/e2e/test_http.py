# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 on the wire: how requests may come in pieces and in rows, and what
becomes of a client that goes. (What is hostile: test_hostile_*.py.)"""

import os
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
