"""Requests that cannot be parsed, clients that fall silent, and what the connection is worth afterwards."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from proxy_tests.processes import PYTHON, until

from tests.heliograph.websocket.raw import TEXT, Frame, RawWebSocket, frame
from tests.serving import CLOSE, HOST, Server, Wire, problem


@pytest.fixture(scope="module")
def running_impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    def command(port: int) -> list[str]:
        return [PYTHON, "-m", "tests.impatient", str(port)]

    with Server(tmp_path_factory.mktemp("impatient"), command=command) as server:
        yield server.started()


@pytest.fixture
def impatient(running_impatient: Server) -> Iterator[Server]:
    """A server whose times are short."""
    with running_impatient.nothing_left():
        yield running_impatient


UNPARSABLE = {
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "bad-request"),
    "no version": (b"GET /\r\n\r\n", 400, "bad-request"),
    "another version": (b"GET / HTTP/3.0\r\n\r\n", 505, "http-version-not-supported"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http-version-not-supported"),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400, "bad-request"),
    "folded field": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Type: a\r\n b\r\n\r\n", 400, "bad-request"),
    "space before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 400, "bad-request"),
    "field without a colon": (b"GET / HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n", 400, "bad-request"),
    "bare carriage return": (
        b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rContent-Length: 5\r\n\r\n",
        400,
        "bad-request",
    ),
    "NUL": (b"GET / HTTP/1.1\r\n" + HOST + b"A: \x00\r\n\r\n", 400, "bad-request"),
    "two lengths": (
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        400,
        "bad-request",
    ),
    "odd length": (
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1_0\r\n\r\n0123456789",
        400,
        "bad-request",
    ),
    "length and chunks": (
        b"POST /echo HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "bad-request",
    ),
    "unknown encoding": (
        b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "not-implemented",
    ),
    "HEAD with a body": (
        b"HEAD / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
        400,
        "bad-request",
    ),
    "long line": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "uri-too-long"),
    "endless line": (b"GET /" + b"a" * 12_000_000, 414, "uri-too-long"),
    "many fields": (
        b"GET / HTTP/1.1\r\n" + HOST + b"".join(b"A%d: b\r\n" % n for n in range(120)) + b"\r\n",
        431,
        "headers-too-large",
    ),
    "long field": (
        b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 70_000 + b"\r\n\r\n",
        431,
        "headers-too-large",
    ),
    "large head": (
        b"GET / HTTP/1.1\r\n"
        + HOST
        + b"".join(b"A%d: %b\r\n" % (n, b"x" * 4000) for n in range(20))
        + b"\r\n",
        431,
        "headers-too-large",
    ),
}


@pytest.mark.parametrize("name", UNPARSABLE)
def test_what_cannot_be_parsed_is_a_problem_and_ends_the_connection(server: Server, name: str) -> None:
    request, status, kind = UNPARSABLE[name]
    with server.connect() as wire:
        wire.send(request)
        answer = wire.answer()
        problem(answer, status, kind)
        assert answer.headers["connection"] == "close"
        assert wire.rest() == b""
    line = server.logged(request_id=answer.headers["x-request-id"])
    assert "127.0.0.1" in line["message"]


def test_nothing_of_a_refused_request_becomes_the_next_one(server: Server) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    request = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n" + hidden
    with server.connect() as wire:
        wire.send(request)
        assert wire.rest().count(b"X-Request-Id") == 1


def test_requests_in_one_packet_are_answered_in_order(server: Server) -> None:
    with server.connect() as wire:
        one = b"GET /echo?message=%d HTTP/1.1\r\n"
        wire.send(b"".join(one % n + HOST + b"\r\n" for n in range(5)))
        assert [wire.answer().body for _ in range(5)] == [b"%d" % n for n in range(5)]


def test_a_request_is_taken_byte_by_byte(server: Server) -> None:
    with server.connect() as wire:
        for byte in b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\n" + CLOSE + b"\r\nhi":
            wire.send(bytes([byte]))
        assert wire.answer().body == b"hi"


def test_a_head_that_ends_in_the_middle_leaves_nothing(server: Server) -> None:
    for part in (b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: loc"):
        with server.connect() as wire:
            wire.send(part)


def test_an_echoed_content_type_adds_no_header(server: Server) -> None:
    sent = b"Content-Type: text/plain%0d%0aX-Evil: 1\r\n"
    answer = server.raw(b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\n" + sent + CLOSE + b"\r\nx")
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("start", [b"", b"GET /seen HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_head_that_comes_byte_by_byte_has_a_deadline_as_a_whole(impatient: Server, start: bytes) -> None:
    with impatient.connect() as wire:
        wire.send(start)
        until(lambda: _ends(wire, b"G" if not start else b"a"), "the end of the connection")
        problem(wire.answer(), 408, "request-timeout")


def _ends(wire: Wire, byte: bytes) -> bool:
    """Whether the server answered. Until then it gets another byte, sooner than any silence is noticed."""
    wire.socket.settimeout(0.05)
    try:
        return bool(wire.socket.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        wire.send(byte)
        return False


def test_a_head_may_begin_late_on_a_connection_that_was_used(impatient: Server) -> None:
    with impatient.connect() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer().status == 200
        wire.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):  # longer than a head may take, and less than silence may last
            wire.socket.recv(1)
        wire.socket.settimeout(20)
        wire.send(b"GET /healthz HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert wire.answer().status == 200


def test_a_client_that_is_silent_inside_its_head_is_told_408(impatient: Server) -> None:
    with impatient.connect() as wire:
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow")
        problem(wire.answer(), 408, "request-timeout")
        assert wire.rest() == b""


@pytest.mark.parametrize(
    "frame", [b"Content-Length: 10\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n5\r\nha"]
)
@pytest.mark.parametrize("path", [b"/echo", b"/codecs/base64/encode"])
def test_a_client_that_is_silent_inside_its_body_is_told_408(
    impatient: Server, path: bytes, frame: bytes
) -> None:
    with impatient.connect() as wire:
        wire.send(b"POST " + path + b" HTTP/1.1\r\n" + HOST + frame)
        answer = wire.answer()
        problem(answer, 408, "request-timeout")
        assert wire.rest() == b""
    assert impatient.logged(request_id=answer.headers["x-request-id"])["status"] == 408


@pytest.mark.parametrize(
    "frame", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"]
)
def test_a_body_that_comes_byte_by_byte_is_told_408(impatient: Server, frame: bytes) -> None:
    with impatient.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\n" + HOST + frame)
        until(lambda: _ends(wire, b"x"), "the end of the connection")
        answer = wire.answer()
        problem(answer, 408, "request-timeout")
    assert impatient.logged(request_id=answer.headers["x-request-id"])["status"] == 408


def test_a_silent_body_in_the_spool_is_given_up_too(impatient: Server) -> None:
    with impatient.connect() as wire:
        wire.send(b"POST /echo HTTP/1.1\r\nContent-Length: 9000000\r\n" + HOST + b"\r\n" + b"x" * 3_000_000)
        problem(wire.answer(), 408, "request-timeout")


def test_a_client_that_does_not_read_its_answer_is_given_up(impatient: Server) -> None:
    with impatient.connect() as wire:
        wire.send(b"GET /echo/bytes/900000000 HTTP/1.1\r\nX-Request-Id: unread\r\n" + HOST + b"\r\n")
        line = impatient.logged(request_id="unread")
    assert (line["status"], line["complete"]) == (499, False)


def test_an_idle_connection_is_closed_after_a_while(impatient: Server) -> None:
    with impatient.connect() as kept, impatient.connect() as silent:
        kept.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert kept.answer().status == 200
        assert kept.rest() == silent.rest() == b""


def test_a_websocket_may_be_silent_for_longer(impatient: Server) -> None:
    with RawWebSocket(impatient) as client, impatient.connect() as silent:
        assert silent.rest() == b""  # an idle connection's time is over now
        client.send(frame(TEXT, b"still here"))
        assert client.frame() == Frame(TEXT, b"still here")
