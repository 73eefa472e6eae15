# SPDX-License-Identifier: Apache-2.0
"""A wire that can be cut: forwards TCP connections to a port, until it is told
to lose one at the worst moment."""

import socket
import threading

_WRITES = (b"XADD", b"EVALSHA", b"EVAL")


class CutProxy:
    """cut_next("before"): the next command that adds to a stream is not passed
    on; cut_next("after"): it is, and its reply is not. Either way both sides
    lose the connection. Once."""

    def __init__(self, port):
        self._target = port
        self._moment = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._listener.close()

    def cut_next(self, moment):
        self._moment = moment

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            wire = _Wire(self, client, server)
            for pump in (wire.commands, wire.replies):
                threading.Thread(target=pump, daemon=True).start()

    def take_moment(self, data):
        """The moment, if it has come; it comes once."""
        if self._moment is None or not any(w in data for w in _WRITES):
            return None
        moment, self._moment = self._moment, None
        return moment


class _Wire:
    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server
        self.swallows = False

    def cut(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def commands(self):
        try:
            while data := self.client.recv(65536):
                moment = self.proxy.take_moment(data)
                if moment == "before":
                    break
                self.swallows = moment == "after"
                self.server.sendall(data)
        except OSError:
            pass
        if not self.swallows:
            self.cut()

    def replies(self):
        try:
            while data := self.server.recv(65536):
                if self.swallows:
                    break
                self.client.sendall(data)
        except OSError:
            pass
        self.cut()
