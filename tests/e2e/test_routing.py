# SPDX-License-Identifier: Apache-2.0
"""Which destinations an event reaches, by channel, status, endpoint, job type
and metadata; what templates make of it; and that nothing vanishes."""

import json

import pytest

from events import of_redis


@pytest.fixture
def routed(hookbridge, redis_server, unique):
    """routed(routes, ...) starts a daemon with one Redis sink; streams in the
    routes are written without the test's own prefix, {S}."""
    class Routed:
        def __init__(self, routes, endpoints=None, **rest):
            text = json.dumps(routes).replace("{S}", unique + ":")
            self.daemon = hookbridge({
                "endpoints": endpoints or {
                    "all": {"path": "/all", "mode": "svix"}},
                "sinks": {"r": {"type": "redis", "url": redis_server.url}},
                "routes": json.loads(text),
                "dead_letter": {"sink": "r", "stream": unique + ":dead"},
                **rest}).wait_up()

        def post(self, body, endpoint="all", code=200):
            answer = self.daemon.post_signed(endpoint, body)
            assert answer.status == code, answer
            return answer

        def entries(self, stream):
            return [of_redis(e)
                    for e in redis_server.entries(f"{unique}:{stream}")]

        def jobs(self, stream):
            return [m.headers["ce_subject"].decode()
                    for m in self.entries(stream)]

        def reasons(self):
            return [(m.headers["hb_reason"].decode(),
                     m.headers.get("hb_destination", b"").decode().replace(
                         unique + ":", ""))
                    for m in self.entries("dead")]
    return Routed


def to(stream, **options):
    return [{"sink": "r", "stream": "{S}" + stream, **options}]


# A row of `when`, values of metadata.x that satisfy it, and others. ABSENT: no
# such member.
ABSENT = object()
PREDICATES = [
    ("invoice", ["invoice"], ["Invoice", "invoice ", "", None, ABSENT,
                              ["invoice"], {"invoice": 1}]),
    (["high", "urgent"], ["high", "urgent"], ["low", "highurgent", None]),
    ("true", [True, "true"], [False, "True", 1]),
    ("3", [3, "3"], [3.0, "03", 33]),
    ({"not": "a"}, ["b", "", 1], ["a", None, ABSENT, ["a"], {}]),
    ({"not": ["a", "b"]}, ["c"], ["a", "b"]),
    ({"prefix": "org-"}, ["org-", "org-1"], ["Org-1", "xorg-1", ABSENT]),
    ({"glob": "a*c?"}, ["acx", "abbcd"], ["ac", "xacx", ABSENT]),
    ({"exists": True}, ["", 0, False, [], {}, "x"], [None, ABSENT]),
    ({"exists": False}, [None, ABSENT], ["", 0, False, [], {}]),
    ({"gt": 10}, [11, 10.5, 1e3], [10, 9, "x", None, ABSENT]),
    ({"ge": 10}, [10, "10"], [9.99]),
    ({"lt": 0}, [-1, -0.5], [0, 1]),
    ({"le": 0.5}, [0.5, 0, -7], [0.51]),
]


def test_predicates(routed):
    routes = [{"name": f"p{n}", "when": {"metadata.n": str(n),
                                         "metadata.x": row},
               "to": to("yes")} for n, (row, _, _) in enumerate(PREDICATES)]
    site = routed([*routes, {"name": "rest", "default": True,
                             "to": to("no")}])
    wanted = {"yes": [], "no": []}
    for n, (_, good, bad) in enumerate(PREDICATES):
        for stream, values in (("yes", good), ("no", bad)):
            for i, value in enumerate(values):
                job = f"{stream}-{n}-{i}"
                metadata = {"n": n}
                if value is not ABSENT:
                    metadata["x"] = value
                site.post({"job_id": job, "metadata": metadata})
                wanted[stream].append(job)
    for stream, jobs in wanted.items():
        assert site.jobs(stream) == jobs
    assert site.jobs("dead") == []


def test_numbers_beyond_any_machine(routed):
    """Compared as they are written, not as doubles."""
    site = routed([
        {"when": {"metadata.n": "12345678901234567890"}, "to": to("same")},
        {"when": {"metadata.n": {"exists": True}}, "to": to("all")}])
    for n in ("12345678901234567890", "12345678901234567891", "1E400"):
        site.post(b'{"job_id":"%s","metadata":{"n":%s}}' % (
            n.encode(), n.encode()))
    assert site.jobs("same") == ["12345678901234567890"]
    assert len(site.jobs("all")) == 3


def test_nested_and_odd_names(routed):
    site = routed([
        {"when": {"metadata.customer.address.city": "Lyon"}, "to": to("a")},
        {"when": {"metadata.key\\.with\\.dots": "v1"}, "to": to("b")},
        {"when": {"metadata.ключ": "значение"}, "to": to("c")},
        {"default": True, "to": to("rest")}])
    site.post({"job_id": "1", "metadata": {
        "customer": {"address": {"city": "Lyon"}}, "key.with.dots": "v1",
        "ключ": "значение"}})
    site.post({"job_id": "2", "metadata": {
        "customer": {"address": [{"city": "Lyon"}]},
        "key": {"with": {"dots": "v1"}}}})
    assert [site.jobs(s) for s in "abc"] == [["1"]] * 3
    assert site.jobs("rest") == ["2"]


def test_a_path_that_occurs_twice(routed):
    """Readers would disagree about which counts: set aside."""
    site = routed([{"when": {"metadata.a": "1"}, "to": to("one")},
                   {"default": True, "to": to("rest")}])
    site.post(b'{"job_id":"1","metadata":{"a":"1","\\u0061":"2"}}', code=202)
    site.post(b'{"job_id":"2","metadata":{"b":"1","b":"2","a":"1"}}')
    assert site.jobs("one") == ["2"]
    assert site.reasons() == [("ambiguous", "")]


def test_by_status_endpoint_and_job_type(routed, samples):
    site = routed([
        {"when": {"status": {"not": "completed"}}, "to": to("failures")},
        {"when": {"endpoint": "two"}, "to": to("two")},
        {"when": {"job_type": ["extract", "split"]}, "to": to("typed")},
        {"default": True, "to": to("rest")}],
        endpoints={"one": {"path": "/1", "mode": "svix"},
                   "two": {"path": "/2", "mode": "svix",
                           "job_type": "{metadata.kind}"}})
    for status in ("Failed", "error", "Canceled", "cancelled", "Odd"):
        site.post({"job_id": status, "status": status}, "one")
    site.post({"job_id": "none"}, "one")
    site.post({"job_id": "done", "status": "SUCCEEDED"}, "one")
    site.post({"job_id": "kind", "status": "Completed",
               "metadata": {"kind": "extract"}}, "two")
    site.post(samples("05-extract-completed.json"), "one")
    assert site.jobs("failures") == ["Failed", "error", "Canceled",
                                     "cancelled", "Odd", "none"]
    statuses = [json.loads(m.value)["status"] for m in site.entries("failures")]
    assert statuses == ["failed", "failed", "cancelled", "cancelled", "odd",
                        "unknown"]
    assert site.jobs("two") == ["kind"]
    assert site.jobs("typed") == [
        "kind", "c3a9d1f2-7e44-4b0a-9c55-1f2e3d4c5b6a"]
    assert site.jobs("rest") == ["done"]


def test_fan_out_final_and_default(routed):
    """Every matching route adds its destinations, none of them twice, until
    one is final; the default is for what no other wanted."""
    site = routed([
        {"name": "one", "when": {"metadata.a": "1"},
         "to": to("a") + to("b")},
        {"name": "two", "when": {"metadata.b": "1"},
         "to": to("b", key="never") + to("c")},
        {"name": "stop", "when": {"metadata.stop": "1"}, "final": True,
         "to": to("stop")},
        {"name": "after", "when": {"metadata.a": {"exists": True}},
         "to": to("after")},
        {"name": "rest", "default": True, "to": to("rest")}])
    site.post({"job_id": "1", "metadata": {"a": "1"}})
    site.post({"job_id": "2", "metadata": {"a": "1", "b": "1"}})
    site.post({"job_id": "3", "metadata": {"a": "1", "stop": "1"}})
    site.post({"job_id": "4", "metadata": {"stop": "1"}})
    site.post({"job_id": "5", "metadata": {"x": "1"}})
    assert {s: site.jobs(s) for s in (
        "a", "b", "c", "stop", "after", "rest", "dead")} == {
        "a": ["1", "2", "3"], "b": ["1", "2", "3"], "c": ["2"],
        "stop": ["3", "4"], "after": ["1", "2"], "rest": ["5"], "dead": []}
    # Where two routes name one destination, the first one's settings count.
    keys = {m.headers["ce_partitionkey"] for m in site.entries("b")}
    assert keys == {b"1", b"2", b"3"}


def test_the_same_twice_is_warned_of(routed):
    site = routed([{"name": "one", "to": to("a")},
                   {"name": "two", "to": to("a", key="{status}")}])
    assert "warning: " in site.daemon.log()
    site.post({"job_id": "1"})
    assert site.jobs("a") == ["1"]


def test_unrouted(routed):
    site = routed([{"when": {"status": "completed"}, "to": to("done")}])
    answer = site.post({"job_id": "1", "status": "Failed"}, code=202)
    assert answer.json()["outcome"] == "dead-lettered"
    assert site.reasons() == [("unrouted", "")]
    assert site.daemon.terminate() == 0
    assert site.daemon.metric("dead_letters_total", reason="unrouted") == 1


# --- channels -----------------------------------------------------------------

def test_channels(routed):
    """An event of several channels matches by any; {channel} is the one that
    matched, else the first."""
    site = routed([
        {"when": {"channel": ["b", "d"]}, "to": [{
            "sink": "r", "stream": "{S}by-{channel}", "streams": [
                "{S}by-a", "{S}by-b", "{S}by-d"]}]},
        {"when": {"channel": {"not": "c"}}, "to": to("not-c")},
        {"when": {"metadata.all": "1"}, "to": [{
            "sink": "r", "stream": "{S}first-{channel|none}", "streams": [
                "{S}first-a", "{S}first-c", "{S}first-none"]}]},
        {"default": True, "to": to("rest")}],
        endpoints={
            "ab": {"path": "/ab", "mode": "svix", "channels": ["a", "b"]},
            "c": {"path": "/c", "mode": "svix", "channels": ["c", "d"]},
            "none": {"path": "/none", "mode": "svix"}})
    body = {"job_id": "j", "metadata": {"all": "1"}}
    for endpoint in ("ab", "c", "none"):
        site.post({**body, "job_id": endpoint}, endpoint)
    assert {s: site.jobs(s) for s in (
        "by-a", "by-b", "by-d", "not-c", "first-a", "first-c", "first-none")} == {
        "by-a": [], "by-b": ["ab"], "by-d": ["c"], "not-c": ["ab"],
        "first-a": ["ab"], "first-c": ["c"], "first-none": ["none"]}
    assert json.loads(site.entries("by-b")[0].value)["channels"] == ["a", "b"]
    assert site.entries("by-b")[0].headers["ce_channel"] == b"b"
    assert site.entries("first-a")[0].headers["ce_channel"] == b"a"
    assert "ce_channel" not in site.entries("first-none")[0].headers


def test_channels_from_metadata(routed):
    """Only the listed values are channels."""
    site = routed([
        {"when": {"channel": "staging"}, "to": to("staging")},
        {"default": True, "to": to("rest")}],
        endpoints={"all": {"path": "/all", "mode": "svix",
                           "channels": ["{metadata.env}"],
                           "channel_values": ["staging", "test"]}})
    site.post({"job_id": "1", "metadata": {"env": "staging"}})
    site.post({"job_id": "2", "metadata": {"env": "test"}})
    assert site.jobs("staging") == ["1"]
    assert site.jobs("rest") == ["2"]
    # What is not listed must not become one; nor is it lost.
    answer = site.daemon.post_signed(
        "all", {"job_id": "3", "metadata": {"env": "production"}})
    assert answer.status in (200, 202)
    assert site.jobs("staging") == ["1"]
    assert "3" in site.jobs("rest") + site.jobs("dead")


# --- templates ----------------------------------------------------------------

def test_names_from_data_are_listed(routed):
    """What a template makes is compared with the list; the rest is set aside,
    with what it would have been."""
    site = routed([{"to": [{
        "sink": "r", "stream": "{S}{metadata.tenant|nobody}",
        "streams": ["{S}one", "{S}two", "{S}nobody"]}]}])
    for tenant in ("one", "two"):
        site.post({"job_id": tenant, "metadata": {"tenant": tenant}})
    site.post({"job_id": "nobody"})
    for tenant in ("three", "dead", "one ", "ONE", "../one", "a\n", "{one}",
                   "x" * 300):
        site.post({"job_id": "bad", "metadata": {"tenant": tenant}}, code=202)
    assert [site.jobs(s) for s in ("one", "two", "nobody")] == [
        ["one"], ["two"], ["nobody"]]
    reasons = [reason for reason, _ in site.reasons()]
    assert len(reasons) == 8
    assert set(reasons) == {"name-not-allowed", "name-invalid"}
    assert reasons[0] == "name-not-allowed"
    assert site.reasons()[0][1].endswith("three")


def test_a_name_without_a_value(routed):
    site = routed([{"to": [{
        "sink": "r", "stream": "{S}{metadata.tenant}",
        "streams": ["{S}one"]}]}])
    for metadata in ({}, {"tenant": None}, {"tenant": ["one"]}, None, "one"):
        site.post({"job_id": "1", "metadata": metadata}, code=202)
    assert {reason for reason, _ in site.reasons()} == {"name-missing"}
    assert len(site.reasons()) == 5


def test_keys(routed):
    """A key that is absent, too long or empty becomes the job_id."""
    site = routed([{"to": to("s", key="{metadata.a}-{metadata.b|none}")}])
    cases = [({"a": "1", "b": True}, b"1-true"), ({"a": 1.5}, b"1.5-none"),
             ({}, b"job"), ({"a": None}, b"job"), ({"a": "x" * 2000}, b"job"),
             ({"a": "Zoë"}, "Zoë-none".encode())]
    for metadata, _ in cases:
        site.post({"job_id": "job", "metadata": metadata})
    assert [m.headers["ce_partitionkey"] for m in site.entries("s")] == [
        key for _, key in cases]


def test_headers(routed):
    """One that cannot be said as it is, is left out, never mangled."""
    site = routed([{"to": to("s", headers={
        "tenant": "{metadata.tenant}", "about": "{job_id}/{status}"})}])
    cases = [("Zoë", "Zoë".encode()), ("a\r\nb", None), ("x" * 2000, None),
             ("\x1b[31m", None), (None, None), (7, b"7")]
    for tenant, _ in cases:
        site.post({"job_id": "j", "metadata": {"tenant": tenant}})
    entries = site.entries("s")
    assert [m.headers.get("tenant") for m in entries] == [
        value for _, value in cases]
    assert {m.headers["about"] for m in entries} == {b"j/unknown"}


def test_control_characters_in_attributes(routed):
    """CloudEvents' strings have none; a job_id cannot have any at all."""
    site = routed([{"to": to("s", key="{metadata.k}")}])
    site.post({"job_id": "Zoë 東京 📄", "metadata": {"k": "a\u0085b"}})
    headers = site.entries("s")[0].headers
    assert headers["ce_subject"] == "Zoë 東京 📄".encode()
    assert headers["ce_partitionkey"] == b"a%C2%85b"
