# SPDX-License-Identifier: Apache-2.0
"""Who gets in: signatures as Svix' own library makes them, published vectors,
tokens in all places. And that no secret leaves by any door."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

import pytest

import hookbridge as rig
from events import file_lines
from http1 import request_bytes

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'
TOKEN = "tok-5up3r-s3cret-0123456789"
OTHER = "tok-another-one-0123456789abc"


@pytest.fixture
def files_only(tmp_path):
    """A configuration with these endpoints and files as the only sinks."""
    def make(**endpoints):
        return {"endpoints": endpoints,
                "sinks": {"out": {"type": "file",
                                  "path": str(tmp_path / "events")},
                          "dead": {"type": "file",
                                   "path": str(tmp_path / "dead")}},
                "routes": [{"to": [{"sink": "out"}]}],
                "dead_letter": {"sink": "dead"}}
    return make


def post_raw(daemon, target, body, headers):
    """headers: pairs, so that names can be repeated."""
    with daemon.connect() as connection:
        return connection.request("POST", target, body, headers)


# --- signatures ---------------------------------------------------------------

@pytest.mark.parametrize("prefix", ["svix", "webhook"])
def test_both_header_families(hookbridge, files_only, prefix):
    daemon = hookbridge(files_only(all={"path": "/all", "mode": "svix"}))
    answer = daemon.post_signed("all", BODY, prefix=prefix, webhook_id="m")
    assert answer.json() == {"id": "m", "outcome": "confirmed"}
    # Names are not case-sensitive, and svix-* goes first when it is complete.
    good = daemon.signed_headers("all", BODY, prefix=prefix, webhook_id="n")
    upper = [(name.upper(), value) for name, value in good.items()]
    assert post_raw(daemon, "/all", BODY, upper).status == 200
    bad = daemon.signed_headers("all", BODY, prefix="svix",
                                secret=rig.new_secret())
    both = {**good, **bad}
    assert post_raw(daemon, "/all", BODY, both).status == 401


def test_rotation(hookbridge, files_only):
    """Both keys are good; the counter tells which is still in use."""
    old, new = rig.new_secret(), rig.new_secret()
    daemon = hookbridge(
        files_only(all={"path": "/all", "mode": "svix",
                        "secrets": ["file:new", "file:old"]}),
        files={"old": old + "\n", "new": new + "\n"})
    for secret in (old, new, new):
        assert daemon.post_signed("all", BODY, secret=secret).status == 200
    # While the sender rotates it signs with all its keys.
    one = daemon.signed_headers("all", BODY, secret=old, webhook_id="m")
    for signatures in (
            ["v1," + "A" * 43 + "=", one["svix-signature"]],
            ["v9,x", "junk", one["svix-signature"], "v1a,AAAA"],
            ["v1," + "A" * 43 + "="] * 10 + [one["svix-signature"]]):
        headers = {**one, "svix-signature": " ".join(signatures)}
        assert daemon.post("/all", BODY, headers).status == 200
    # 16 entries are read, not more.
    headers["svix-signature"] = " ".join(
        ["v1," + "A" * 43 + "="] * 16 + [one["svix-signature"]])
    assert daemon.post("/all", BODY, headers).status == 401
    assert daemon.terminate() == 0
    assert daemon.metric("verify_success_total", endpoint="all", key="0") == 2
    assert daemon.metric("verify_success_total", endpoint="all", key="1") == 4


@pytest.mark.parametrize("offset, code", [
    (0, 200), (-290, 200), (290, 200), (-310, 401), (310, 401),
    (-86400, 401), (86400 * 365, 401)])
def test_tolerance(hookbridge, files_only, offset, code):
    daemon = hookbridge(files_only(all={"path": "/all", "mode": "svix"}))
    answer = daemon.post_signed("all", BODY,
                                timestamp=int(time.time()) + offset)
    assert answer.status == code


def test_narrow_tolerance(hookbridge, files_only):
    daemon = hookbridge(files_only(
        all={"path": "/all", "mode": "svix", "tolerance": "10s"}))
    now = int(time.time())
    assert daemon.post_signed("all", BODY, timestamp=now - 5).status == 200
    assert daemon.post_signed("all", BODY, timestamp=now - 15).status == 401


def test_age_counts_at_the_last_byte(hookbridge, files_only):
    """A body that is held back does not keep its signature young."""
    daemon = hookbridge(files_only(
        all={"path": "/all", "mode": "svix", "tolerance": "2s"}))
    headers = daemon.signed_headers("all", BODY)
    with daemon.connect() as connection:
        request = request_bytes("POST", "/all", BODY, headers)
        connection.send(request[:-1])
        time.sleep(4.1)  # the passing of time is what is tested
        connection.send(request[-1:])
        assert connection.read_answer().status == 401


def test_a_published_example(hookbridge, files_only):
    """Svix' own, of 2021: good but for its age, and that is what is said."""
    daemon = hookbridge(
        files_only(all={"path": "/all", "mode": "svix",
                        "secrets": "file:secret"}),
        files={"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"})
    answer = daemon.post("/all", b'{"test": 2432232314}', {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="})
    assert answer.status == 401
    assert daemon.log_contains("verify.failed", reason="timestamp_too_old")


def test_ed25519(hookbridge, files_only, tmp_path):
    """v1a, signed by OpenSSL; the public bytes are no key for v1."""
    key, message = tmp_path / "key.pem", tmp_path / "message"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out",
                    key], check=True)
    public = subprocess.run(
        ["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"],
        check=True, capture_output=True).stdout[-32:]
    daemon = hookbridge(
        files_only(all={"path": "/all", "mode": "svix",
                        "secrets": "file:public"}),
        files={"public": "whpk_" + base64.b64encode(public).decode() + "\n"})

    now = str(int(time.time()))
    message.write_bytes(b"m.%s.%s" % (now.encode(), BODY))
    signed = subprocess.run(
        ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in",
         message], check=True, capture_output=True).stdout
    headers = {"svix-id": "m", "svix-timestamp": now}
    good = "v1a," + base64.b64encode(signed).decode()
    confused = "v1," + base64.b64encode(hmac.new(
        public, message.read_bytes(), hashlib.sha256).digest()).decode()
    assert daemon.post("/all", BODY, {
        **headers, "svix-signature": confused}).status == 401
    assert daemon.post("/all", BODY + b" ", {
        **headers, "svix-signature": good}).status == 401
    assert daemon.post("/all", BODY, {
        **headers, "svix-signature": good}).status == 200


def test_bytes_are_signed_not_text(hookbridge, files_only):
    """A body that is no UTF-8 verifies (and is then of no use)."""
    secret = rig.new_secret()
    daemon = hookbridge(
        files_only(all={"path": "/all", "mode": "svix",
                        "secrets": "file:secret"}),
        files={"secret": secret + "\n"})
    body = b'{"job_id":"a","metadata":"\xff\xfe"}'
    now = str(int(time.time()))
    digest = hmac.new(base64.b64decode(secret[6:]),
                      b"m.%s.%s" % (now.encode(), body), hashlib.sha256)
    answer = daemon.post("/all", body, {
        "svix-id": "m", "svix-timestamp": now, "svix-signature":
        "v1," + base64.b64encode(digest.digest()).decode()})
    assert answer.json() == {"id": "m", "outcome": "dead-lettered"}


# --- tokens -------------------------------------------------------------------

def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(
        f"{user}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def with_token(token):
    return (b'{"status":"Completed","job_id":"job-1","metadata":{"a":1,"deep":'
            b'{"hook_token":"%s","b":2}}}' % token.encode())


# place: (configuration, path, good requests, bad ones); a request is
# (target, body, headers).
TOKENS = {
    "bearer": ({"in": "bearer"}, "/d",
               [("/d", BODY, bearer(TOKEN)),
                ("/d", BODY, {"Authorization": "bearer " + TOKEN})],
               [("/d", BODY, {}), ("/d", BODY, bearer(TOKEN + "x")),
                ("/d", BODY, bearer(TOKEN[:-1])), ("/d", BODY, bearer("")),
                ("/d", BODY, {"Authorization": TOKEN}),
                ("/d", BODY, basic("hook", TOKEN)),
                ("/d?token=" + TOKEN, BODY, {}),
                ("/d", BODY, {"X-Token": TOKEN})]),
    "basic": ({"in": "basic", "user": "hook"}, "/d",
              [("/d", BODY, basic("hook", TOKEN))],
              [("/d", BODY, {}), ("/d", BODY, basic("other", TOKEN)),
               ("/d", BODY, basic("hook", "x")), ("/d", BODY, bearer(TOKEN)),
               ("/d", BODY, {"Authorization": "Basic !!!"})]),
    "query": ({"in": "query.token"}, "/d",
              [("/d?token=" + TOKEN, BODY, {}),
               (f"/d?a=b&token={TOKEN}&c", BODY, {})],
              [("/d", BODY, {}), ("/d?token=x", BODY, {}),
               ("/d?Token=" + TOKEN, BODY, {}),
               (f"/d?token={TOKEN}&token={TOKEN}", BODY, {}),
               ("/d", BODY, bearer(TOKEN))]),
    "path": ({"in": "path"}, "/d/{token}/hook",
             [(f"/d/{TOKEN}/hook", BODY, {})],
             [("/d/x/hook", BODY, {}), (f"/d/{OTHER[:-1]}/hook", BODY, {})]),
    "metadata": ({"in": "metadata.deep.hook_token"}, "/d",
                 [("/d", with_token(TOKEN), {})],
                 [("/d", BODY, {}), ("/d", with_token("x"), {}),
                  ("/d", with_token(TOKEN + '","hook_token":"x'), {}),
                  ("/d", with_token('x","hook\\u005ftoken":"' + TOKEN), {}),
                  ("/d", b"no JSON " + TOKEN.encode(), {}),
                  ("/d", with_token(TOKEN)[:-1], {}),
                  ("/d", with_token(TOKEN).replace(b'"deep"', b'"Deep"'), {}),
                  ("/d", b"[" + with_token(TOKEN) + b"]", {}),
                  ("/d", BODY, bearer(TOKEN))]),
}


@pytest.mark.parametrize("place", TOKENS)
def test_tokens(hookbridge, files_only, tmp_path, place):
    """Good ones get in, in rotation the older one too; bad ones get 401; and
    the token is in no event, no dead letter, no line of the log."""
    token, path, good, bad = TOKENS[place]
    config = files_only(d={
        "path": path, "mode": "direct", "dedup": False,
        "token": {**token, "secret": ["file:other", "file:token"]}})
    config["log"] = {"level": "debug"}
    daemon = hookbridge(config, files={"token": TOKEN + "\n",
                                       "other": OTHER + "\n"})
    for target, body, headers in good:
        answer = daemon.post(target, body, headers)
        assert answer.status == 200, (target, headers, answer)
        newer = daemon.post(
            target.replace(TOKEN, OTHER),
            body.replace(TOKEN.encode(), OTHER.encode()),
            {"Authorization": headers["Authorization"].replace(TOKEN, OTHER)}
            if place == "bearer" else
            basic("hook", OTHER) if place == "basic" else headers)
        assert newer.status == 200, (target, headers, newer)
    for target, body, headers in bad:
        answer = daemon.post(target, body, headers)
        assert answer.status == 401, (target, body, headers, answer)
    if place not in ("metadata", "path"):
        target, _, headers = good[0]
        assert daemon.post(target, b"no JSON", headers).status == 202
    lines = file_lines(tmp_path / "events")
    assert len(lines) == 2 * len(good)
    for line in lines:
        value = json.loads(line)
        wanted = {"a": 1, "deep": {"b": 2}} if place == "metadata" else {"a": 1}
        assert value["metadata"] == wanted
        assert value["mode"] == "direct"
    assert daemon.terminate() == 0
    for text in (daemon.log(), (tmp_path / "events").read_text(),
                 (tmp_path / "dead").read_text()):
        for secret in (TOKEN, OTHER):
            assert secret not in text
            assert base64.b64encode(secret.encode()).decode()[:-4] not in text
    assert daemon.metric("verify_failures_total") == len(bad)


def test_cut_token_stays_cut(hookbridge, files_only, tmp_path):
    """Raw values and dead letters show what is left of the body, wherever in
    its object the token stood."""
    config = files_only(d={
        "path": "/d", "mode": "direct", "dedup": False,
        "token": {"in": "metadata.t", "secret": "file:token"}})
    config["routes"] = [{"when": {"status": "completed"},
                         "to": [{"sink": "out", "format": "raw"}]}]
    daemon = hookbridge(config, files={"token": TOKEN + "\n"})
    places = ['{"t":"%s"}', '{"t":"%s","a":1}', '{"a":1,"t":"%s"}',
              '{"a":1 , "t" : "%s" , "b":2}', '{ "t":"%s" }']
    for status in ("Completed", "Failed"):
        for n, place in enumerate(places):
            body = (f'{{"status":"{status}","job_id":"j{n}",'
                    f'"metadata":{place % TOKEN}}}')
            answer = daemon.post("/d", body)
            assert answer.status == (200 if status == "Completed" else 202)
    raw = [json.loads(line) for line in file_lines(tmp_path / "events")]
    dead = [json.loads(base64.b64decode(json.loads(line)["body_base64"]))
            for line in file_lines(tmp_path / "dead")]
    wanted = [{}, {"a": 1}, {"a": 1}, {"a": 1, "b": 2}, {}]
    for found in (raw, dead):
        assert [v["metadata"] for v in found] == wanted


def test_addresses(hookbridge, files_only):
    """allow is about the peer's address, whatever a header says."""
    daemon = hookbridge(files_only(
        near={"path": "/near", "mode": "svix", "allow": ["127.0.0.0/8"]},
        far={"path": "/far", "mode": "svix",
             "allow": ["203.0.113.0/24", "2001:db8::/32"]},
        bare={"path": "/bare", "mode": "direct", "allow": "127.0.0.1"}))
    assert daemon.post_signed("near", BODY).status == 200
    assert daemon.post("/bare", BODY).status == 200
    for headers in ({}, {"X-Forwarded-For": "203.0.113.7"},
                    {"Forwarded": "for=203.0.113.7"}):
        answer = daemon.post_signed("far", BODY, headers)
        assert answer.status == 401
    assert daemon.log_contains("verify.failed", endpoint="far",
                               reason="address")


# --- what is not signed decides nothing ---------------------------------------

def test_nothing_unsigned_decides(hookbridge, files_only, tmp_path):
    """Query, cookies and foreign headers change nothing of the event."""
    daemon = hookbridge(files_only(all={
        "path": "/all", "mode": "svix", "channels": "production",
        "dedup": False}))
    strange = {"X-Channel": "evil", "Cookie": "channel=evil; status=evil",
               "Channel": "evil", "svix-channel": "evil", "ce-type": "evil",
               "X-Job-Id": "evil"}
    now = int(time.time())
    headers = daemon.signed_headers("all", BODY, webhook_id="m", timestamp=now)
    for target, more in (("/all", {}), ("/all", strange),
                         ("/all?channel=evil&metadata.a=evil", strange)):
        assert daemon.post(target, BODY, {**headers, **more}).status == 200
    values = [json.loads(line) for line in file_lines(tmp_path / "events")]
    for value in values:
        value.pop("received_at")
    assert values[0] == values[1] == values[2]
    assert b"evil" not in (tmp_path / "events").read_bytes()


def test_secrets_are_not_shown(hookbridge, files_only):
    """Neither --dump-config nor the log at its most talkative."""
    config = files_only(
        all={"path": "/all", "mode": "svix"},
        d={"path": "/d", "mode": "direct",
           "token": {"in": "bearer", "secret": "env:HB_TEST_TOKEN"}})
    config["log"] = {"level": "debug"}
    daemon = hookbridge(config, env={"HB_TEST_TOKEN": TOKEN})
    assert daemon.post_signed("all", BODY).status == 200
    assert daemon.post("/d", BODY, bearer(TOKEN)).status == 200
    dumped = subprocess.run(
        [daemon.program, "-c", daemon.config_path, "--dump-config"],
        env=daemon.env, capture_output=True, check=True).stdout.decode()
    assert "all.secret" in dumped and "HB_TEST_TOKEN" in dumped
    assert daemon.terminate() == 0
    secret = daemon.secrets["all"]
    for shown in (dumped, daemon.log()):
        assert TOKEN not in shown
        assert secret not in shown and secret[6:] not in shown
