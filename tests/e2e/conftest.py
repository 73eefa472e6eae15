# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a real Kafka broker and a real Redis server for the session, others
that a test may break, and the daemon.

Set by tests/run: HB_DAEMON, the program under test; HB_KAFKA, a directory with
the broker's jars; HB_KAFKA_MOCK, the program of tests/rig; HB_BUILD, plain or
the sanitizers' name; HB_TESTS, this directory's parent.
"""

import itertools
import os
import re

import pytest

from events import Outlets
from hookbridge import Hookbridge
from kafka import KafkaBroker, KafkaMock
from rawhttp import Front
from redis_server import RedisServer

_numbers = itertools.count(1)


def _stop(process):
    try:
        process.stop()
    finally:
        process.kill()


def _fixture(scope, make):
    """A server that lives as long as the scope."""
    def server(tmp_path_factory):
        process = make(tmp_path_factory)
        try:
            yield process.start()
        finally:
            _stop(process)
    return pytest.fixture(scope=scope)(server)


def _make_kafka(tmp_path_factory):
    return KafkaBroker(tmp_path_factory.mktemp("kafka"),
                       os.environ["HB_KAFKA"])


def _make_redis(tmp_path_factory):
    return RedisServer(tmp_path_factory.mktemp("redis"))


# Shared by the session: leave them running and whole.
kafka = _fixture("session", _make_kafka)
redis_server = _fixture("session", _make_redis)
breakable_kafka = _fixture("session", _make_kafka)
# The test's own: stop, kill, pause and start them as you like.
own_redis = _fixture("function", _make_redis)
kafka_mock = _fixture("function", lambda tmp_path_factory: KafkaMock(
    tmp_path_factory.mktemp("kafka_mock"), os.environ["HB_KAFKA_MOCK"]))


@pytest.fixture
def own_kafka(breakable_kafka):
    """The test's own while it runs; it takes long to start, so that one serves
    all who break it."""
    yield breakable_kafka
    if breakable_kafka.is_running():
        breakable_kafka.resume()
    else:
        breakable_kafka.start()


@pytest.fixture
def unique(request):
    """A name that no other test uses, good for topics and streams."""
    return "%s-%d" % (re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60],
                      next(_numbers))


@pytest.fixture
def outlets(kafka, redis_server, unique, tmp_path):
    """Destinations of the test's own in every kind of sink, see Outlets."""
    return Outlets(kafka, redis_server, unique, tmp_path)


def _finish(daemons):
    """Every one must end well, or the test fails."""
    failures = []
    for daemon in reversed(daemons):
        try:
            daemon.finish()
        except Exception as failure:  # the others must end, too
            failures.append(failure)
        finally:
            daemon.kill()
    if failures:
        raise failures[0]


@pytest.fixture
def hookbridge(tmp_path, request):
    """hookbridge(config, ...) starts a daemon, see Hookbridge; start=False only
    prepares it."""
    daemons = []

    def make(config, start=True, **options):
        daemon = Hookbridge(tmp_path / f"hookbridge-{len(daemons)}", config,
                            **options)
        daemons.append(daemon)
        if start:
            daemon.start()
        return daemon

    yield make
    _finish(daemons)


@pytest.fixture
def open_front(tmp_path):
    """open_front(http=…, …) starts a daemon for raw requests, see Front."""
    daemons = []

    def make(**options):
        daemon = Front(tmp_path / f"front-{len(daemons)}", **options)
        daemons.append(daemon)
        daemon.start().wait_up().assert_serves()
        return daemon

    yield make
    _finish(daemons)


@pytest.fixture
def samples():
    """samples("01-parse-completed-inline.json"): the bytes of a real webhook."""
    directory = os.path.join(os.path.dirname(__file__), "../samples")

    def read(name):
        with open(os.path.join(directory, name), "rb") as f:
            return f.read()
    return read


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its daemons said last."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed or "tmp_path" not in getattr(item, "funcargs", {}):
        return
    for path in sorted(item.funcargs["tmp_path"].glob("*/*.log")):
        tail = path.read_text(errors="replace").splitlines()[-60:]
        report.sections.append((str(path), "\n".join(tail)))
