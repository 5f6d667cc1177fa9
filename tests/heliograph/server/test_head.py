"""Heads that could be read in two ways."""

from __future__ import annotations

import io

import pytest

from heliograph.problems import (
    BadRequest,
    HeadersTooLarge,
    MethodNotAllowed,
    NotAvailable,
    VersionNotSupported,
)
from heliograph.server.head import MAX_HEAD, StrictLines, check_framing, read_request_line
from tests.serving import CLOSE, Answer, Server, problem


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.0\r\n",
        "M-SEARCH /x HTTP/1.0\r\n",
        "GET /\xc3\xa9?\xe2\x82\xac HTTP/1.1\r\n",
        "OPTIONS http://a/ HTTP/1.1\r\n",
    ],
)
def test_request_lines_that_are_taken(line: str) -> None:
    read_request_line(line)


@pytest.mark.parametrize(
    "line",
    [
        "GET / HTTP/1.1\n",
        "GET  / HTTP/1.1\r\n",
        "GET /\r\n",
        "GET / HTTP/1.1 \r\n",
        "GET /\xe9 HTTP/1.1\r\n",
        "GET /?\xff HTTP/1.1\r\n",
        "GET * HTTP/1.1\r\n",
        "GET x HTTP/1.1\r\n",
        "GET http://user@localhost/ HTTP/1.1\r\n",
        " GET / HTTP/1.1\r\n",
        "GET\t/ HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET /\x00 HTTP/1.1\r\n",
        "GET /\x0b HTTP/1.1\r\n",
        "G(T / HTTP/1.1\r\n",
        "GET / http/1.1\r\n",
        "\r\n",
        "",
        "GET / HTTP/1.1",
    ],
)
def test_request_lines_that_are_refused(line: str) -> None:
    with pytest.raises(BadRequest):
        read_request_line(line)


@pytest.mark.parametrize("version", ["HTTP/1.2", "HTTP/2.0", "HTTP/0.9"])
def test_other_versions_are_refused_as_such(version: str) -> None:
    with pytest.raises(VersionNotSupported):
        read_request_line(f"GET / {version}\r\n")


def test_the_method_for_proxies_is_refused_with_what_is_taken() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        read_request_line("CONNECT / HTTP/1.1\r\n")
    assert "GET" in caught.value.headers["Allow"]


def read(head: bytes) -> list[bytes]:
    lines = StrictLines(io.BytesIO(head))
    found = []
    while (line := lines.readline(65537)) != b"\r\n":
        found.append(line)
    return found


def test_ordinary_fields_are_passed_on() -> None:
    fields = [b"Host: a\r\n", b"X:\r\n", b"X-Y_1:\t v\xff \r\n"]
    assert read(b"".join(fields) + b"\r\nrest") == fields


@pytest.mark.parametrize(
    "field",
    [
        b"A : b\r\n",
        b" A: b\r\n",
        b"A: b\n",
        b"A\r\n",
        b": b\r\n",
        b"A: b\rC: d\r\n",
        b"A: \x00\r\n",
        b"A: \x7f\r\n",
        b"\xc3: b\r\n",
        b"A: b",
    ],
)
def test_other_lines_are_refused(field: bytes) -> None:
    with pytest.raises(BadRequest):
        read(b"Host: a\r\n" + field + b"\r\n")


def test_a_head_is_bounded() -> None:
    assert len(read(b"A: %b\r\n" % (b"x" * 1000) * 60 + b"\r\n")) == 60
    with pytest.raises(HeadersTooLarge) as caught:
        read(b"A: %b\r\n" % (b"x" * 1000) * 66 + b"\r\n")
    assert caught.value.extra == {"limit": MAX_HEAD}
    with pytest.raises(HeadersTooLarge):
        read(b"A: " + b"x" * MAX_HEAD + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("lengths", "encodings"), [([], []), (["0"], []), (["17"], []), ([], ["chunked"]), ([], ["Chunked"])]
)
def test_framing_that_is_taken(lengths: list[str], encodings: list[str]) -> None:
    check_framing("HTTP/1.1", lengths, encodings)


@pytest.mark.parametrize(
    ("lengths", "encodings"),
    [
        (["1", "2"], []),
        (["1", "1"], []),
        (["1, 1"], []),
        (["+1"], []),
        (["-1"], []),
        (["1_0"], []),
        (["0x1"], []),
        ([""], []),
        (["٣"], []),
        (["9" * 19], []),
        (["5"], ["chunked"]),
        ([], ["chunked", "chunked"]),
        ([], ["identity"]),
        ([], ["chunked, gzip"]),
        ([], [""]),
    ],
)
def test_framing_that_is_refused(lengths: list[str], encodings: list[str]) -> None:
    with pytest.raises(BadRequest):
        check_framing("HTTP/1.1", lengths, encodings)


@pytest.mark.parametrize("coding", ["gzip, chunked", "xchunked", "GZIP"])
def test_other_codings_are_not_built(coding: str) -> None:
    with pytest.raises(NotAvailable):
        check_framing("HTTP/1.1", [], [coding])


def test_http_1_0_knows_no_transfer_encoding() -> None:
    with pytest.raises(BadRequest):
        check_framing("HTTP/1.0", [], ["chunked"])


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    [
        ("/echo?a=http://x/", "/echo?a=http://x/", None),
        ("/caf\xc3\xa0?\xc2\x85", "/caf%C3%A0?%C2%85", None),
        ("http://localhost:8000/echo?b", "/echo?b", "localhost:8000"),
        ("HTTPS://localhost", "/", "localhost"),
        ("http://localhost?q", "/?q", "localhost"),
    ],
)
def test_the_absolute_form_is_a_path_and_a_host(target: str, path: str, authority: str | None) -> None:
    line = f"GET {target} HTTP/1.1\r\n"
    assert read_request_line(line) == (f"GET {path} HTTP/1.1\r\n", authority)


@pytest.mark.parametrize(
    ("version", "fields", "kept"),
    [
        (b"1.1", b"Connection: Close, x\r\n", False),
        (b"1.1", b"Connection: x\r\nConnection: \tCLOSE\r\n", False),
        (b"1.1", b"Connection: closed\r\n", True),
        (b"1.0", b"Connection: x, Keep-Alive\r\n", True),
        (b"1.0", b"", False),
    ],
)
def test_connection_is_a_list_in_any_case(server: Server, version: bytes, fields: bytes, kept: bool) -> None:
    with server.connect() as wire:
        wire.send(b"GET /echo?message=a HTTP/" + version + b"\r\nHost: localhost\r\n" + fields + b"\r\n")
        wire.answer()
        if kept:
            wire.send(b"GET /echo?message=b HTTP/1.1\r\n" + CLOSE + b"\r\n")
            assert wire.answer().body == b"b"
        else:
            assert wire.rest() == b""


def test_a_request_in_absolute_form_is_answered_for_its_host(server: Server) -> None:
    def ask(target: bytes) -> Answer:
        return server.raw(b"GET " + target + b" HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")

    assert ask(b"http://localhost/echo?message=hi").body == b"hi"
    problem(ask(b"http://other.example/echo?message=hi"), 421, "unknown-host")
