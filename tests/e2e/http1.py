# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 by hand, so that tests can send what no library would."""

import json
import select
import socket


class Answer:
    """One response; header names in lower case."""

    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<Answer {self.status} {self.headers} {self.body!r}>"


class Connection:
    """A TCP connection: bytes out, answers in."""

    def __init__(self, port, host="127.0.0.1", timeout=20, source=None):
        """source: the client's own address."""
        self.socket = socket.create_connection(
            (host, port), timeout=timeout,
            source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_bytewise(self, data):
        for i in range(len(data)):
            self.socket.sendall(data[i:i + 1])

    def finish_sending(self):
        """A FIN; answers can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               b"\1\0\0\0\0\0\0\0")
        self.close()

    def _receive(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return data

    def _read_until(self, mark):
        while mark not in self.buffer:
            if not self._receive():
                raise ConnectionError(f"closed after {self.buffer!r}")
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def _read_exactly(self, length):
        while len(self.buffer) < length:
            if not self._receive():
                raise ConnectionError(
                    f"closed after {len(self.buffer)} of {length} bytes")
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data

    def read_answer(self, method="POST"):
        """The next answer, interim ones (100) included."""
        head = self._read_until(b"\r\n\r\n").decode("latin-1")
        first, *lines = head.split("\r\n")
        version, status, reason = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        headers = {}
        for line in lines:
            name, value = line.split(":", 1)
            assert name.lower() not in headers, f"{name} twice: {head}"
            headers[name.lower()] = value.strip()
        assert "transfer-encoding" not in headers, head
        length = int(headers.get("content-length", 0))
        if method == "HEAD" or int(status) < 200 or int(status) in (204, 304):
            length = 0
        return Answer(int(status), reason, headers, self._read_exactly(length))

    def read_to_end(self):
        """Everything until the peer closes."""
        while self._receive():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def has_answer(self):
        """Whether anything waits to be read."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(self.buffer or poll.poll(0))

    def is_closed(self, timeout=20):
        """Whether the peer closes within timeout, saying nothing more."""
        before = self.socket.gettimeout()
        self.socket.settimeout(timeout)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self.socket.settimeout(before)

    def request(self, method, target, body=b"", headers=()):
        """One request with a Content-Length, and its answer."""
        self.send(request_bytes(method, target, body, headers))
        return self.read_answer(method)


def request_bytes(method, target, body=b"", headers=()):
    pairs = headers.items() if hasattr(headers, "items") else headers
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in pairs]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
