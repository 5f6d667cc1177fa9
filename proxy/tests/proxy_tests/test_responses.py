"""Answers that are not strict HTTP, that are cut, or that do not come."""

from __future__ import annotations

import pytest
from heliograph_proxy.http1.responses import MAX_HEAD_BYTES

from proxy_tests.backends import (
    CLOSE,
    Backend,
    Peer,
    Received,
    close_early,
    echo_body,
    reset_after,
    saying,
    silent,
)
from proxy_tests.conftest import StartProxy

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ID = b"X-Request-Id: abc\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + size + fields + b"\r\n" + body


BAD_ANSWERS = {
    "no status": b"HTTP/1.1\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "other protocol": b"ICY 200 OK\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: \ry\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    "fold": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "large length": b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two codings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "bad first chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("raw", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_is_not_strict_http_is_a_bad_gateway(
    start_proxy: StartProxy, backend: Backend, raw: bytes
) -> None:
    backend.script = saying(raw, close=True)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.ask(post(b"x")).problem()
        backend.script = echo_body
        assert client.ask(post(b"and on")).body == b"and on"
    records = proxy.records(2)
    assert (records[0]["status"], records[0]["ended"]) == (502, "bad-gateway")
    assert proxy.backends[0].failures == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nshort",
    ],
)
@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_answer_cut_short_ends_the_clients_connection(
    start_proxy: StartProxy, backend: Backend, raw: bytes, how: str
) -> None:
    backend.script = saying(raw, close=True) if how == "end" else reset_after(raw)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            client.read_all()
        assert not client.buffer.endswith(b"0\r\n\r\n")
    assert proxy.records()[0]["ended"] == "backend-cut"


def test_a_silent_backend_is_a_gateway_timeout(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = silent
    proxy = start_proxy(backend, timeouts={"response": 0.2})
    with proxy.client() as client:
        assert client.ask(post(b"x")).problem()["status"] == 504
        backend.script = echo_body
        assert client.ask(post(b"on")).body == b"on"


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 1, 4 * MAX_HEAD_BYTES])
def test_a_head_that_is_too_long_is_named_so_and_is_no_failure_of_its_backend(
    start_proxy: StartProxy, backend: Backend, another: Backend, size: int
) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    backend.script = saying(start + b"Set-Cookie: %b\r\n\r\n" % (b"x" * (size - len(start) - 14)), close=True)
    proxy = start_proxy(backend, another)
    answer = proxy.get()
    assert (answer.problem()["status"], "too long" in answer.problem()["detail"]) == (502, True)
    assert (proxy.backends[0].failures, another.requests) == (0, [])


def test_the_longest_head_is_passed_on(start_proxy: StartProxy, backend: Backend) -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
    value = b"x" * (MAX_HEAD_BYTES - len(start) - 14)
    backend.script = saying(start + b"Set-Cookie: %b\r\n\r\n" % value)
    assert start_proxy(backend).get().field("Set-Cookie") == value.decode()


FRAMINGS = {
    "chunked": (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "no"),
    "until the end": (b"\r\nok", "no"),
    "a word of the application's": (b"x-Accel-buffering: yes\r\n\r\nok", "yes"),
    "a length": (b"Content-Length: 2\r\n\r\nok", None),
}


@pytest.mark.parametrize(("rest", "told"), FRAMINGS.values(), ids=FRAMINGS.keys())
@pytest.mark.parametrize("minor", [0, 1])
def test_an_answer_without_a_length_tells_nginx_not_to_wait_for_more_of_it(
    start_proxy: StartProxy, backend: Backend, rest: bytes, told: str | None, minor: int
) -> None:
    backend.script = saying(b"HTTP/1.1 200 OK\r\n" + rest, close=True)
    with start_proxy(backend).client() as client:
        answer = client.ask(b"GET / HTTP/1.%d\r\nHost: test\r\n\r\n" % minor)
    assert (answer.body, answer.field("X-Accel-Buffering")) == (b"ok", told)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_tells_nothing_about_it(
    start_proxy: StartProxy, backend: Backend, status: str
) -> None:
    backend.script = saying(f"HTTP/1.1 {status}\r\n\r\n".encode())
    assert start_proxy(backend).get().field("X-Accel-Buffering") is None


def test_a_backend_silent_inside_its_body_is_cut(start_proxy: StartProxy, backend: Backend) -> None:
    def stuck(peer: Peer, request: Received) -> object:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        peer.sock.recv(1)
        return CLOSE

    backend.script = stuck
    proxy = start_proxy(backend, timeouts={"tunnel": 0.2})
    with proxy.client() as client:
        client.send(GET)
        assert client.read_until(b"12345")
        assert client.ended()


def test_without_a_backend_there_is_a_problem_and_a_hint_when_to_come_back(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.health = "503 Service Unavailable"
    answer = start_proxy(backend).get()
    assert answer.problem()["status"] == 503
    assert int(answer.field("Retry-After") or 0) > 0


def test_answers_to_head_have_no_body_even_when_they_are_ours(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.script = close_early
    proxy = start_proxy(backend)
    with proxy.client() as client:
        answer = client.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")
        assert (answer.status, int(answer.field("Content-Length") or 0) > 0) == (502, True)
        backend.script = echo_body
        assert client.ask(GET).status == 200
