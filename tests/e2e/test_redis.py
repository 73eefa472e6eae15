# SPDX-License-Identifier: Apache-2.0
"""Redis' own troubles: logins, a server that goes, hangs, is full, has become a
replica; what may not be written where; trimming, once-only adds, replicas."""

import time

import pytest

from events import of_redis
from load import ids_of
from process import Process, accepts, free_port, wait_until
from redis_server import RedisServer

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def config(server, stream="s", sink=None, **target):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": server.url,
                            **(sink or {})}},
            "routes": [{"to": [{"sink": "r", "stream": stream, **target}]}]}


@pytest.fixture
def server(tmp_path):
    """server(*options): another Redis server of the test's own."""
    servers = []

    def make(*options):
        made = RedisServer(tmp_path / f"redis-{len(servers)}", *options)
        servers.append(made)
        return made.start()
    yield make
    for made in servers:
        made.kill()


def until(daemon, code, timeout=30, **options):
    def answered():
        answer = daemon.post_signed("all", BODY, **options)
        assert answer.status in (200, 503), answer
        return answer.status == code and answer
    return wait_until(answered, timeout, f"a {code}")


# --- logins -------------------------------------------------------------------

def test_password(hookbridge, server):
    own = server("--requirepass", "a secret phrase")
    daemon = hookbridge(config(own, sink={"password": "file:password"}),
                        files={"password": "a secret phrase\n"}).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert own.client(password="a secret phrase").xlen("s") == 1
    assert "a secret phrase" not in daemon.log()


def test_wrong_password(hookbridge, server):
    """No reason to exit: it says so, and works once the password is right."""
    own = server("--requirepass", "right")
    daemon = hookbridge(config(own, sink={"password": "file:password"}),
                        files={"password": "wrong-phrase\n"})
    wait_until(lambda: [r for r in daemon.log_records("sink.down", sink="r")
                        if "password" in r["reason"]], 10, "the reason")
    assert daemon.post_signed("all", BODY).status == 503
    assert "wrong-phrase" not in daemon.log()
    own.client(password="right").config_set("requirepass", "wrong-phrase")
    until(daemon, 200)


def test_a_password_is_missing(hookbridge, server):
    own = server("--requirepass", "right")
    daemon = hookbridge(config(own))
    wait_until(lambda: [r for r in daemon.log_records("sink.down", sink="r")
                        if "password" in r["reason"]], 10, "the reason")
    assert daemon.post_signed("all", BODY).status == 503


def test_user_and_database(hookbridge, own_redis):
    """The least rights that suffice, in database 3."""
    own_redis.client().acl_setuser(
        "bridge", enabled=True, passwords=["+phrase"],
        commands=["+xadd", "+ping", "+select", "+client|setname", "+role",
                  "+client"],
        keys=["s"], reset=True)
    made = config(own_redis, sink={"password": "file:password"})
    made["sinks"]["r"]["url"] = f"redis://bridge@{own_redis.address}/3"
    daemon = hookbridge(made, files={"password": "phrase\n"}).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert own_redis.client(db=3).xlen("s") == 1
    assert own_redis.client(db=0).xlen("s") == 0


def test_no_permission_for_a_stream(hookbridge, own_redis):
    """It stops alone; others of the sink go on."""
    client = own_redis.client()
    client.acl_setuser("bridge", enabled=True, passwords=["+phrase"],
                       categories=["+@all"], keys=["s"], reset=True)
    made = config(own_redis, sink={"password": "file:password"})
    made["sinks"]["r"]["url"] = f"redis://bridge@{own_redis.address}/0"
    made["routes"].insert(0, {
        "when": {"metadata.to": "t"}, "final": True,
        "to": [{"sink": "r", "stream": "t"}]})
    daemon = hookbridge(made, files={"password": "phrase\n"}).wait_up()
    there = {"job_id": "a", "metadata": {"to": "t"}}
    assert daemon.post_signed("all", there, webhook_id="m").status == 503
    daemon.wait_log("destination.down", sink="r", dst="t")
    assert daemon.post_signed("all", BODY).status == 200
    assert not daemon.log_contains("dead.added")
    client.acl_setuser("bridge", enabled=True, passwords=["+phrase"],
                       categories=["+@all"], keys=["s", "t"], reset=True)
    wait_until(lambda: daemon.post_signed(
        "all", there, webhook_id="m").status == 200, 30, "a 200")
    assert client.xlen("t") == 1


def test_the_name_is_taken(hookbridge, own_redis):
    """A key of another type: not the event's fault, so never a dead letter."""
    client = own_redis.client()
    client.set("s", "no stream")
    daemon = hookbridge(config(own_redis)).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    daemon.wait_log("destination.down", sink="r", dst="s")
    client.delete("s")
    until(daemon, 200, webhook_id="m")
    assert client.xlen("s") == 1


# --- the server ---------------------------------------------------------------

def test_restart(hookbridge, own_redis):
    daemon = hookbridge(config(own_redis)).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="before").status == 200
    own_redis.kill()
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="while").status == 503
    assert time.monotonic() - begun < 1
    own_redis.start()
    until(daemon, 200, webhook_id="while")
    ids, twice = ids_of(map(of_redis, own_redis.entries("s")))
    assert (ids, twice) == ({"before", "while"}, 0)


def test_it_comes_later(hookbridge, own_redis):
    own_redis.stop()
    daemon = hookbridge(config(own_redis))
    daemon.wait_log("sink.down", sink="r")
    assert daemon.post_signed("all", BODY).status == 503
    own_redis.start()
    until(daemon, 200)


@pytest.mark.threads
def test_it_hangs(hookbridge, own_redis):
    """503 in time; later it is known to be down, and 503 comes at once. What
    hung was written in the end, the retry carries the same id."""
    daemon = hookbridge(config(own_redis)).wait_up()
    own_redis.pause()
    begun = time.monotonic()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    assert 1.5 < time.monotonic() - begun < 4  # the sink's timeout is 2 s
    own_redis.resume()
    until(daemon, 200, webhook_id="m")
    ids, _ = ids_of(map(of_redis, own_redis.entries("s")))
    assert ids == {"m"}


@pytest.mark.threads
def test_it_hangs_for_long(hookbridge, own_redis):
    """A connection whose oldest command is 10 s late is given up."""
    daemon = hookbridge(config(own_redis, sink={"timeout": "1s"})).wait_up()
    own_redis.pause()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    daemon.wait_log("sink.down", 20, sink="r")
    wait_until(lambda: len(daemon.log_records("sink.down", sink="r")) > 1,
               20, "the connection given up")
    begun = time.monotonic()
    daemon.post_signed("all", BODY, webhook_id="n")
    assert time.monotonic() - begun < 4
    own_redis.resume()
    until(daemon, 200, webhook_id="m")
    until(daemon, 200, webhook_id="n")


def test_memory_is_full(hookbridge, own_redis):
    """OOM: nothing was written; wait for better times."""
    client = own_redis.client()
    daemon = hookbridge(config(own_redis)).wait_up()
    client.config_set("maxmemory", 1)
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    daemon.wait_log("delivery.failed", sink="r")
    assert client.xlen("s") == 0
    client.config_set("maxmemory", 0)
    until(daemon, 200, webhook_id="m")
    assert client.xlen("s") == 1


def test_it_has_become_a_replica(hookbridge, own_redis, server):
    """READONLY on a connection that is kept: nothing was written."""
    master = server()
    daemon = hookbridge(config(own_redis)).wait_up()
    client = own_redis.client()
    client.replicaof("127.0.0.1", master.port)
    until(daemon, 503, webhook_id="m0")
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    client.replicaof("no", "one")
    until(daemon, 200, webhook_id="m")
    ids, twice = ids_of(map(of_redis, own_redis.entries("s")))
    assert "m" in ids and twice == 0


def test_persistence_fails(hookbridge, own_redis):
    """MISCONF and its like speak of the server, not of the event."""
    client = own_redis.client()
    client.config_set("min-replicas-to-write", 1)
    daemon = hookbridge(config(own_redis)).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    assert client.xlen("s") == 0
    client.config_set("min-replicas-to-write", 0)
    until(daemon, 200, webhook_id="m")


# --- settings of a destination ------------------------------------------------

def test_maxlen(hookbridge, own_redis):
    """Trimmed roughly, by whole nodes of 100 entries."""
    daemon = hookbridge(config(own_redis, maxlen=50)).wait_up()
    for n in range(300):
        assert daemon.post_signed("all", BODY, webhook_id=f"m{n}").status == 200
    entries = own_redis.entries("s")
    assert 50 <= len(entries) < 300
    assert of_redis(entries[-1]).headers["ce_id"] == b"m299"


def test_idempotent(hookbridge, own_redis):
    """A retry of what was written without a confirmation adds nothing, even
    after the daemon has forgotten it."""
    daemon = hookbridge(config(own_redis, idempotent="1h")).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 200
    daemon.restart()
    daemon.wait_up()
    answer = daemon.post_signed("all", BODY, webhook_id="m")
    assert answer.json() == {"id": "m", "outcome": "confirmed"}
    assert daemon.post_signed("all", BODY, webhook_id="n").status == 200
    own_redis.client().script_flush()  # NOSCRIPT is answered by EVAL
    assert daemon.post_signed("all", BODY, webhook_id="o").status == 200
    ids, twice = ids_of(map(of_redis, own_redis.entries("s")))
    assert (ids, twice) == ({"m", "n", "o"}, 0)
    keys = [k for k in own_redis.client().keys("hb:dedup:*")]
    assert len(keys) == 3
    assert all(3500 < own_redis.client().ttl(k) <= 3600 for k in keys)


@pytest.mark.threads
def test_idempotent_after_a_hang(hookbridge, own_redis):
    daemon = hookbridge(config(
        own_redis, sink={"timeout": "500ms"}, idempotent="1h")).wait_up()
    assert daemon.post_signed("all", BODY, webhook_id="first").status == 200
    own_redis.pause()
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    own_redis.resume()
    until(daemon, 200, webhook_id="m")
    ids, twice = ids_of(map(of_redis, own_redis.entries("s")))
    assert (ids, twice) == ({"first", "m"}, 0)


def test_wait_for_a_replica(hookbridge, own_redis, server):
    """Confirmed is what a replica has, too."""
    made = config(own_redis, sink={
        "wait": {"replicas": 1, "timeout": "500ms"}})
    daemon = hookbridge(made).wait_up()
    # There is none: written, but not confirmed.
    assert daemon.post_signed("all", BODY, webhook_id="m").status == 503
    replica = server("--replicaof", "127.0.0.1", str(own_redis.port))
    wait_until(lambda: replica.client().info("replication")[
        "master_link_status"] == "up", 20, "the replica")
    until(daemon, 200, webhook_id="n")
    assert b"n" in {of_redis(e).headers["ce_id"]
                    for e in replica.entries("s")}
    replica.pause()
    assert daemon.post_signed("all", BODY, webhook_id="o").status == 503
    replica.resume()
    until(daemon, 200, webhook_id="o")


def test_by_unix_socket(hookbridge, server, tmp_path):
    own = server("--unixsocket", str(tmp_path / "redis.sock"))
    made = config(own)
    made["sinks"]["r"]["url"] = f"unix:{tmp_path}/redis.sock"
    daemon = hookbridge(made).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert own.client().xlen("s") == 1


def test_it_is_no_redis(hookbridge, tmp_path):
    """A server that speaks something else is down, and says nothing to us."""
    port = free_port()
    other = Process("other", str(tmp_path))
    other.spawn(["python3", "-m", "http.server", "--bind", "127.0.0.1",
                 str(port)])
    try:
        other.wait_ready(lambda: accepts(port))
        daemon = hookbridge({
            "endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis",
                            "url": f"redis://127.0.0.1:{port}"}},
            "routes": [{"to": [{"sink": "r", "stream": "s"}]}]})
        wait_until(lambda: len(daemon.log_records(
            "sink.down", sink="r")) > 1, 10, "a reason")
        assert not daemon.log_contains("sink.up")
        assert daemon.post_signed("all", BODY).status == 503
    finally:
        other.kill()
