"""Bodies on their way, in both directions at once, with backpressure."""

from __future__ import annotations

import gevent
import pytest

from proxy_tests.backends import (
    Backend,
    Peer,
    Received,
    echo_body,
    echo_stream,
    saying,
)
from proxy_tests.conftest import StartProxy, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ID = b"X-Request-Id: abc\r\n"
EXPECT = b"Expect: 100-continue\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + size + fields + b"\r\n" + body


def test_chunked_requests_stay_chunked_without_extensions_and_trailers(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend)
    request = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with proxy.client() as client:
        assert client.ask(request + b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n").body == b"hello!"
    assert backend.requests[0].field("Transfer-Encoding") == ["chunked"]
    assert backend.requests[0].field("Content-Length") == []


def test_both_directions_are_relayed_at_once(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = echo_stream
    proxy = start_proxy(backend)
    with proxy.client() as client:
        # Of any other body the beginning is read before a backend has the request.
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n" + EXPECT + b"\r\n")
        assert b"100 Continue" in client.read_until(b"\r\n\r\n")
        assert b"200 OK" in client.read_until(b"\r\n\r\n")
        for piece in (b"1st", b"2nd", b"3rd"):
            client.send(b"3\r\n" + piece + b"\r\n")
            assert client.read(8) == b"3\r\n" + piece + b"\r\n"
        client.send(b"0\r\n\r\n")
        assert client.read(5) == b"0\r\n\r\n"
        backend.script = echo_body
        assert client.ask(post(b"again")).body == b"again"


def test_a_large_body_comes_through_unchanged_in_both_directions(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend)
    body = bytes(range(256)) * 40_000
    with proxy.client() as client:
        assert client.ask(post(body)).body == body
        assert client.ask(post(b"more")).body == b"more"


def test_a_slow_reader_slows_the_backend(start_proxy: StartProxy, backend: Backend) -> None:
    sent = 0

    def endless(peer: Peer, request: Received) -> object:
        nonlocal sent
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            peer.send(bytes(100_000))
            sent += 100_000

    backend.script = endless
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        before = -1
        while sent != before:  # until every buffer on the way is full
            before = sent
            gevent.sleep(0.2)
        assert sent < 50_000_000
    assert until(proxy.records, "the record")[0]["ended"] == "client-gone"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304),
    ],
)
def test_answers_without_a_body_have_none_whatever_they_say(
    start_proxy: StartProxy, backend: Backend, head: bytes, status: int
) -> None:
    backend.script = saying(head)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        for _ in range(2):
            answer = client.ask(GET)
            assert (answer.status, answer.body) == (status, b"")
        assert answer.field("Content-Length") == (
            "5" if head.startswith(b"HTTP/1.1 304") and b"Length" in head else None
        )


def test_an_answer_to_head_tells_the_length_of_no_body(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    proxy = start_proxy(backend)
    with proxy.client() as client:
        for _ in range(2):
            answer = client.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")
            assert (answer.status, answer.field("Content-Length")) == (200, "5")
    assert backend.connections == 1


def test_a_204_to_head_tells_no_length(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n")
    with start_proxy(backend).client() as client:
        answer = client.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", "HEAD")
    assert (answer.status, answer.field("Content-Length")) == (204, None)


@pytest.mark.parametrize(
    "fields",
    [
        b"X-Request-Id: a\r\nx-request-id: b\r\n",
        b"X-Request-Id: a\r\nX-Content-Type-Options: x\r\nConnection: x-request-id, x-content-type-options\r\n",
    ],
    ids=["twice", "for one hop"],
)
def test_each_answer_has_one_request_id_and_forbids_sniffing(
    start_proxy: StartProxy, backend: Backend, fields: bytes
) -> None:
    backend.script = saying(b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n")
    answer = start_proxy(backend).get("/", X_Request_Id="ours")
    assert (answer.field("X-Request-Id"), answer.field("X-Content-Type-Options")) == ("ours", "nosniff")


def test_an_answer_that_ends_with_its_connection_is_given_a_framing(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.script = saying(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        for _ in range(2):
            answer = client.ask(GET)
            assert (answer.field("Transfer-Encoding"), answer.body) == ("chunked", b"until the end")
    with proxy.client() as client:
        assert client.ask(b"GET / HTTP/1.0\r\n\r\n").body == b"until the end"


def test_a_client_of_http_1_0_gets_no_chunks(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    proxy = start_proxy(backend)
    with proxy.client() as client:
        answer = client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (answer.body, answer.field("Transfer-Encoding"), answer.field("Connection")) == (
            b"hello",
            None,
            "close",
        )
    backend.script = echo_body
    with proxy.client() as client:
        answer = client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert answer.field("Connection") == "keep-alive"
        assert client.ask(GET).status == 200


def test_lines_of_the_same_name_stay_lines(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    )
    head = start_proxy(backend).get().head
    assert b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in head
