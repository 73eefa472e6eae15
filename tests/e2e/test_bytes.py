# SPDX-License-Identifier: Apache-2.0
"""Byte for byte: what JSON libraries would re-print or refuse arrives as it was
written, in every format and at every size."""

import hashlib
import json
import re

import pytest

from events import member, members

# Values that a tree would change, merge or refuse.
HARD = {
    "20 digits": "12345678901234567890",
    "beyond doubles": "1E400",
    "zeros kept": "[1.50, -0, 1E2, 0.10]",
    "NUL": '"a\\u0000b"',
    "escapes kept": '"\\u00e9\\/\\ud83d\\ude00"',
    "lone surrogate": '"\\ud800"',
    "names twice": '{"a":1,"a":2,"\\u0061":{"b":[],"b":{}}}',
    "empty": '{"":{"":[]}}',
    "spaces": '{ "a" :\t[ 1 ,\n 2 ] }',
    "100 levels": "[" * 100 + "]" * 100,
    "500 levels": '{"x":' * 500 + "1" + "}" * 500,
}


def body_of(result="{}", metadata="{}", extra="1"):
    return ('{"job_id":"j","status":"Completed", "metadata":%s,"result":%s ,'
            '"more":%s}' % (metadata, result, extra)).encode()


def in_line(text):
    """As a file has it: line ends between tokens are spaces."""
    return re.sub("[\r\n]", " ", text)


@pytest.mark.parametrize("name", HARD)
def test_hard_values(hookbridge, outlets, name):
    text = HARD[name]
    daemon = hookbridge(outlets.config()).wait_up()
    bodies = [body_of(result=text), body_of(metadata=text),
              body_of(extra=text)]
    places = [("result",), ("metadata",), ("extra", "more")]
    for body in bodies:
        answer = daemon.post_signed("all", body)
        assert answer.json()["outcome"] == "confirmed", answer
    for sink, messages in outlets.messages(3).items():
        want = in_line(text) if sink == "file" else text
        for place, message in zip(places, messages):
            assert member(message.value.decode(), *place) == want, sink


def test_pretty_printed(hookbridge, outlets, samples):
    daemon = hookbridge(outlets.config()).wait_up()
    text = samples("01-parse-completed-inline.json").decode()
    assert "\n" in text
    assert daemon.post_signed("all", text).status == 200
    for sink, (message,) in outlets.messages(1).items():
        for name in ("result", "metadata"):
            want = member(text, name)
            assert member(message.value.decode(), name) == (
                in_line(want) if sink == "file" else want)


def test_raw_is_the_body(hookbridge, outlets):
    daemon = hookbridge(outlets.config(
        to=outlets.to_all(format="raw"))).wait_up()
    body = b' {"job_id" : "j", "x": [1.50,\n2]}\n'
    assert daemon.post_signed("all", body).status == 200
    for sink, (message,) in outlets.messages(1).items():
        if sink == "file":
            assert message.value.split() == body.split()
        else:
            assert message.value == body


def test_cloudevents_hold_the_value(hookbridge, outlets):
    daemon = hookbridge(outlets.config(
        to=outlets.to_all(format="cloudevents"))).wait_up()
    body = body_of(result=HARD["20 digits"], metadata='{"n":1.50}')
    assert daemon.post_signed("all", body, webhook_id="msg_1").status == 200
    for sink, (message,) in outlets.messages(1).items():
        text = message.value.decode()
        assert [n for n, _ in members(text)][:3] == [
            "specversion", "id", "source"]
        assert json.loads(member(text, "id")) == "msg_1"
        assert member(text, "data", "result") == HARD["20 digits"]
        assert member(text, "data", "metadata") == '{"n":1.50}'
        if sink == "kafka":
            assert message.headers["content-type"].startswith(
                b"application/cloudevents+json")


# --- sizes --------------------------------------------------------------------

def large(chunks):
    """The result of a parse job with so many chunks."""
    def chunk(i):
        text = f"chunk {i:06} " + "x" * 400
        page = i // 10 + 1
        return ('{"content":"%s","embed":"%s","enriched":null,'
                '"enrichment_success":false,"blocks":[{"type":"Text","bbox":'
                '{"left":0.1,"top":0.1,"width":0.8,"height":0.02,"page":%d,'
                '"original_page":%d},"content":"%s","confidence":"high"}]}'
                % (text, text, page, page, text))
    return ('{"job_id":"large-%d","status":"completed","result":{"job_id":'
            '"large-%d","duration":1.0,"usage":{"num_pages":%d},"result":'
            '{"type":"full","chunks":[%s]}},"metadata":{"document_type":'
            '"large"}}' % (chunks, chunks, -(-chunks // 10),
                           ",".join(map(chunk, range(chunks))))).encode()


LARGE = {
    1: "4a50296fc614a23b069f0bbfcc59192c46bd30c4e7bb5eee7718c6410c62faca",
    100: "0edbc3a7d3d537eaeb87084b69ebec4969c08d505be9acef8bab8c7aa3ae42c5",
    700: "d435e2555ecce8444058d862f8113229f859169b1ec8b9dff030d8dcc766819b",
    4000: "0f07bb1e81a584edc05224613b0036af7fa158bf19cef46ac5ddd6dfd8213237"}


def direct_config(outlets, **rest):
    return outlets.config(endpoints={"direct": {
        "path": "/direct", "mode": "direct",
        "token": {"in": "bearer", "secret": "file:token"}, **rest}})


TOKEN = "0123456789abcdef-token"


def post_direct(daemon, body):
    return daemon.post("/direct", body, {"Authorization": f"Bearer {TOKEN}"})


@pytest.mark.parametrize("chunks", LARGE)
def test_large_results(hookbridge, outlets, chunks):
    body = large(chunks)
    assert hashlib.sha256(body).hexdigest() == LARGE[chunks]
    daemon = hookbridge(direct_config(outlets),
                        files={"token": TOKEN}).wait_up()
    assert post_direct(daemon, body).status == 200
    for sink, (message,) in outlets.messages(1).items():
        text = message.value.decode()
        assert member(text, "result") == member(body.decode(), "result"), sink
        assert member(text, "job_type") == '"parse"'


def test_eight_mebibytes(hookbridge, outlets):
    daemon = hookbridge(direct_config(outlets),
                        files={"token": TOKEN}).wait_up()
    head, tail = b'{"job_id":"j","result":"', b'"}'
    size = 8 * 1024 * 1024
    fits = head + b"x" * (size - len(head) - len(tail)) + tail
    assert post_direct(daemon, fits).status == 200
    with daemon.connect() as connection:  # told before the body is sent
        connection.send(b"POST /direct HTTP/1.1\r\nHost: a\r\n"
                        b"Authorization: Bearer %s\r\nContent-Length: %d"
                        b"\r\n\r\n" % (TOKEN.encode(), size + 1))
        assert connection.read_answer().status == 413
    for sink, (message,) in outlets.messages(1).items():
        assert len(message.value) > size, sink


def test_eight_mebibytes_of_metadata(hookbridge, outlets):
    """Kept as they are where no route looks into them; else a dead letter."""
    text = '{"pad":[%s]}' % ",".join(["1.50"] * (8 * 1024 * 1024 // 5 - 50))
    body = ('{"job_id":"j","metadata":%s}' % text).encode()
    daemon = hookbridge(direct_config(outlets),
                        files={"token": TOKEN}).wait_up()
    assert post_direct(daemon, body).status == 200
    for sink, (message,) in outlets.messages(1).items():
        assert member(message.value.decode(), "metadata") == text, sink
    config = direct_config(outlets)
    config["routes"][0]["when"] = {"metadata.kind": "a"}
    daemon.configure(config)
    daemon.restart().wait_up()
    answer = post_direct(daemon, body)
    assert answer.status == 202
    dead, = outlets.dead_letters("kafka", 1)
    assert dead.headers["hb_reason"] == b"ambiguous"
    assert dead.value == body
