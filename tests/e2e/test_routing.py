# SPDX-License-Identifier: Apache-2.0
"""Which destinations a webhook reaches: conditions, fan-out, templates, and what
nobody wants. One Redis stream for each destination."""

import json

import pytest


@pytest.fixture
def site(hookbridge, redis_server, unique):
    return Site(hookbridge, redis_server, unique)


class Site:
    def __init__(self, hookbridge, server, name):
        self.hookbridge, self.server, self.name = hookbridge, server, name
        self.daemon = None

    def stream(self, name):
        return f"{self.name}:{name}"

    def to(self, name, **options):
        return {"sink": "r", "stream": self.stream(name), **options}

    def start(self, routes, endpoints=None):
        """routes: [(name, when)] or whole routes."""
        routes = [r if isinstance(r, dict)
                  else {"name": r[0], "when": r[1], "to": [self.to(r[0])]}
                  for r in routes]
        self.daemon = self.hookbridge({
            "endpoints": endpoints or {
                "one": {"path": "/one", "mode": "svix", "channels": ["a"]},
                "two": {"path": "/two", "mode": "svix",
                        "channels": ["b", "c"]},
                "none": {"path": "/none", "mode": "svix"}},
            "sinks": {"r": {"type": "redis", "url": self.server.url}},
            "routes": routes,
            "dead_letter": self.to("dead")}).wait_up()
        return self

    def post(self, endpoint="one", status="Completed", job_id="j", **metadata):
        """The streams it reached, by their short names, without dead."""
        before = self.lengths()
        answer = self.daemon.post_signed(endpoint, {
            "job_id": job_id, "status": status, "metadata": metadata})
        assert answer.status in (200, 202), answer
        after = self.lengths()
        grown = {n for n in after if after[n] != before.get(n, 0)}
        assert answer.status == (202 if "dead" in grown else 200)
        return grown

    def lengths(self):
        client = self.server.client()
        return {key.decode()[len(self.name) + 1:]: client.xlen(key)
                for key in client.keys(self.name + ":*")}

    def last(self, name):
        fields = self.server.client().xrevrange(self.stream(name), count=1)
        return fields[0][1]


def test_conditions(site):
    site.start([
        ("channel", {"channel": ["a", "c"]}),
        ("status", {"status": "failed"}),
        ("endpoint", {"endpoint": "two"}),
        ("text", {"metadata.kind": "invoice"}),
        ("either", {"metadata.kind": ["receipt", "letter"]}),
        ("not", {"metadata.kind": {"not": "invoice"}}),
        ("prefix", {"metadata.kind": {"prefix": "inv"}}),
        ("glob", {"metadata.kind": {"glob": "*ei?t"}}),
        ("there", {"metadata.kind": {"exists": True}}),
        ("absent", {"metadata.kind": {"exists": False}}),
        ("more", {"metadata.n": {"gt": 10}}),
        ("atmost", {"metadata.n": {"le": 10}}),
        ("true", {"metadata.urgent": True}),
        ("deep", {"metadata.customer.city": "Lyon"}),
        ("both", {"status": "completed", "metadata.kind": "invoice",
                  "channel": "a"}),
    ])
    assert site.post() == {"channel", "absent"}
    assert site.post("two", "Failed") == {
        "channel", "status", "endpoint", "absent"}
    assert site.post(kind="invoice") == {
        "channel", "text", "prefix", "there", "both"}
    assert site.post("none", kind="receipt") == {
        "either", "not", "glob", "there"}
    assert site.post("none", kind=7, n=10) == {"not", "there", "atmost"}
    assert site.post("none", kind=["invoice"], n=10.5) == {"there", "more"}
    assert site.post("none", kind=None, n="x", urgent=True) == {
        "absent", "true"}
    assert site.post("none", "Failed", kind="invoice", urgent="true",
                     customer={"city": "Lyon"}) == {
        "status", "text", "prefix", "there", "true", "deep"}


def test_numbers_compare_as_decimals(site):
    site.start([("more", {"metadata.n": {"gt": "9007199254740993"}}),
                ("less", {"metadata.n": {"lt": "9007199254740993"}}),
                ("rest", {"metadata.n": {"exists": True}})])
    assert site.post(n=9007199254740993) == {"rest"}
    assert site.post(n=9007199254740994) == {"rest", "more"}
    assert site.post(n=-1) == {"rest", "less"}


def test_final_and_default(site):
    site.start([
        {"name": "first", "when": {"metadata.kind": "x"}, "final": True,
         "to": [site.to("first")]},
        ("second", {"channel": "a"}),
        {"name": "rest", "default": True, "to": [site.to("rest")]}])
    assert site.post(kind="x") == {"first"}
    assert site.post(kind="y") == {"second"}
    assert site.post("two", kind="y") == {"rest"}


def test_nobody_wants_it(site):
    site.start([("a", {"channel": "a"})])
    assert site.post("two") == {"dead"}
    assert site.last("dead")[b"hb_reason"] == b"unrouted"
    assert json.loads(site.last("dead")[b"data"])["job_id"] == "j"


def test_no_destination_twice(site):
    """The first route that names it decides how."""
    site.start([
        {"name": "x", "to": [site.to("s", format="raw")]},
        {"name": "y", "to": [site.to("s"), site.to("t")]}])
    assert site.post() == {"s", "t"}
    assert site.lengths() == {"s": 1, "t": 1}
    assert "received_at" not in json.loads(site.last("s")[b"data"])


def templated(site, text, names, **options):
    return {"sink": "r", "stream": site.stream(text),
            "streams": [site.stream(n) for n in names], **options}


def test_templates(site):
    site.start([{"name": "all", "to": [
        templated(site, "{channel|none}-{metadata.kind|other}",
                  ["a-x", "a-other", "none-x", "b-x"])]}])
    assert site.post(kind="x") == {"a-x"}
    assert site.post() == {"a-other"}
    assert site.post("none", kind="x") == {"none-x"}
    assert site.post("two", kind="x") == {"b-x"}  # the first of its channels


@pytest.mark.parametrize("kind, reason", [
    (None, b"name-missing"), ("", b"name-missing"),
    ("other", b"name-not-allowed"), ("a b\n", b"name-invalid"),
    ("../../x", b"name-invalid"), ("x" * 300, b"name-invalid")])
def test_templates_outside_their_list(site, kind, reason):
    """Dead for this destination; the others get it."""
    site.start([{"name": "all", "to": [
        templated(site, "k:{metadata.kind}", ["k:x", "k:y"]),
        site.to("all")]}])
    assert site.post(**({} if kind is None else {"kind": kind})) == {
        "dead", "all"}
    assert site.last("dead")[b"hb_reason"] == reason


def test_channel_of_the_route(site):
    """{channel} is the one that satisfied the route's condition."""
    site.start([{"name": "c", "when": {"channel": "c"}, "to": [
        templated(site, "{channel}", ["b", "c"])]}])
    assert site.post("two") == {"c"}
    assert site.last("c")[b"ce_channel"] == b"c"


def test_channels_from_metadata(site):
    site.start(
        [("s", {"channel": "staging"}), ("t", {"channel": "test"}),
         {"name": "rest", "default": True, "to": [site.to("rest")]}],
        endpoints={"one": {
            "path": "/one", "mode": "svix",
            "channels": ["{metadata.environment}"],
            "channel_values": ["staging", "test"]}})
    assert site.post(environment="staging") == {"s"}
    assert site.post(environment="test") == {"t"}
    assert site.post() == {"rest"}
    assert site.post(environment="production") == {"dead"}
    assert site.last("dead")[b"hb_reason"] == b"channel-not-allowed"


def test_headers_and_keys(site):
    site.start([{"name": "all", "to": [site.to(
        "s", key="{metadata.org}",
        headers={"x-org": "{metadata.org|none}", "x-fixed": "é"})]}])
    assert site.post(org="org-1") == {"s"}
    assert site.last("s")[b"ce_partitionkey"] == b"org-1"
    assert site.last("s")[b"x-org"] == b"org-1"
    assert site.last("s")[b"x-fixed"] == "é".encode()
    assert site.post(job_id="job-7") == {"s"}  # no such value
    assert site.last("s")[b"ce_partitionkey"] == b"job-7"
    assert site.last("s")[b"x-org"] == b"none"
    assert site.post(org="a\r\nb: c") == {"s"}  # cannot be said
    assert b"x-org" not in site.last("s")


def test_a_thousand_routes(site):
    """All that match are found, whatever their number."""
    site.start(
        [{"name": f"n{i}", "when": {"metadata.n": i},
          "to": [site.to(f"n{i % 10}")]} for i in range(1000)]
        + [("all", {"channel": "a"})])
    assert site.post(n=7) == {"n7", "all"}
    assert site.post(n=999) == {"n9", "all"}
    assert site.post(n=1000) == {"all"}
