# SPDX-License-Identifier: Apache-2.0
"""The Redis sink as its users meet it: users, databases, limits, and a server
that goes away, hangs, fills up or becomes a replica."""

import time

import pytest

from redis_server import RedisServer

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'


def config(url, sink=None, stream="s", **target):
    return {"endpoints": {"all": {"path": "/all", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": url, **(sink or {})}},
            "routes": [{"to": [{"sink": "r", "stream": stream, **target}]}]}


def post_until(daemon, status, timeout=30):
    """Posts new webhooks until one is answered so; the others with 503."""
    deadline = time.monotonic() + timeout
    while True:
        answer = daemon.post_signed("all", BODY)
        if answer.status == status:
            return answer
        assert answer.status == 503, answer
        assert time.monotonic() < deadline, "no such answer in time"
        time.sleep(0.05)


# --- logging in ---------------------------------------------------------------

def test_password(hookbridge, own_redis):
    own_redis.client().config_set("requirepass", "s3cret word")
    daemon = hookbridge(
        config(own_redis.url, {"password": "file:redis.password"}),
        files={"redis.password": "s3cret word\n"}).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert own_redis.client(password="s3cret word").xlen("s") == 1
    assert "s3cret" not in daemon.log()


def test_acl_user_with_the_least_rights(hookbridge, own_redis):
    """What the documentation says is enough, and nothing more."""
    own_redis.client().acl_setuser(
        "hook", enabled=True, passwords=["+pw"], keys=["s"],
        commands=["+xadd", "+ping", "+client|setname", "+role", "+select"])
    url = f"redis://hook@{own_redis.address}/0"
    daemon = hookbridge(config(url, {"password": "env:REDIS_PASSWORD"}),
                        env={"REDIS_PASSWORD": "pw"}).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert len(own_redis.entries("s")) == 1


def test_wrong_password(hookbridge, own_redis):
    """Said, not fatal, and mended without a restart."""
    own_redis.client().config_set("requirepass", "right")
    daemon = hookbridge(
        config(own_redis.url, {"password": "file:redis.password"}),
        files={"redis.password": "wrong\n"})
    daemon.wait_log("sink.down", sink="r")
    assert daemon.post_signed("all", BODY).status == 503
    own_redis.client(password="right").config_set("requirepass", "wrong")
    post_until(daemon, 200)


def test_database(hookbridge, own_redis):
    daemon = hookbridge(config(f"redis://{own_redis.address}/5")).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    assert own_redis.client(db=5).xlen("s") == 1
    assert own_redis.client(db=0).xlen("s") == 0


def test_unix_socket(hookbridge, tmp_path):
    path = str(tmp_path / "redis.sock")
    server = RedisServer(tmp_path / "redis", "--unixsocket", path).start()
    try:
        daemon = hookbridge(config(f"unix:{path}")).wait_up()
        assert daemon.post_signed("all", BODY).status == 200
        assert len(server.entries("s")) == 1
    finally:
        server.kill()


# --- what is added ------------------------------------------------------------

def test_maxlen(hookbridge, own_redis):
    daemon = hookbridge(config(own_redis.url, maxlen=10)).wait_up()
    for _ in range(300):
        assert daemon.post_signed("all", BODY).status == 200
    # Whole nodes go, so there may be some more.
    assert 10 <= own_redis.client().xlen("s") < 250


@pytest.mark.threads
def test_idempotent(hookbridge, own_redis):
    """Its answer lost and the webhook sent again: one entry. The daemon has
    forgotten it, Redis has not."""
    daemon = hookbridge(config(own_redis.url, idempotent="1h")).wait_up()
    headers = daemon.signed_headers("all", BODY, webhook_id="msg_1")
    for _ in range(3):
        answer = daemon.post("/all", BODY, headers)
        assert answer.json()["outcome"] == "confirmed"
        daemon.kill9()
        daemon.start().wait_up()
    own_redis.client().script_flush()
    assert daemon.post("/all", BODY, headers).status == 200
    assert len(own_redis.entries("s")) == 1
    assert daemon.post_signed("all", BODY, webhook_id="msg_2").status == 200
    assert len(own_redis.entries("s")) == 2


def test_wait_for_a_replica(hookbridge, own_redis, tmp_path):
    daemon = hookbridge(config(own_redis.url, {
        "wait": {"replicas": 1, "timeout": "500ms"}})).wait_up()
    assert daemon.post_signed("all", BODY).status == 503  # there is none
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1",
                          str(own_redis.port), "--repl-diskless-sync-delay",
                          "0").start()
    try:
        post_until(daemon, 200)
        assert replica.client().xlen("s") >= 1
    finally:
        replica.kill()


# --- a server in trouble ------------------------------------------------------

@pytest.mark.threads
def test_server_restarts(hookbridge, own_redis):
    daemon = hookbridge(config(own_redis.url)).wait_up()
    assert daemon.post_signed("all", BODY).status == 200
    own_redis.kill()
    assert daemon.post_signed("all", BODY).status == 503
    daemon.wait_log("sink.down", sink="r")
    own_redis.start()
    began = time.monotonic()
    post_until(daemon, 200)
    assert time.monotonic() - began < 6  # a pause of at most 2 s


def test_starts_without_a_server(hookbridge, own_redis):
    own_redis.stop()
    daemon = hookbridge(config(own_redis.url))
    assert daemon.post_signed("all", BODY).status == 503
    own_redis.start()
    post_until(daemon, 200)


@pytest.mark.threads
def test_server_hangs(hookbridge, own_redis):
    """Connected and silent: answered in time, and what was written all the same
    is known when the server wakes."""
    daemon = hookbridge(config(own_redis.url)).wait_up()
    headers = daemon.signed_headers("all", BODY, webhook_id="msg_1")
    own_redis.pause()
    began = time.monotonic()
    assert daemon.post("/all", BODY, headers).status == 503
    assert time.monotonic() - began < 5
    own_redis.resume()
    post_until(daemon, 200)
    assert daemon.post("/all", BODY, headers).status == 200


def test_out_of_memory(hookbridge, own_redis):
    daemon = hookbridge(config(own_redis.url)).wait_up()
    client = own_redis.client()
    client.config_set("maxmemory", 1)
    assert daemon.post_signed("all", BODY).status == 503
    client.config_set("maxmemory", 0)
    post_until(daemon, 200)


def test_demoted_to_a_replica(hookbridge, own_redis, redis_server):
    daemon = hookbridge(config(own_redis.url)).wait_up()
    client = own_redis.client()
    client.replicaof("127.0.0.1", redis_server.port)
    assert daemon.post_signed("all", BODY).status == 503
    client.replicaof("NO", "ONE")
    post_until(daemon, 200)


def test_refused_stream_stops_itself_alone(hookbridge, own_redis):
    """WRONGTYPE and NOPERM are about one stream."""
    client = own_redis.client()
    client.set("taken", "a string")
    conf = config(own_redis.url)
    conf["routes"] = [
        {"when": {"status": "failed"},
         "to": [{"sink": "r", "stream": "taken"}]},
        {"default": True, "to": [{"sink": "r", "stream": "s"}]}]
    daemon = hookbridge(conf).wait_up()
    failed = b'{"status":"Failed","job_id":"job-1"}'
    assert daemon.post_signed("all", failed).status == 503
    for _ in range(5):
        assert daemon.post_signed("all", BODY).status == 200
    client.delete("taken")
    deadline = time.monotonic() + 20
    while daemon.post_signed("all", failed).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.xlen("taken") == 1
