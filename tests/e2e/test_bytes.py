# SPDX-License-Identifier: Apache-2.0
"""What no library would keep: numbers no machine has, white space, escapes,
sizes. Every byte of result, metadata and unknown members arrives as it came."""

import hashlib
import json

import pytest

from events import file_lines, member, members

# Texts of JSON values that a parser and printer would change or refuse.
ODD_VALUES = {
    "20 digits": "12345678901234567890",
    "100 digits": "9" * 100,
    "beyond double": "1E400",
    "trailing zero": "1.50",
    "minus zero": "-0.0",
    "exponent": "6.02e+23",
    "2^53+1": "9007199254740993.0",
    "NUL escape": '"a\\u0000b"',
    "lone surrogate": '"\\ud800"',
    "needless escapes": '"\\u0061\\/\\u00e9"',
    "raw UTF-8": '"Zoë 東京 📄 \u2028"',
    "DEL": '"\x7f"',
    "keys twice deep inside": '{"a":{"k":1,"k":2,"\\u006b":3}}',
    "white space": '{ "a" :\t[ 1 ,\n\r\n 2 ] , "b":{ } }',
    "empty": "{}",
    "empty key": '{"":{"":""}}',
    "literals": "[true,false,null]",
    "200 levels": "[" * 200 + "]" * 200,
}


@pytest.fixture
def direct(hookbridge, outlets):
    """Posts bodies to an endpoint that takes up to 8 MiB, to all sinks."""
    def make(*to, http=None):
        daemon = hookbridge(outlets.config({"direct": {
            "path": "/direct", "mode": "direct", "dedup": False,
            "token": {"in": "bearer", "secret": "file:token"}}},
            to=to or None, http=http or {}),
            files={"token": "a-token-that-is-long-enough\n"}).wait_up()

        def post(body):
            answer = daemon.post("/direct", body, {
                "Authorization": "Bearer a-token-that-is-long-enough"})
            assert answer.status == 200, answer
            assert answer.json()["outcome"] == "confirmed"
        return post
    return make


def test_odd_values(direct, outlets):
    """As result, as metadata's members, and as an unknown member."""
    post = direct()
    bodies = []
    for n, value in enumerate(ODD_VALUES.values()):
        body = (f'{{"job_id":"{n}" , "x-odd" : {value},\n"result":{value}'
                f',"metadata":{{"odd":\t{value} }}}}')
        bodies.append(body)
        post(body)
    messages = outlets.messages(len(bodies))
    for sink in ("kafka", "redis"):
        for body, message in zip(bodies, messages[sink]):
            text = message.value.decode()
            assert member(text, "result") == member(body, "result")
            assert member(text, "metadata") == member(body, "metadata")
            assert members(member(text, "extra")) == [
                ("x-odd", member(body, "x-odd"))]
    # A file has one line for each event: line ends became spaces.
    for body, message in zip(bodies, messages["file"]):
        text = message.value.decode()
        body = body.replace("\n", " ").replace("\r", " ")
        assert member(text, "result") == member(body, "result")
        assert member(text, "metadata") == member(body, "metadata")


def test_pretty_printed(direct, outlets):
    document = {"job_id": "a", "status": "Completed",
                "metadata": {"a": [1, {"b": None}]},
                "result": {"pages": [{"n": n} for n in range(50)]}}
    body = json.dumps(document, indent=8).replace("\n", "\r\n")
    direct()(body)
    messages = outlets.messages(1)
    for sink in ("kafka", "redis"):
        text = messages[sink][0].value.decode()
        for name in ("result", "metadata"):
            assert member(text, name) == member(body, name)
    assert len(file_lines(outlets.file)) == 1
    assert json.loads(messages["file"][0].value)["result"] == \
        document["result"]


@pytest.mark.parametrize("format", ["json", "cloudevents", "raw"])
def test_formats(direct, outlets, format):
    """Each format in each sink."""
    body = ('{"job_id": "a", "status":"Completed",\n "result": [1.50, '
            '12345678901234567890], "metadata" : {"k":"\\u0000"}}')
    direct(*outlets.to_all(format=format))(body)
    messages = outlets.messages(1)
    for sink, message in messages.items():
        sent, text = body, message[0].value.decode()
        if sink == "file":
            sent = body.replace("\n", " ")
        else:
            kind = message[0].headers["content-type"]
            assert kind == (b"application/cloudevents+json; charset=UTF-8"
                            if format == "cloudevents"
                            else b"application/json")
        if format == "raw":
            assert text == sent
            continue
        if format == "cloudevents":
            assert member(text, "specversion") == '"1.0"'
            text = member(text, "data")
        for name in ("result", "metadata"):
            assert member(text, name) == member(sent, name)


# --- sizes --------------------------------------------------------------------

def recipe(chunks):
    """A parse result of so many chunks, compact."""
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
            '"large"}}' % (chunks, chunks, (chunks + 9) // 10,
                           ",".join(map(chunk, range(chunks))))).encode()


@pytest.mark.parametrize("chunks, size, digest", [
    (1, 1634,
     "4a50296fc614a23b069f0bbfcc59192c46bd30c4e7bb5eee7718c6410c62faca"),
    (100, 145308,
     "0edbc3a7d3d537eaeb87084b69ebec4969c08d505be9acef8bab8c7aa3ae42c5"),
    (700, 1017108,
     "d435e2555ecce8444058d862f8113229f859169b1ec8b9dff030d8dcc766819b"),
    (4000, 5818031,
     "0f07bb1e81a584edc05224613b0036af7fa158bf19cef46ac5ddd6dfd8213237"),
])
def test_large_results(direct, outlets, chunks, size, digest):
    body = recipe(chunks)
    assert (len(body), hashlib.sha256(body).hexdigest()) == (size, digest)
    direct()(body)
    start = body.index(b'"result":') + len(b'"result":')
    result = body[start:body.index(b',"metadata":')]
    for message in (m[0] for m in outlets.messages(1).values()):
        assert b'"result":' + result + b',"endpoint"' in message.value
        value = json.loads(message.value)
        assert value["job_type"] == "parse"
        assert len(value["result"]["result"]["chunks"]) == chunks


@pytest.mark.threads
def test_8_mib(direct, outlets):
    """The largest body that the defaults take, as a result and as metadata."""
    post = direct()
    limit = 8 * 1024 * 1024
    for name in ("result", "metadata"):
        empty = b'{"job_id":"%s","%s":""}' % (name.encode(), name.encode())
        body = empty[:-2] + b"y" * (limit - len(empty)) + empty[-2:]
        assert len(body) == limit
        post(body)
    for messages in outlets.messages(2).values():
        for message in messages:
            assert message.value.count(b"y") >= limit - 100
            assert b'"' + b"y" * (limit - 40) in message.value


def test_8_mib_of_metadata(direct, outlets):
    """Far beyond metadata_size: kept verbatim, only not routable."""
    inner = ",".join(f'"key-{n}" : {n}.50' for n in range(320_000))
    body = '{"job_id":"a","metadata":{' + inner + '}}'
    assert 6 * 2**20 < len(body) < 8 * 2**20
    direct()(body)
    text = '"metadata":{' + inner + '},'
    for message in (m[0] for m in outlets.messages(1).values()):
        assert text.encode() in message.value


def test_as_many_members_as_fit(direct, outlets):
    """Unknown members by the ten thousand, between the known ones."""
    def unknown(letter):
        return ",".join(f'"{letter}{n}": [{n}]' for n in range(10000))
    body = (f'{{{unknown("a")},"job_id":"j",{unknown("b")},"status":"Failed",'
            f'{unknown("c")}}}')
    direct()(body)
    wanted = [(k, v) for k, v in members(body)
              if k not in ("job_id", "status")]
    for message in (m[0] for m in outlets.messages(1).values()):
        text = message.value.decode()
        assert members(member(text, "extra")) == wanted
