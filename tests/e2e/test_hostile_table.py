# SPDX-License-Identifier: Apache-2.0
"""Hostile HTTP, one input a line: what two readers could take for different
requests is refused, and the connection ends.

Every input is an authentic webhook but for what its line says, and behind it
stands another webhook: where a lenient server would take it for the second
request, that event would be found in the file and in the counts. Each input is
sent twice: as a whole, and byte by byte.
"""

import collections
import contextlib

import pytest

from rawhttp import (BODY, BOTH_LENGTH, CHUNKED, END, HOST, LAST_CHUNK, LENGTH,
                     LINE, NEXT, NEXT_LENGTH, SIGNATURE, Front, answers_to_end,
                     chunk, post, post_chunks)

LINE_1_0 = b"POST /all HTTP/1.0\r\n"
NAMED = b"Content-Length: "
CODED = b"Transfer-Encoding: "
CHUNKED_BODY = chunk(BODY) + LAST_CHUNK + END


def line(text):
    """Another request line."""
    return post(line=text + END)


def target(text, **more):
    return post(line=b"POST " + text + b" HTTP/1.1\r\n", **more)


def method(text, where=b"/all"):
    return line(text + b" " + where + b" HTTP/1.1")


def version(text):
    return line(b"POST /all " + text)


def length(value):
    return post(NAMED + value + END)


def coded(value, body=b""):
    """A reader who does not know this coding finds no body: what follows would
    be the next request. body: for who does know it."""
    return post(CODED + value + END, body)


def field(text):
    """One more header line."""
    return post(text + LENGTH)


def size(text, data=BODY):
    return post_chunks(chunk(data, text))


# What is refused, with its code: one answer, FIN, and nothing is executed.
REFUSED = [
    # --- Content-Length -------------------------------------------------------
    ("lengths differ, first right", post(LENGTH + NAMED + BOTH_LENGTH + END),
     400),
    ("lengths differ, last right", post(NAMED + BOTH_LENGTH + END + LENGTH),
     400),
    ("lengths differ, any case", post(LENGTH + b"content-LENGTH: 5\r\n"), 400),
    ("lengths equal", post(LENGTH + LENGTH), 400),
    ("length list", length(b"%d, %d" % (len(BODY), len(BODY))), 400),
    ("length, comma behind", length(b"%d," % len(BODY)), 400),
    ("length, comma before", length(b",%d" % len(BODY)), 400),
    ("length, plus", length(b"+%d" % len(BODY)), 400),
    ("length, minus", length(b"-%d" % len(BODY)), 400),
    ("length, VT before", length(b"\v%d" % len(BODY)), 400),
    ("length, FF behind", length(b"%d\f" % len(BODY)), 400),
    ("length, NUL inside", length(b"5\0 8"), 400),
    ("length, hexadecimal", length(b"0x%x" % len(BODY)), 400),
    ("length, two numbers", length(b"%d 6" % len(BODY)), 400),
    ("length, empty", length(b""), 400),
    ("length, blank", length(b" \t "), 400),
    ("length, exponent", length(b"5e1"), 400),
    ("length, fraction", length(b"%d.0" % len(BODY)), 400),
    ("length, foreign digits", length("\u0665\u0668".encode()), 400),
    ("length, quoted", length(b'"%d"' % len(BODY)), 400),
    ("length 2^63-1", length(b"9223372036854775807"), 413),
    ("length 2^63", length(b"9223372036854775808"), 413),
    ("length 2^64+58", length(b"%d" % ((1 << 64) + len(BODY))), 413),
    ("length 2^32+58", length(b"%d" % ((1 << 32) + len(BODY))), 413),
    ("length, 30 nines", length(b"9" * 30), 413),
    ("length, 25 digits", length(b"%025d" % len(BODY)), 413),
    ("no length", post(b"", b""), 411),
    ("no length but a body", post(b""), 411),
    # --- Transfer-Encoding ----------------------------------------------------
    ("length and coding", post(LENGTH + CHUNKED, CHUNKED_BODY), 400),
    ("coding and length", post(CHUNKED + LENGTH, CHUNKED_BODY), 400),
    ("length 0 and coding", post(NAMED + b"0\r\n" + CHUNKED, CHUNKED_BODY),
     400),
    ("coding gzip, chunked", coded(b"gzip, chunked"), 501),
    ("coding, comma before", coded(b",chunked"), 501),
    ("coding, comma behind", coded(b"chunked,"), 501),
    ("coding, parameter", coded(b"chunked;x=y"), 501),
    ("coding chunked twice", coded(b"chunked, chunked"), 501),
    ("coding chunked, identity", coded(b"chunked, identity"), 501),
    ("coding identity", coded(b"identity"), 501),
    ("coding identity and length", post(CODED + b"identity\r\n" + LENGTH), 400),
    ("coding xchunked", coded(b"xchunked"), 501),
    ("coding chunkedx", coded(b"chunkedx"), 501),
    ("coding quoted", coded(b'"chunked"'), 501),
    ("coding empty", coded(b""), 501),
    ("coding, VT before", coded(b"\vchunked"), 400),
    ("coding, NUL behind", coded(b"chunked\0"), 400),
    ("coding, CR behind", coded(b"chunked\r"), 400),
    ("codings chunked, identity", coded(b"chunked\r\n" + CODED + b"identity"),
     400),
    ("codings identity, chunked", coded(b"identity\r\n" + CODED + b"chunked"),
     400),
    ("codings chunked twice", coded(b"chunked\r\n" + CODED + b"chunked"), 400),
    ("coding in 1.0", post(CHUNKED, CHUNKED_BODY, line=LINE_1_0), 400),
    ("coding in 1.0, kept alive", post(b"Connection: keep-alive\r\n" + CHUNKED,
                                       CHUNKED_BODY, line=LINE_1_0), 400),
    # --- header names ---------------------------------------------------------
    ("coding, space before colon", post(b"Transfer-Encoding : chunked\r\n",
                                        b""), 400),
    ("coding, tab before colon", post(b"Transfer-Encoding\t: chunked\r\n",
                                      b""), 400),
    ("length, space before colon", post(b"Content-Length : " + NEXT_LENGTH +
                                        END, NEXT), 400),
    ("length, tab before colon", post(b"Content-Length\t: " + NEXT_LENGTH + END,
                                      NEXT), 400),
    ("name, space inside", field(b"X A: b\r\n"), 400),
    ("name, control", field(b"X\x01: b\r\n"), 400),
    ("name, DEL", field(b"X\x7f: b\r\n"), 400),
    ("name, NUL", field(b"X\0: b\r\n"), 400),
    ("name, high byte", field(b"X\x80: b\r\n"), 400),
    ("name, UTF-8", field("\u00c4: b\r\n".encode()), 400),
    ("name, bracket", field(b"X(: b\r\n"), 400),
    ("name, slash", field(b"X/Y: b\r\n"), 400),
    ("name, quote", field(b'X": b\r\n'), 400),
    ("name, empty", field(b": x\r\n"), 400),
    ("no colon", field(b"nocolon\r\n"), 400),
    ("fold on a header", field(b"X: a\r\n b\r\n"), 400),
    ("fold with tab", field(b"X: a\r\n\tb\r\n"), 400),
    ("fold, blank line", field(b"X: a\r\n \r\n"), 400),
    ("fold on the length", post(b"Content-Length: 5\r\n 8\r\n"), 400),
    ("fold before the length", post(b"Content-Length:\r\n 58\r\n"), 400),
    ("fold on the coding", post(b"Transfer-Encoding:\r\n chunked\r\n", b""),
     400),
    ("fold on the host", post(host=b"Host: a\r\n b\r\n"), 400),
    ("space before first header", post(host=b" X: a\r\n" + HOST), 400),
    ("tab before first header", post(host=b"\tX: a\r\n" + HOST), 400),
    ("space before first header, a length", post(
        host=b" Content-Length: 0\r\n" + HOST), 400),
    # --- line ends ------------------------------------------------------------
    ("bare LF everywhere", post().replace(b"\r\n", b"\n"), 400),
    ("bare LF, request line", post(line=b"POST /all HTTP/1.1\n"), 400),
    ("bare LF, one header", field(b"X: a\n"), 400),
    ("bare LF, last line", LINE + HOST + LENGTH + b"\n" + BODY, 400),
    ("bare LF twice ends no head", LINE + HOST + b"X: a\n\n" + NEXT, 400),
    ("LF CR", field(b"X: a\n\r"), 400),
    ("bare CR, value", field(b"X: a\rb\r\n"), 400),
    ("bare CR, whole header", field(b"X: a\r" + CHUNKED), 400),
    ("bare CR, doubled", field(b"X: a\r\r\n"), 400),
    ("bare CR, target", target(b"/all\r"), 400),
    ("bare CR, request line", post(line=b"POST /all HTTP/1.1\r"), 400),
    ("bare CR, end of head", LINE + HOST + LENGTH + b"\r\r\n" + BODY, 400),
    ("NUL in a value", field(b"X: a\0b\r\n"), 400),
    ("NUL first in a header", LINE + HOST + NAMED + b"0\r\n\0\r\n" + NEXT, 400),
    ("NUL header before the length", LINE + HOST + b"\0X: a\r\n" + LENGTH + END
     + BODY, 400),
    ("NUL before the request", b"\0" + post(), 400),
    ("value, SOH", field(b"X: a\x01\r\n"), 400),
    ("value, backspace", field(b"X: a\bb\r\n"), 400),
    ("value, VT", field(b"X: a\vb\r\n"), 400),
    ("value, ESC", field(b"X: \x1b[2J\r\n"), 400),
    ("value, US", field(b"X: \x1f\r\n"), 400),
    ("value, DEL", field(b"X: a\x7f\r\n"), 400),
    # --- Host -----------------------------------------------------------------
    ("no host", post(host=b""), 400),
    ("two hosts", post(host=b"Host: a\r\nHost: b\r\n"), 400),
    ("the same host twice", post(host=HOST + HOST), 400),
    ("host, space", post(host=b"Host: a b\r\n"), 400),
    ("host, path", post(host=b"Host: a/@\r\n"), 400),
    ("host, user", post(host=b"Host: u@a\r\n"), 400),
    ("host, list", post(host=b"Host: a,\x00b\r\n"), 400),
    ("host, high byte", post(host=b"Host: \xe4\r\n"), 400),
    ("no host, whole target", target(b"http://a/all", host=b""), 400),
    # --- other headers of which there is one ----------------------------------
    ("two media types", field(b"Content-Type: application/json\r\n" * 2), 400),
    ("two credentials", field(b"Authorization: Basic a\r\n" * 2), 400),
    ("two expectations", field(b"Expect: 100-continue\r\n" * 2), 400),
    ("two signatures", post(SIGNATURE + LENGTH), 401),
    # --- targets --------------------------------------------------------------
    ("target abcdef", target(b"abcdef"), 400),
    ("target all", target(b"all"), 400),
    ("target a:80", target(b"a:80"), 400),
    ("target a b c", target(b"a b c"), 400),
    ("target, space", target(b"/all /all"), 400),
    ("target, two spaces before", target(b" /all"), 400),
    ("target, two spaces behind", target(b"/all "), 400),
    ("target, tab", target(b"/all\t"), 400),
    ("target, NUL", target(b"/all\0"), 400),
    ("target, high byte", target(b"/all\xff"), 400),
    ("target, UTF-8", target("/all\u00e4".encode()), 400),
    ("target, fragment", target(b"/all#frag"), 400),
    ("target //x", target(b"//x"), 400),
    ("target //all", target(b"//all"), 400),
    ("target empty", line(b"POST HTTP/1.1"), 400),
    ("target star", target(b"*"), 400),
    ("target with user", target(b"http://u@h/all"), 400),
    ("target without host", target(b"http:///all"), 400),
    ("target without path", target(b"http://h"), 400),
    ("target, host and //", target(b"http://h//all"), 400),
    ("target, other scheme", target(b"ftp://h/all"), 400),
    ("target, other case", target(b"/ALL"), 404),
    ("target, slash behind", target(b"/all/"), 404),
    ("target, escaped", target(b"/%61ll"), 404),
    ("target, dot", target(b"/./all"), 404),
    ("target, dots", target(b"/x/../all"), 404),
    ("target, parameter", target(b"/all;x"), 404),
    ("target of 2049 bytes", target(b"/" + b"a" * 2048), 414),
    ("target of 20000 bytes", target(b"/" + b"a" * 19999), 414),
    # --- methods --------------------------------------------------------------
    ("OPTIONS star", method(b"OPTIONS", b"*"), 405),
    ("OPTIONS", method(b"OPTIONS"), 405),
    ("CONNECT", method(b"CONNECT", b"a:80"), 405),
    ("CONNECT with a path", method(b"CONNECT"), 405),
    ("PATCH", method(b"PATCH"), 405),
    ("TRACE", method(b"TRACE"), 405),
    ("PUT", method(b"PUT"), 405),
    ("DELETE", method(b"DELETE"), 405),
    ("GET without a body", post(b"", b"", line=b"GET /all HTTP/1.1\r\n"), 405),
    ("GET with a body", post(NAMED + NEXT_LENGTH + END, NEXT,
                             line=b"GET /all HTTP/1.1\r\n"), 405),
    ("HEAD with a body", post(NAMED + NEXT_LENGTH + END, NEXT,
                              line=b"HEAD /all HTTP/1.1\r\n"), 405),
    ("HEAD without a body", post(b"", b"", line=b"HEAD /all HTTP/1.1\r\n"),
     405),
    ("method BREW", method(b"BREW"), 501),
    ("method post", method(b"post"), 501),
    ("method Post", method(b"Post"), 501),
    ("method POSTX", method(b"POSTX"), 501),
    ("method PRI", method(b"PRI", b"*"), 501),
    ("method, quote", method(b'PO"ST'), 400),
    ("method, tab behind", line(b"POST\t/all HTTP/1.1"), 400),
    ("method, space before", method(b" POST"), 400),
    ("method, NUL", method(b"PO\0ST"), 400),
    # --- versions -------------------------------------------------------------
    ("version 1.10", version(b"HTTP/1.10"), 400),
    ("version 01.1", version(b"HTTP/01.1"), 400),
    ("version +1.1", version(b"HTTP/+1.1"), 400),
    ("version 1.-1", version(b"HTTP/1.-1"), 400),
    ("version 4294967297.1", version(b"HTTP/4294967297.1"), 400),
    ("version 1", version(b"HTTP/1"), 400),
    ("version 1.", version(b"HTTP/1."), 400),
    ("version 1,1", version(b"HTTP/1,1"), 400),
    ("version, space behind", version(b"HTTP/1.1 "), 400),
    ("version, text behind", version(b"HTTP/1.1 x"), 400),
    ("version lower case", version(b"http/1.1"), 400),
    ("version of others", version(b"ICAP/1.1"), 400),
    ("no version", line(b"POST /all"), 400),
    ("version 0.9", version(b"HTTP/0.9"), 505),
    ("version 2.0", version(b"HTTP/2.0"), 505),
    ("version 3.0", version(b"HTTP/3.0"), 505),
    ("preface of HTTP 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    # --- what stands before the request line ----------------------------------
    ("two empty lines", END + END + post(), 400),
    ("empty line of LF", b"\n" + post(), 400),
    ("CR before", b"\r" + post(), 400),
    ("CR CR LF before", b"\r\r\n" + post(), 400),
    ("space before", b" " + post(), 400),
    ("BOM before", b"\xef\xbb\xbf" + post(), 400),
    # --- chunk sizes ----------------------------------------------------------
    ("size 0x5", size(b"0x%x" % len(BODY)), 400),
    ("size +5", size(b"+%x" % len(BODY)), 400),
    ("size -5", size(b"-%x" % len(BODY)), 400),
    ("size, space before", size(b" %x" % len(BODY)), 400),
    ("size, space behind", size(b"%x " % len(BODY)), 400),
    ("size, tab behind", size(b"%x\t;a=b" % len(BODY)), 400),
    ("size, junk behind", size(b"%x junk" % len(BODY)), 400),
    ("size empty", size(b""), 400),
    ("size, no digit", size(b"g"), 400),
    ("size, only an extension", size(b";a=b"), 400),
    ("size, NUL behind", size(b"%x\0" % len(BODY)), 400),
    ("size, underscore", size(b"3_a"), 400),
    ("extension, control", size(b"%x;a=\x01" % len(BODY)), 400),
    ("extension, bare LF", size(b"%x;a\n0" % len(BODY)), 400),
    ("extension, bare CR", size(b"%x;a\rb" % len(BODY)), 400),
    ("extension of 300 bytes", size(b"%x;" % len(BODY) + b"a" * 300), 400),
    ("size 2^63-1", size(b"7fffffffffffffff"), 413),
    ("size 2^63", size(b"8000000000000000"), 413),
    ("size 2^64-1", size(b"ffffffffffffffff"), 413),
    ("size 2^64+58", size(b"1%016x" % len(BODY)), 413),
    ("size of 16 digits", size(b"%016x" % len(BODY)), 413),
    ("size of 100 digits", size(b"0" * 98 + b"%x" % len(BODY)), 413),
    ("size beyond the limit", size(b"200001"), 413),
    # --- chunk data and what stands between -----------------------------------
    ("data, XX behind", post_chunks(chunk(BODY, end=b"XX")), 400),
    ("data longer than its size", post_chunks(chunk(BODY + b" ", b"3a")), 400),
    ("data without an end", post_chunks(chunk(BODY, end=b"")), 400),
    ("data, LF behind", post_chunks(chunk(BODY, end=b"\n")), 400),
    ("data, CR behind", post_chunks(chunk(BODY, end=b"\r")), 400),
    ("data, blank line behind", post_chunks(chunk(BODY) + END), 400),
    ("blank line before the first chunk", post_chunks(END, chunk(BODY)), 400),
    ("bare LF in chunk lines", post(CHUNKED, b"%x\n%s\n0\n\n" % (
        len(BODY), BODY)), 400),
    ("bare LF behind a size", post(CHUNKED, b"%x\n%s\r\n0\r\n\r\n" % (
        len(BODY), BODY)), 400),
    ("bare CR behind a size", post(CHUNKED, b"%x\r%s\r\n0\r\n\r\n" % (
        len(BODY), BODY)), 400),
    ("bare LF behind the last size", post_chunks(chunk(BODY),
                                                 last=b"0\n\r\n"), 400),
    ("bare LF at the very end", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                            b"\n"), 400),
    # --- trailers -------------------------------------------------------------
    ("trailer, no colon", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                      b"nocolon\r\n\r\n"), 400),
    ("trailer, space in its name", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                               b"X A: b\r\n\r\n"), 400),
    ("trailer folded", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                   b"X: a\r\n b\r\n\r\n"), 400),
    ("trailer, NUL", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                 b"X: \0\r\n\r\n"), 400),
    ("trailer, bare LF", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                     b"X: a\n\r\n"), 400),
    ("trailer, bare CR", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                     b"X: a\rb\r\n\r\n"), 400),
    ("trailers of 5000 bytes", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                           b"X: a\r\n" * 833 + END), 400),
    # --- expectations ---------------------------------------------------------
    ("Expect: x", field(b"Expect: x\r\n"), 417),
    ("Expect: 100-continue, x", field(b"Expect: 100-continue, x\r\n"), 417),
    ("Expect: nothing", field(b"Expect:\r\n"), 417),
    ("Expect, too long", post(b"Expect: 100-continue\r\n" + NAMED +
                              b"9999999\r\n"), 413),
    ("Expect, unknown path", target(b"/other", fields=LENGTH +
                                    b"Expect: 100-continue\r\n"), 404),
    # --- the head's size ------------------------------------------------------
    ("a header of 20000 bytes", field(b"X: " + b"a" * 20000 + END), 431),
    ("101 headers", field(b"X:\r\n" * 97), 431),
    ("60000 tiny headers", field(b":\r\n" * 60000), 431),
    # --- other protocols ------------------------------------------------------
    ("TLS", bytes.fromhex("16030100c8010000c40303") + bytes(197), 400),
    ("TLS, old greeting", bytes.fromhex("802e0100020015000000100100800200"),
     400),
    ("SOCKS", b"\5\1\0", 400),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ("SMTP", b"EHLO a\r\n\r\n", 400),
    ("Redis", b"*1\r\n$4\r\nPING\r\n\r\n", 400),
    ("PROXY 1", b"PROXY TCP4 127.0.0.1 127.0.0.2 1 2\r\n" + post(), 400),
    ("PROXY 2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + post(),
     400),
]

# What is accepted; True: the connection goes on with the next request, False:
# it ends with the answer.
SERVED = [
    ("plain", post(), True),
    ("length with zeros", length(b"0000%d" % len(BODY)), True),
    ("length, white space around", length(b" \t%d\t " % len(BODY)), True),
    ("coding in upper case", post(CODED + b"CHUNKED\r\n", CHUNKED_BODY),
     True),
    ("one chunk", post_chunks(chunk(BODY)), True),
    ("a chunk for each byte", post_chunks(*(
        chunk(BODY[i:i + 1]) for i in range(len(BODY)))), True),
    ("size in upper case", size(b"3A"), True),
    ("size with zeros", size(b"0000003a"), True),
    ("extension", size(b"%x;a=b" % len(BODY)), True),
    ("extension, quoted", size(b'%x;a="b;\tc"' % len(BODY)), True),
    ("extension, empty", size(b"%x;" % len(BODY)), True),
    ("extension of 256 bytes", size(b"%x;" % len(BODY) + b"a" * 255), True),
    ("extension of the last chunk", post_chunks(chunk(BODY), last=b"0;a\r\n" +
                                                END), True),
    ("last size with zeros", post_chunks(chunk(BODY), last=b"000\r\n" + END),
     True),
    ("trailer", post_chunks(chunk(BODY), last=LAST_CHUNK + b"X: a\r\n" + END),
     True),
    ("trailer, a length", post_chunks(chunk(BODY), last=LAST_CHUNK + NAMED +
                                      NEXT_LENGTH + END + END), True),
    ("trailer, a coding", post_chunks(chunk(BODY), last=LAST_CHUNK + CHUNKED +
                                      END), True),
    ("trailer, another signature", post_chunks(
        chunk(BODY), last=LAST_CHUNK + b"svix-signature: v1,x\r\n" + END),
     True),
    ("trailer, close", post_chunks(chunk(BODY), last=LAST_CHUNK +
                                   b"Connection: close\r\n" + END), True),
    ("empty line before", END + post(), True),
    ("host empty", post(host=b"Host:\r\n"), True),
    ("host of IPv6", post(host=b"Host: [::1]:8080\r\n"), True),
    ("target whole", target(b"http://other.example:80/all"), True),
    ("target whole, TLS", target(b"HTTPS://other.example/all"), True),
    ("target with a query", target(b"/all?a=b?c"), True),
    ("value, high bytes", field(b"X: \x80\xff\r\n"), True),
    ("value, tab", field(b"X: \ta\tb \r\n"), True),
    ("value empty", field(b"X:\r\n"), True),
    ("a header of 10000 bytes", field(b"X: " + b"a" * 10000 + END), True),
    ("95 more headers", field(b"X:\r\n" * 95), True),
    ("version 1.2", version(b"HTTP/1.2"), True),
    ("version 1.9", version(b"HTTP/1.9"), True),
    ("Upgrade", field(b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"),
     True),
    ("Connection: upgrade", field(b"Connection: upgrade, HTTP2-Settings\r\n"
                                  b"Upgrade: h2c\r\n"), True),
    ("Connection: keep-alive", field(b"Connection: keep-alive\r\n"), True),
    ("Connection: closed", field(b"Connection: closed\r\n"), True),
    ("Connection: close", field(b"Connection: close\r\n"), False),
    ("Connection: keep-alive, close", field(
        b"Connection: keep-alive, close\r\n"), False),
    ("Connection: CLOSE ,keep-alive", field(
        b"Connection: CLOSE ,keep-alive\r\n"), False),
    ("Connection twice", field(b"Connection: keep-alive\r\n"
                               b"Connection: x, close\r\n"), False),
    ("Upgrade and close", field(b"Connection: upgrade, close\r\n"
                                b"Upgrade: h2c\r\n"), False),
    ("1.0", version(b"HTTP/1.0"), False),
    ("1.0 without a host", post(line=LINE_1_0, host=b""), False),
    ("1.0, close", post(b"Connection: close\r\n" + LENGTH, line=LINE_1_0),
     False),
    ("1.0, kept alive", post(b"Connection: keep-alive\r\n" + LENGTH,
                             line=LINE_1_0), True),
]


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """One daemon for all rows, and what it should have counted."""
    daemon = Front(str(tmp_path_factory.mktemp("table") / "front"))
    daemon.answered = collections.Counter()
    daemon.forbidden, daemon.expected = set(), set()
    daemon.start()
    try:
        yield daemon
        daemon.finish()
    finally:
        daemon.kill()


def rows(table):
    """One test a row and a way to send it."""
    return pytest.mark.parametrize(
        "way, request_, outcome",
        [pytest.param(way, *row[1:], id=f"{row[0]} {way}")
         for row in table for way in ("whole", "bytewise")])


def send(connection, way, data):
    """Who is refused early need not be listened to."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        if way == "whole":
            connection.send(data)
        else:
            connection.send_bytewise(data[:4000])
            connection.send(data[4000:])


class Row:
    """A row under way: its webhook and the one behind it."""

    count = 0

    def __init__(self, front, template):
        Row.count += 1
        self.front = front
        self.id, self.next_id = f"row-{Row.count:04}", f"next-{Row.count:04}"
        self.bytes = front.fill(template + NEXT, self.id, self.next_id)

    def run(self, way, method="POST"):
        """Sends it; the answers until the daemon has finished."""
        with self.front.connect(timeout=5) as connection:
            send(connection, way, self.bytes)
            answers = answers_to_end(connection, method)
        self.front.answered.update(a.status for a in answers)
        return answers

    def assert_events(self, wanted, unwanted):
        self.front.expected |= wanted
        self.front.forbidden |= unwanted
        ids = self.front.ids()
        assert wanted <= set(ids), ids[-3:]
        assert not unwanted & set(ids), ids[-3:]
        assert len(set(ids)) == len(ids)


@rows(REFUSED)
def test_refused(front, way, request_, outcome):
    row = Row(front, request_)
    answers = row.run(way, "HEAD" if request_.startswith(b"HEAD") else "POST")
    assert [a.status for a in answers] == [outcome], answers
    assert answers[0].headers["connection"] == "close"
    assert (outcome == 405) == (answers[0].headers.get("allow") == "POST")
    row.assert_events(set(), {row.id, row.next_id})


@rows([row for row in SERVED if row[2]])
def test_served(front, way, request_, outcome):
    row = Row(front, request_)
    with front.connect() as connection:
        send(connection, way, row.bytes)
        answers = [connection.read_answer() for _ in range(2)]
        # And nothing is left over that would be taken for a third.
        answers.append(connection.request("GET", "/nothing"))
        connection.finish_sending()
        assert connection.is_closed()
    front.answered.update(a.status for a in answers)
    assert [a.status for a in answers] == [200, 200, 404]
    assert [a.json().get("id") for a in answers[:2]] == [row.id, row.next_id]
    row.assert_events({row.id, row.next_id}, set())


@rows([row for row in SERVED if not row[2]])
def test_served_last(front, way, request_, outcome):
    row = Row(front, request_)
    answers = row.run(way)
    assert [a.status for a in answers] == [200], answers
    assert answers[0].headers["connection"] == "close"
    row.assert_events({row.id}, {row.next_id})


@pytest.mark.parametrize("way", ["whole", "bytewise"])
def test_a_signature_in_trailers_is_none(front, way):
    """They are read past: this request has no signature."""
    row = Row(front, post(CHUNKED, chunk(BODY) + LAST_CHUNK + SIGNATURE + END,
                          signature=b""))
    answers = row.run(way)
    assert [a.status for a in answers] == [401]
    row.assert_events(set(), {row.id, row.next_id})


def test_100_continue(front):
    """Only to who may go on, and only where the body is still to come."""
    row = Row(front, post(b"Expect: 100-Continue\r\n" + LENGTH))
    head = row.bytes.index(BODY)
    with front.connect() as connection:
        connection.send(row.bytes[:head])
        assert connection.read_answer().status == 100
        connection.send(row.bytes[head:])
        answers = [connection.read_answer() for _ in range(2)]
    front.answered.update(a.status for a in answers)
    assert [a.status for a in answers] == [200, 200]
    row.assert_events({row.id, row.next_id}, set())


def test_the_books_balance(front):
    """The last of this file: what was executed unseen would have been counted,
    or have left its event."""
    assert front.terminate() == 0
    ids = set(front.ids())
    assert not ids & front.forbidden
    assert front.expected <= ids
    for code, count in front.answered.items():
        assert front.metric("http_requests_total", code=str(code)) == count
    assert (front.metric("http_requests_total")
            - front.metric("http_requests_total", code="499")
            == sum(front.answered.values()))
    assert front.metric("events_total") == len(ids) == len(front.expected)
