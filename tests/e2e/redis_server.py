# SPDX-License-Identifier: Apache-2.0
"""A real Redis server, and a client that is not ours to look into it."""

import os
import shutil

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from process import Process, free_port, wait_until


def _program(directory):
    """redis-server: in Debian the package redis-tools holds the same program
    under another name, and starts no server of the system's."""
    found = shutil.which("redis-server")
    if found is None:
        other = shutil.which("redis-check-rdb")
        if other is None:
            raise RuntimeError("no Redis server: apt-get install redis-tools")
        found = os.path.join(directory, "redis-server")
        if not os.path.islink(found):
            os.symlink(other, found)
    return found


class RedisServer(Process):
    """stop(), kill() and pause() it, start() it again with the same port; what
    it holds is synced with every write, so nothing acknowledged is lost."""

    def __init__(self, directory, *options):
        super().__init__("redis", str(directory))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"redis://{self.address}/0"
        self.options = options

    def start(self):
        self.spawn([_program(self.directory), "--bind", "127.0.0.1",
                    "--port", str(self.port), "--dir", self.directory,
                    "--save", "", "--appendonly", "yes",
                    "--appendfsync", "always", *self.options])
        self.wait_ready(self._answers)
        return self

    def _answers(self):
        try:
            return self.client().ping()
        except redis.AuthenticationError:
            return True  # the test has set a password
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def client(self, **options):
        """Replies as bytes: tests compare what was sent. No patience: they
        wait themselves where they have to."""
        options.setdefault("retry", Retry(NoBackoff(), 0))
        options.setdefault("socket_timeout", 20)
        return redis.Redis(host="127.0.0.1", port=self.port, **options)

    def entries(self, stream, count=0, timeout=30):
        """All entries of a stream as (id, {field: value}), bytes. With count,
        waits until there are that many."""
        client = self.client()
        if count:
            wait_until(lambda: client.xlen(stream) >= count, timeout,
                       f"stream {stream} with {count} entries")
        return client.xrange(stream)
