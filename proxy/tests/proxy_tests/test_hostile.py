"""Requests that are refused, and requests that only look as if they should be.

Each is delivered whole, byte by byte, and with another request behind it. What is refused reaches no backend,
and nothing behind it is taken for a request.
"""

from __future__ import annotations

from contextlib import suppress

import pytest

from proxy_tests.backends import Backend, echo_body
from proxy_tests.conftest import Client, Proxy, StartProxy

HOST = b"Host: test\r\n"


def get(line: bytes = b"GET / HTTP/1.1\r\n", fields: bytes = HOST) -> bytes:
    return line + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


REQUEST_LINES = {
    "http 0.9": (b"GET /\r\n\r\n", 400),
    "two spaces before the target": (get(b"GET  / HTTP/1.1\r\n"), 400),
    "two spaces after the target": (get(b"GET /  HTTP/1.1\r\n"), 400),
    "tab as separator": (get(b"GET\t/ HTTP/1.1\r\n"), 400),
    "trailing space": (get(b"GET / HTTP/1.1 \r\n"), 400),
    "leading space": (get(b" GET / HTTP/1.1\r\n"), 400),
    "bare LF at the end": (get(b"GET / HTTP/1.1\n"), 400),
    "bare CR": (get(b"GET / HTTP/1.1\rX\r\n"), 400),
    "LF before the version": (get(b"GET /\nHTTP/1.1\r\n"), 400),
    "VT as separator": (get(b"GET\x0b/ HTTP/1.1\r\n"), 400),
    "FF as separator": (get(b"GET / \x0cHTTP/1.1\r\n"), 400),
    "space in the target": (get(b"GET /a b HTTP/1.1\r\n"), 400),
    "no target": (get(b"GET HTTP/1.1\r\n"), 400),
    "empty target": (get(b"GET  HTTP/1.1\r\n"), 400),
    "relative target": (get(b"GET a/b HTTP/1.1\r\n"), 400),
    "authority-form with GET": (get(b"GET test:80 HTTP/1.1\r\n"), 400),
    "asterisk with GET": (get(b"GET * HTTP/1.1\r\n"), 400),
    "asterisk and more": (get(b"OPTIONS */x HTTP/1.1\r\n"), 400),
    "fragment": (get(b"GET /a#b HTTP/1.1\r\n"), 400),
    "NUL in the target": (get(b"GET /\x00 HTTP/1.1\r\n"), 400),
    "DEL in the target": (get(b"GET /\x7f HTTP/1.1\r\n"), 400),
    "control in the target": (get(b"GET /\x01 HTTP/1.1\r\n"), 400),
    "bytes that are no UTF-8 in the query": (get(b"GET /?\xc3\x28 HTTP/1.1\r\n"), 400),
    "8 bits in the target": (get(b"GET /\xe4 HTTP/1.1\r\n"), 400),
    "CONNECT": (get(b"CONNECT test:443 HTTP/1.1\r\n"), 405),
    "TRACE": (get(b"TRACE / HTTP/1.1\r\n"), 405),
    "no token as method": (get(b"G(T / HTTP/1.1\r\n"), 400),
    "empty method": (get(b" / HTTP/1.1\r\n"), 400),
    "NUL in the method": (get(b"G\x00T / HTTP/1.1\r\n"), 400),
    "HTTP/2.0": (get(b"GET / HTTP/2.0\r\n"), 505),
    "HTTP/9.9": (get(b"GET / HTTP/9.9\r\n"), 505),
    "HTTP/1.2": (get(b"GET / HTTP/1.2\r\n"), 505),
    "HTTP/0.9": (get(b"GET / HTTP/0.9\r\n"), 505),
    "HTTP/1.10": (get(b"GET / HTTP/1.10\r\n"), 400),
    "HTTP/01.1": (get(b"GET / HTTP/01.1\r\n"), 400),
    "HTTP/1": (get(b"GET / HTTP/1\r\n"), 400),
    "HTTP/ 1.1": (get(b"GET / HTTP/ 1.1\r\n"), 400),
    "http/1.1": (get(b"GET / http/1.1\r\n"), 400),
    "RTSP/1.1": (get(b"GET / RTSP/1.1\r\n"), 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "userinfo": (get(b"GET http://user@test/ HTTP/1.1\r\n"), 400),
    "other authority than Host": (get(b"GET http://other/ HTTP/1.1\r\n"), 400),
    "other port than Host": (get(b"GET http://test:8080/ HTTP/1.1\r\n"), 400),
    "other scheme's default port": (get(b"GET http://test:443/ HTTP/1.1\r\n"), 400),
    "other scheme's default port of https": (get(b"GET https://test:80/ HTTP/1.1\r\n"), 400),
    "no authority": (get(b"GET http:///x HTTP/1.1\r\n"), 400),
    "other scheme": (get(b"GET ftp://test/ HTTP/1.1\r\n"), 400),
    "path before the scheme": (get(b"GET x/y://z HTTP/1.1\r\n"), 400),
    "long line": (get(b"GET /" + b"a" * 4200 + b" HTTP/1.1\r\n"), 414),
    "long line without an end": (b"GET /" + b"a" * 4200, 414),
    "two empty lines before": (b"\r\n\r\n" + get(), 400),
    "white space line before": (b" \r\n" + get(), 400),
    "PROXY protocol": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + get(), 400),
}

HOSTS = {
    "no Host": (get(fields=b""), 400),
    "two Hosts": (get(fields=HOST + HOST), 400),
    "two different Hosts": (get(fields=HOST + b"Host: other\r\n"), 400),
    "list of Hosts": (get(fields=b"Host: a, b\r\n"), 400),
    "Host with a path": (get(fields=b"Host: a/b\r\n"), 400),
    "Host with userinfo": (get(fields=b"Host: a@b\r\n"), 400),
    "Host with a space": (get(fields=b"Host: a b\r\n"), 400),
    "Host with NUL": (get(fields=b"Host: a\x00\r\n"), 400),
    "Host with a bad port": (get(fields=b"Host: a:b\r\n"), 400),
    "Host with a large port": (get(fields=b"Host: a:99999\r\n"), 400),
    "Host with port 0": (get(fields=b"Host: a:0\r\n"), 400),
    "empty Host": (get(fields=b"Host:\r\n"), 400),
    "Host in Connection": (get(fields=HOST + b"Connection: Host\r\n"), 400),
}

FIELDS = {
    "space before the colon": (get(fields=HOST + b"X : y\r\n"), 400),
    "tab before the colon": (get(fields=HOST + b"X\t: y\r\n"), 400),
    "no colon": (get(fields=HOST + b"X\r\n"), 400),
    "empty name": (get(fields=HOST + b": y\r\n"), 400),
    "folded with space": (get(fields=HOST + b"X: y\r\n z\r\n"), 400),
    "folded with tab": (get(fields=HOST + b"X: y\r\n\tz\r\n"), 400),
    "fold in the first line": (get(fields=b" X: y\r\n" + HOST), 400),
    "white space line": (get(fields=HOST + b" \r\n"), 400),
    "bare LF between fields": (get(fields=HOST + b"X: y\nZ: a\r\n"), 400),
    "bare CR in a value": (get(fields=HOST + b"X: y\rz\r\n"), 400),
    "NUL in a value": (get(fields=HOST + b"X: \x00\r\n"), 400),
    "control in a value": (get(fields=HOST + b"X: \x01\r\n"), 400),
    "VT in a value": (get(fields=HOST + b"X: \x0b\r\n"), 400),
    "DEL in a value": (get(fields=HOST + b"X: \x7f\r\n"), 400),
    "delimiter in a name": (get(fields=HOST + b"X(: y\r\n"), 400),
    "8 bits in a name": (get(fields=HOST + b"X\xe4: y\r\n"), 400),
    "NUL in a name": (get(fields=HOST + b"X\x00: y\r\n"), 400),
    "head ended by LF": (b"GET / HTTP/1.1\r\n" + HOST + b"\n", 400),
    "LF everywhere": (b"GET / HTTP/1.1\nHost: test\n\n", 400),
    "head ended by CR LF CR": (b"GET / HTTP/1.1\r\n" + HOST + b"\rX", 400),
    "name split over lines": (get(fields=HOST + b"Transfer-\r\nEncoding: chunked\r\n"), 400),
    "too many fields": (get(fields=HOST + b"X: y\r\n" * 90), 431),
    "a field too long": (get(fields=HOST + b"X: " + b"y" * 8190 + b"\r\n"), 431),
    "a head too long": (get(fields=HOST + (b"X: " + b"y" * 8000 + b"\r\n") * 5), 431),
    "two Content-Types": (post(b"Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 0\r\n"), 400),
}


def length(value: bytes) -> tuple[bytes, int]:
    return post(b"Content-Length: " + value + b"\r\n", b"hello"), 400


BAD_LENGTHS = (
    b"+5", b"-5", b"-0", b"0x5", b"1_0", b"0o5", b"5a", b"", b"1 0", b"5, 5", b"5, 6", b"5,", b"5.0", b'"5"', b"5\xa0",
    b"\xd9\xa5", b"9223372036854775808", b"18446744073709551621", b"99999999999999999999", b"5\x0b",
)  # fmt: skip

LENGTHS = {
    **{f"Content-Length: {value!r}": length(value) for value in BAD_LENGTHS},
    "two equal lengths": (post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), 400),
    "two different lengths": (post(b"Content-Length: 5\r\ncontent-length: 6\r\n", b"hello!"), 400),
    "empty and good length": (post(b"Content-Length:\r\nContent-Length: 5\r\n", b"hello"), 400),
    "space before the colon of a length": (post(b"Content-Length : 5\r\n", b"hello"), 400),
    "length in Connection": (post(b"Content-Length: 5\r\nConnection: Content-Length\r\n", b"hello"), 400),
}


def coding(value: bytes, status: int = 400) -> tuple[bytes, int]:
    return post(b"Transfer-Encoding: " + value + b"\r\n", b"5\r\nhello\r\n0\r\n\r\n"), status


CODINGS = {
    "length and chunked": (post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "chunked and length": (post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), 400),
    "length and gzip": (post(b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n", b"hello"), 400),
    "length and identity": (post(b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", b"hello"), 400),
    "length and an empty coding": (post(b"Content-Length: 5\r\nTransfer-Encoding:\r\n", b"hello"), 400),
    "two codings fields": (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400),
    "HTTP/1.0 with chunked": (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "space before the colon of a coding": (post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    "a coding hidden as fold": (post(b"X: y\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    "folded coding": (post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), 400),
    "coding in Connection": (post(b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n"), 400),
    **{
        f"Transfer-Encoding: {value!r}": coding(value)
        for value in (
            b"chunked, chunked", b"chunked, gzip", b"identity", b"identity, chunked", b",chunked", b"chunked,", b"",
            b'"chunked"', b"chunked;a=b", b"\x00chunked", b"\x0bchunked", b"chunked\x0c", b"\xa0chunked", b"\x85chunked",
            b"chun ked",
        )
    },
    **{
        f"Transfer-Encoding: {value!r}": coding(value, 501)
        for value in (b"gzip, chunked", b"xchunked", b"chunkedchunked", b"gzip", b"foo")
    },
}  # fmt: skip

CHUNKS = {
    name: (chunked(body), 400)
    for name, body in {
        "chunk 0x5": b"0x5\r\nhello\r\n0\r\n\r\n",
        "chunk +5": b"+5\r\nhello\r\n0\r\n\r\n",
        "chunk -5": b"-5\r\nhello\r\n0\r\n\r\n",
        "chunk 0_5": b"0_5\r\nhello\r\n0\r\n\r\n",
        "chunk with leading space": b" 5\r\nhello\r\n0\r\n\r\n",
        "chunk with trailing space": b"5 \r\nhello\r\n0\r\n\r\n",
        "chunk with trailing tab": b"5\t\r\nhello\r\n0\r\n\r\n",
        "chunk without a size": b"\r\nhello\r\n0\r\n\r\n",
        "chunk of no number": b"g\r\nhello\r\n0\r\n\r\n",
        "chunk size of 17 digits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        "chunk size beyond 63 bits": b"8000000000000000\r\nhello\r\n0\r\n\r\n",
        "chunk line ended by LF": b"5\nhello\r\n0\r\n\r\n",
        "chunk line ended by CR": b"5\rhello\r\n0\r\n\r\n",
        "chunk line ended by CR X": b"5\rX\nhello\r\n0\r\n\r\n",
        "LF after the data": b"5\r\nhello\n0\r\n\r\n",
        "two bytes after the data": b"5\r\nhelloXX0\r\n\r\n",
        "more data than the size": b"5\r\nhello!\r\n0\r\n\r\n",
        "no CRLF after the data": b"5\r\nhello0\r\n\r\n",
        "extension with a bare LF": b"5;a=b\nhello\r\n0\r\n\r\n",
        "extension with a bare CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        "extension with CR CR": b"5\r\r;a\r\nhello\r\n0\r\n\r\n",
        "extension with NUL": b"5;\x00\r\nhello\r\n0\r\n\r\n",
        "bare semicolon": b"5;\r\nhello\r\n0\r\n\r\n",
        "extension of no token": b"5;a(b\r\nhello\r\n0\r\n\r\n",
        "unbalanced quote": b'5;a="b\r\nhello\r\n0\r\n\r\n',
        "long extensions": b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        "last chunk ended by LF": b"5\r\nhello\r\n0\n\r\n",
        "body ended by LF": b"5\r\nhello\r\n0\r\n\n",
        "trailer without colon": b"0\r\nX\r\n\r\n",
        "folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
        "trailer with NUL": b"0\r\nX: \x00\r\n\r\n",
        "trailer ended by LF": b"0\r\nX: y\n\r\n",
        "long trailers": b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    }.items()
}

EXPECTATIONS = {
    "another expectation": (post(b"Expect: cookies\r\nContent-Length: 0\r\n"), 417),
    "two expectations": (post(b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"), 417),
    "obfuscated expectation": (post(b"Expect: y 100-continue\r\nContent-Length: 0\r\n"), 417),
}

REFUSED = {**REQUEST_LINES, **HOSTS, **FIELDS, **LENGTHS, **CODINGS, **CHUNKS, **EXPECTATIONS}

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"


def deliver(client: Client, request: bytes, how: str) -> None:
    if how == "byte by byte":
        for byte in request:
            client.send(bytes([byte]))
    else:
        client.send(request + (SMUGGLED if how == "with another request behind" else b""))


@pytest.fixture
def proxy(start_proxy: StartProxy, backend: Backend) -> Proxy:
    return start_proxy(backend)


@pytest.mark.parametrize("how", ["whole", "byte by byte", "with another request behind"])
@pytest.mark.parametrize("cases", [REQUEST_LINES, HOSTS, FIELDS, LENGTHS, CODINGS, CHUNKS, EXPECTATIONS])
def test_what_is_not_strict_http_is_refused_and_reaches_no_backend(
    proxy: Proxy, backend: Backend, cases: dict[str, tuple[bytes, int]], how: str
) -> None:
    for name, (request, status) in cases.items():
        with proxy.client() as client:
            with suppress(BrokenPipeError, ConnectionResetError):  # answered before the last byte was sent
                deliver(client, request, how)
            response = client.response()
            assert response.status == status, (name, how, response)
            response.problem()
            assert response.field("Connection") == "close", name
            assert status != 405 or response.field("Allow"), name
            assert client.ended(), (name, how)
    assert backend.requests == [], how
    assert len(REFUSED) > 150


ACCEPTED = {
    "asterisk with OPTIONS": (get(b"OPTIONS * HTTP/1.1\r\n"), b"OPTIONS * HTTP/1.1"),
    "an unknown method": (get(b"BREW /pot HTTP/1.1\r\n"), b"BREW /pot HTTP/1.1"),
    "a method in lower case": (get(b"get /x HTTP/1.1\r\n"), b"get /x HTTP/1.1"),
    "absolute-form": (get(b"GET http://test/a?b HTTP/1.1\r\n"), b"GET /a?b HTTP/1.1"),
    "absolute-form with the default port": (get(b"GET http://Test.:080/a HTTP/1.1\r\n"), b"GET /a HTTP/1.1"),
    "absolute-form of https": (get(b"GET HTTPS://test:443/a HTTP/1.1\r\n"), b"GET /a HTTP/1.1"),
    "absolute-form without a path": (get(b"GET HTTP://TEST?b HTTP/1.1\r\n"), b"GET /?b HTTP/1.1"),
    "absolute-form of OPTIONS": (get(b"OPTIONS http://test HTTP/1.1\r\n"), b"OPTIONS * HTTP/1.1"),
    "one empty line before": (b"\r\n" + get(), b"GET / HTTP/1.1"),
    "HTTP/1.0 without Host": (b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"GET /old HTTP/1.1"),
    "obs-text in a value": (get(fields=HOST + b"X: \xe4\r\n"), b"GET / HTTP/1.1"),
    "a longest line": (get(b"GET /" + b"a" * 4080 + b" HTTP/1.1\r\n"), b"GET /" + b"a" * 4080 + b" HTTP/1.1"),
    "a zero-padded length": (post(b"Content-Length: 005\r\n", b"hello"), b"POST / HTTP/1.1"),
    "chunked in capitals": (coding(b"Chunked")[0], b"POST / HTTP/1.1"),
    "good extensions": (chunked(b'5;a=b;c="d;\\"e" ; f\r\nhello\r\n0;x\r\n\r\n'), b"POST / HTTP/1.1"),
    "trailers": (chunked(b"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n"), b"POST / HTTP/1.1"),
    "a trailer like a request": (chunked(b"0\r\nX:POST / HTTP/1.1\r\n\r\n"), b"POST / HTTP/1.1"),
    "expectation in HTTP/1.0": (
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: x\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1",
    ),
}


@pytest.mark.parametrize("how", ["whole", "byte by byte", "with another request behind"])
def test_what_is_strict_http_reaches_the_backend_once_and_the_connection_goes_on(
    proxy: Proxy, backend: Backend, how: str
) -> None:
    backend.script = echo_body
    for name, (request, line) in ACCEPTED.items():
        backend.requests.clear()
        with proxy.client() as client:
            deliver(client, request, how)
            assert client.response().status == 200, name
            if how != "with another request behind":
                client.send(SMUGGLED)
            assert client.response().status == 200, name
        assert [one.line for one in backend.requests] == [line, b"GET /smuggled HTTP/1.1"], name
        assert backend.requests[0].body in (b"", b"hello"), name
