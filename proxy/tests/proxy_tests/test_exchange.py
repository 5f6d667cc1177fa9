"""One request and its answer, seen from both sides."""

from __future__ import annotations

import pytest
from gevent.event import Event

from proxy_tests.backends import (
    Backend,
    Peer,
    Received,
    echo_body,
    saying,
)
from proxy_tests.conftest import StartProxy, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ID = b"X-Request-Id: abc\r\n"


def post(body: bytes, fields: bytes = b"") -> bytes:
    size = b"Content-Length: %d\r\n" % len(body)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + size + fields + b"\r\n" + body


def test_a_request_reaches_a_backend_and_its_answer_the_client(
    start_proxy: StartProxy, backend: Backend
) -> None:
    proxy = start_proxy(backend)
    answer = proxy.get("/somewhere?x=1")
    assert (answer.status, answer.body) == (200, b"/somewhere?x=1")
    assert answer.field("X-Content-Type-Options") == "nosniff"
    assert backend.requests[0].line == b"GET /somewhere?x=1 HTTP/1.1"
    assert backend.requests[0].field("X-Request-Id") == [answer.field("X-Request-Id")]
    [record] = proxy.records()
    assert (record["status"], record["backend"], record["tries"], record["ended"]) == (200, "b1", 1, "done")
    assert record["request_id"] == answer.field("X-Request-Id")
    assert record["Ta"] >= record["Tr"] >= 0 <= record["Tc"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE", "M-SEARCH"])
def test_every_method_is_forwarded_with_its_body(
    start_proxy: StartProxy, backend: Backend, method: str
) -> None:
    backend.script = echo_body
    proxy = start_proxy(backend)
    with proxy.client() as client:
        answer = client.ask(f"{method} / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello".encode())
    assert answer.body == b"hello"
    assert backend.requests[0].line == f"{method} / HTTP/1.1".encode()


# Interim answers and expectations.


def test_an_expected_continue_is_the_backends(start_proxy: StartProxy, backend: Backend) -> None:
    def patient(peer: Peer, head: bytes) -> None:
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer.answer(peer.read_exactly(5))

    backend.on_accept = lambda peer: patient(peer, peer.read_head())
    backend.health = None
    proxy = start_proxy(backend, health={"interval": 600, "eject_failures": 100})
    proxy.backends[0].healthy = True
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 100
        client.send(b"hello")
        assert client.response().body == b"hello"


def test_a_final_answer_instead_of_continue_ends_the_connection(
    start_proxy: StartProxy, backend: Backend
) -> None:
    def refuse(peer: Peer) -> None:
        if b"/-/health" in peer.read_head():
            return peer.answer()
        peer.answer(b"no", "413 Too Large")
        peer.sock.recv(1)
        return None

    backend.on_accept = refuse
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.field("Connection")) == (413, "close")
        assert client.ended()


def test_interim_answers_pass_to_those_who_understand_them(start_proxy: StartProxy, backend: Backend) -> None:
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    backend.script = saying(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + final
    )
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        hints = client.response()
        assert (hints.status, hints.field("Link")) == (103, "</a>")
        assert client.response().body == b"ok"
        assert client.ask(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n").status == 200


def test_a_flood_of_interim_answers_is_a_bad_gateway(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(b"HTTP/1.1 102 Processing\r\n\r\n" * 20)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(GET)
        while (answer := client.response()).status == 102:
            pass
        assert answer.status == 502


def test_a_stream_of_events_counts_as_a_tunnel_while_there_is_room_for_one(
    start_proxy: StartProxy, backend: Backend
) -> None:
    ending = Event()

    def events(peer: Peer, request: Received) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n")
        peer.send(b"Transfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n")
        ending.wait()
        peer.send(b"0\r\n\r\n")

    backend.script = events
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_tunnels": 1}
    proxy = start_proxy(table)
    one = proxy.backends[0]
    with proxy.client() as first, proxy.client() as second:
        for client, counted in [(first, (1, 0)), (second, (1, 1))]:
            client.send(GET)
            client.read_until(b":\n")
            assert (one.tunnels, one.active) == counted
        ending.set()
        first.read_until(b"0\r\n\r\n")
        second.read_until(b"0\r\n\r\n")
    until(lambda: (one.tunnels, one.active) == (0, 0), "the streams to end")
