# SPDX-License-Identifier: Apache-2.0
"""The front door seen by those who mean ill: requests that are almost valid, a
daemon whose events stand in a file, and what it spends meanwhile."""

import contextlib
import json
import os
import select

from events import file_lines
from hookbridge import SANITIZED, Hookbridge
from http1 import Connection, request_bytes
from process import wait_until

MIB = 1 << 20
BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'

# A request that every server accepts, in parts that tests replace. SIGNATURE
# stands for the header fields that make BODY authentic, see Front.fill().
LINE = b"POST /all HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
SIGNATURE = b"<signature>"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n"
# A whole webhook of its own, and its length alone and together with BODY's.
NEXT, NEXT_LENGTH = b"<next>", b"<next's length>"
BOTH_LENGTH = b"<both's length>"


def post(fields=LENGTH, body=BODY, line=LINE, host=HOST, signature=SIGNATURE):
    return line + host + signature + fields + END + body


def chunk(data, size=None, end=END):
    """size: what stands on its line instead of the length."""
    return (b"%x" % len(data) if size is None else size) + END + data + end


LAST_CHUNK = b"0\r\n"
# A whole request to nobody, answered 404.
GET = b"GET /nothing HTTP/1.1\r\n" + HOST + END


def post_chunks(*chunks, last=LAST_CHUNK + END):
    return post(CHUNKED, b"".join(chunks) + last)


class Front(Hookbridge):
    """A daemon with one endpoint, /all, and one sink, a file. http: settings of
    that section."""

    def __init__(self, directory, http=None, sinks=None, routes=None, **rest):
        self.events_path = os.path.join(directory, "events")
        super().__init__(str(directory), {
            "endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": sinks or {"f": {"type": "file",
                                     "path": self.events_path}},
            "routes": routes or [{"to": [{"sink": "f"}]}],
            "http": http or {}, **rest})

    def ids(self):
        """The webhooks that have become events."""
        return [json.loads(line)["webhook_id"]
                for line in file_lines(self.events_path)]

    def webhook(self, webhook_id=None, body=BODY, **headers):
        """One that is as it should be."""
        return request_bytes("POST", "/all", body, {
            **self.signed_headers("all", body, webhook_id=webhook_id),
            **{k.replace("_", "-"): v for k, v in headers.items()}})

    def fill(self, text, webhook_id, next_id):
        """A template as bytes."""
        fields = self.signed_headers("all", BODY, webhook_id=webhook_id)
        following = self.webhook(next_id)
        for mark, what in (
                (SIGNATURE, b"".join(b"%s: %s\r\n" % (k.encode(), v.encode())
                                     for k, v in fields.items())),
                (NEXT, following),
                (NEXT_LENGTH, b"%d" % len(following)),
                (BOTH_LENGTH, b"%d" % (len(BODY) + len(following)))):
            text = text.replace(mark, what)
        return text

    def assert_serves(self, **options):
        """Others do not suffer: a webhook on a new connection is accepted."""
        with self.connect(**options) as connection:
            connection.send(self.webhook())
            assert connection.read_answer().status == 200

    def connect_from(self, address, **options):
        """From another address of this host."""
        return Connection(self.port, source=address, **options)

    # --- what it costs --------------------------------------------------------

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as f:
            for line in f:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name}")

    def rss(self):
        return self._status("VmRSS")

    def peak_rss(self):
        return self._status("VmHWM")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @contextlib.contextmanager
    def budget(self, cpu, rss):
        """What happens inside may cost so many seconds of the daemon's CPU time
        and at its peak so many bytes of memory above what it holds now. The
        figures are for the plain build: sanitizers make everything several
        times slower, and keep what was freed, so that memory says nothing
        there."""
        cpu *= SLOWDOWN
        cpu_before, rss_before = self.cpu_seconds(), self.rss()
        yield
        spent = self.cpu_seconds() - cpu_before
        grown = self.peak_rss() - rss_before
        print(f"CPU {spent:.2f} of {cpu:.2f} s, memory {grown / MIB:+.1f} of "
              f"{rss / MIB:.1f} MiB to {self.peak_rss() / MIB:.1f} MiB")
        assert spent <= cpu, f"{spent:.2f} s of CPU, not {cpu:.2f}"
        if not SANITIZED:
            assert grown <= rss, f"{grown} bytes more, not {rss}"


# What sanitizers cost: 2 to 4 times the CPU time, with TSan twice that.
SLOWDOWN = {"plain": 1, "asan": 5, "tsan": 10}[os.environ["HB_BUILD"]]


# --- peers --------------------------------------------------------------------

def is_gone(connection):
    """Whether the peer has dropped the connection: reset, or closed both ways.
    Nothing is read."""
    poll = select.poll()
    poll.register(connection.socket, 0)
    return bool(poll.poll(0))


def wait_gone(connection, timeout=20):
    wait_until(lambda: is_gone(connection), timeout, "the connection's end")


def wait_reset(connection, timeout=20):
    """The same for a peer that has finished sending long ago: it is asked by a
    byte now and then."""
    def is_reset():
        try:
            connection.send(b"x")
        except (ConnectionResetError, BrokenPipeError):
            return True
        return is_gone(connection)
    wait_until(is_reset, timeout, "the connection's end")


def pour(connection, data, most, patience=1.0):
    """Sends data over and over and reads nothing: until there are so many
    bytes, the peer has enough of it and resets the connection, or it takes
    nothing for so many seconds. Returns how many bytes went out."""
    sent, view = 0, memoryview(data)
    poll = select.poll()
    poll.register(connection.socket, select.POLLOUT)
    connection.socket.setblocking(False)
    try:
        while sent < most and poll.poll(patience * 1000):
            with contextlib.suppress(BlockingIOError):
                sent += connection.socket.send(view[sent % len(data):])
    except (ConnectionResetError, BrokenPipeError):
        pass
    finally:
        connection.socket.settimeout(20)
    return sent


def answers_in(connection, method="POST"):
    """The answers that have been received; they must be whole."""
    answers = []
    while connection.buffer:
        answers.append(connection.read_answer(method))
    return answers


def answers_to_end(connection, method="POST"):
    """All answers until the peer has finished."""
    connection.buffer = connection.read_to_end()
    return answers_in(connection, method)


def queues_of_peer(connection):
    """How many bytes the peer's socket holds: (not yet taken by us, not yet
    read by the peer); see proc_pid_net(5), tcp."""
    theirs, ours = (b":%04X" % name[1]
                    for name in (connection.socket.getpeername(),
                                 connection.socket.getsockname()))
    with open("/proc/net/tcp", "rb") as f:
        for line in f:
            if ours not in line:
                continue
            local, remote, _, queues = line.split()[1:5]
            if local.endswith(theirs) and remote.endswith(ours):
                sending, reading = queues.split(b":")
                return int(sending, 16), int(reading, 16)
    raise AssertionError("the connection is gone")


def has_read_all(connection):
    """Whether the peer has taken all that was sent from its socket."""
    return queues_of_peer(connection)[1] == 0


def stuff(connection, count):
    """Sends so many requests, more than a peer can answer whose answers nobody
    reads, and waits until it can go on no more."""
    connection.send(GET * count)
    wait_until(lambda: queues_of_peer(connection)[0] > 50_000, 20,
               "answers that wait")
