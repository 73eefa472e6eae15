# SPDX-License-Identifier: Apache-2.0
"""Who is let in: signatures by Svix's own library, tokens in five places,
addresses. And what a token never reaches: consumers, files, logs."""

import base64
import json
import time

import pytest

import hookbridge as rig
from events import member

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'
TOKEN = "token-0123456789-abcdefgh"
OLD = "token-9876543210-hgfedcba"


def config(outlets, **endpoint):
    return outlets.config(endpoints={"all": {"path": "/all", **endpoint}})


def check_refused(daemon, answer, reason):
    assert answer.status == 401
    assert set(answer.json()) == {"error", "detail"}
    assert daemon.wait_log("verify.failed", reason=reason)


# --- signatures ---------------------------------------------------------------

@pytest.mark.parametrize("prefix", ["svix", "webhook"])
def test_both_families_of_headers(hookbridge, outlets, prefix):
    daemon = hookbridge(config(outlets, mode="svix")).wait_up()
    assert daemon.post_signed("all", BODY, prefix=prefix).status == 200
    bad = daemon.signed_headers("all", BODY, prefix=prefix)
    check_refused(daemon, daemon.post("/all", BODY + b" ", bad),
                  "no_matching_signature")


def test_rotation(hookbridge, outlets):
    """Both secrets are good while both are configured, and it is counted which
    one the sender uses."""
    new, old, foreign = (rig.new_secret() for _ in range(3))
    daemon = hookbridge(
        config(outlets, mode="svix", secrets=["file:new", "file:old"]),
        files={"new": new, "old": old}).wait_up()
    for secret in (new, old, old):
        answer = daemon.post_signed("all", BODY, secret=secret)
        assert answer.status == 200
    check_refused(daemon, daemon.post_signed("all", BODY, secret=foreign),
                  "no_matching_signature")
    both = daemon.signed_headers("all", BODY, secret=old, webhook_id="msg_1")
    other = daemon.signed_headers("all", BODY, secret=foreign,
                                  webhook_id="msg_1")
    both["svix-signature"] = (other["svix-signature"] + " "
                              + both["svix-signature"])
    assert daemon.post("/all", BODY, both).status == 200
    assert daemon.terminate() == 0
    assert daemon.metric("verify_success_total", endpoint="all", key="0") == 1
    assert daemon.metric("verify_success_total", endpoint="all", key="1") == 3
    assert daemon.metric("verify_failures_total", endpoint="all") == 1


def test_tolerance(hookbridge, outlets):
    daemon = hookbridge(config(outlets, mode="svix", tolerance="60s")).wait_up()
    now = int(time.time())
    for shift in (-50, 50):
        assert daemon.post_signed("all", BODY,
                                  timestamp=now + shift).status == 200
    check_refused(daemon, daemon.post_signed("all", BODY, timestamp=now - 70),
                  "timestamp_too_old")
    check_refused(daemon, daemon.post_signed("all", BODY, timestamp=now + 70),
                  "timestamp_too_new")


def test_missing_and_repeated_headers(hookbridge, outlets):
    daemon = hookbridge(config(outlets, mode="svix")).wait_up()
    headers = daemon.signed_headers("all", BODY)
    for name in list(headers):
        fewer = {k: v for k, v in headers.items() if k != name}
        check_refused(daemon, daemon.post("/all", BODY, fewer),
                      "missing_header")
    with daemon.connect() as connection:
        lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        connection.send(
            f"POST /all HTTP/1.1\r\nHost: a\r\nContent-Length: {len(BODY)}\r\n"
            f"{lines}SVIX-ID: {headers['svix-id']}\r\n\r\n".encode() + BODY)
        assert connection.read_answer().status == 401


def test_signature_comes_before_json(hookbridge, outlets):
    """What is no JSON and not signed is not told that it is no JSON."""
    daemon = hookbridge(config(outlets, mode="svix")).wait_up()
    answers = [daemon.post("/all", body, {}) for body in (BODY, b"{", b"")]
    assert {a.status for a in answers} == {401}
    assert len({a.body for a in answers}) == 1


# --- tokens -------------------------------------------------------------------

def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def with_token(token):
    return json.dumps({"status": "Completed", "job_id": "job-1", "metadata": {
        "first": 1, "hook": {"token": token, "x": 2}, "last": 3}}).encode()


# where: (settings, request for a token)
PLACES = {
    "bearer": ({"token": {"in": "bearer"}},
               lambda t: ("/all", BODY, {"Authorization": f"Bearer {t}"})),
    "basic": ({"token": {"in": "basic", "user": "reducto"}},
              lambda t: ("/all", BODY, {"Authorization": basic("reducto", t)})),
    "query": ({"token": {"in": "query.key"}},
              lambda t: (f"/all?a=1&key={t}", BODY, {})),
    "path": ({"token": {"in": "path"}, "path": "/all/{token}/x"},
             lambda t: (f"/all/{t}/x", BODY, {})),
    "metadata": ({"token": {"in": "metadata.hook.token"}},
                 lambda t: ("/all", with_token(t), {})),
}


@pytest.mark.parametrize("place", PLACES)
def test_tokens(hookbridge, outlets, place):
    settings, request = PLACES[place]
    settings = {**settings, "token": {**settings["token"],
                                      "secret": ["file:new", "file:old"]}}
    conf = config(outlets, mode="direct", dedup=False, **settings)
    conf["routes"][0]["to"] += [outlets.to_redis(
        stream=outlets.name + "-raw", format="raw")]
    conf["log"] = {"level": "debug"}
    daemon = hookbridge(conf, files={"new": TOKEN + "\n", "old": OLD}).wait_up()
    for token in (TOKEN, OLD):
        assert daemon.post(*request(token)).status == 200, place
    for wrong in (TOKEN + "x", TOKEN[:-1], "x", OLD.upper()):
        assert daemon.post(*request(wrong)).status == 401, (place, wrong)
    messages = outlets.messages(2)
    raw = outlets.redis_messages(2, stream=outlets.name + "-raw")
    for message in sum(messages.values(), raw):
        said = message.value + b"".join(
            v if isinstance(v, bytes) else str(v).encode()
            for v in message.headers.values())
        assert TOKEN.encode() not in said and OLD.encode() not in said
    if place == "metadata":
        assert member(messages["kafka"][0].value.decode(), "metadata") == \
            '{"first": 1, "hook": {"x": 2}, "last": 3}'
        assert json.loads(raw[0].value)["metadata"]["hook"] == {"x": 2}
    assert daemon.terminate() == 0
    for token in (TOKEN, OLD, TOKEN[:-1], basic("reducto", TOKEN)[6:]):
        assert token not in daemon.log()
    assert daemon.metric("verify_failures_total", endpoint="all") == 4


def test_tokens_that_are_not_there(hookbridge, outlets):
    daemon = hookbridge(
        config(outlets, mode="direct",
               token={"in": "metadata.hook.token", "secret": "file:t"}),
        files={"t": TOKEN}).wait_up()
    for body in (BODY, b"", b"{", b"[]", with_token(7), with_token(None),
                 with_token(TOKEN)[:-1],
                 with_token(TOKEN).replace(b'"x"', b'"tok\\u0065n"'),
                 with_token(TOKEN).replace(b'"last"', b'"hook"')):
        assert daemon.post("/all", body).status == 401, body
    answer = daemon.post("/all", with_token(TOKEN))
    assert answer.json()["outcome"] == "confirmed"


def test_a_signature_does_not_help_a_direct_endpoint(hookbridge, outlets):
    """And a token does not help a signed one."""
    conf = outlets.config(endpoints={
        "signed": {"path": "/signed", "mode": "svix"},
        "direct": {"path": "/direct", "mode": "direct",
                   "token": {"in": "bearer", "secret": "file:t"}}})
    daemon = hookbridge(conf, files={"t": TOKEN}).wait_up()
    signed = daemon.signed_headers("signed", BODY)
    token = {"Authorization": f"Bearer {TOKEN}"}
    assert daemon.post("/direct", BODY, signed).status == 401
    assert daemon.post("/signed", BODY, token).status == 401
    assert daemon.post("/direct", BODY, token).status == 200
    assert daemon.post("/signed", BODY, signed).status == 200


# --- addresses and modes ------------------------------------------------------

def test_addresses(hookbridge, outlets):
    conf = outlets.config(endpoints={
        "here": {"path": "/here", "mode": "svix",
                 "allow": ["127.0.0.0/8", "2001:db8::/32"]},
        "there": {"path": "/there", "mode": "svix", "allow": "203.0.113.0/24"}})
    daemon = hookbridge(conf).wait_up()
    assert daemon.post_signed("here", BODY).status == 200
    check_refused(daemon, daemon.post_signed("there", BODY), "address")


def test_disabled_is_as_if_it_did_not_exist(hookbridge, outlets):
    conf = outlets.config(endpoints={
        "on": {"path": "/on", "mode": "svix"},
        "off": {"path": "/off", "mode": "disabled"},
        "default": {"path": "/default"}})
    daemon = hookbridge(conf).wait_up()
    answers = [daemon.post(path, BODY) for path in
               ("/off", "/default", "/never", "/on/", "/ON")]
    assert {a.status for a in answers} == {404}
    assert len({a.body for a in answers}) == 1
