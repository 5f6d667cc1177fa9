"""What goes wrong with a backend, for each kind of request, on fresh and on kept connections: one outcome
each.

Two backends: the first one that is asked misbehaves, the other is well. `tries` counts what the retry rules
count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.backends import (
    CLOSE,
    Backend,
    Peer,
    Received,
    close_early,
    echo_body,
    reset,
    reset_after,
    saying,
    silent,
    slowly,
    websocket_echo,
)
from tests.proxy.conftest import Client, StartProxy, until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
SMALL = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
STREAMED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

PART = b"HTTP/1.1 200 OK\r\nContent-Le"
SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"
BAD = b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"


def slow_body(peer: Peer, request: Received) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    slowly(b"ok", 0.05)(peer, request)


def surplus(peer: Peer, request: Received) -> None:
    peer.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    )


FAULTS: dict[str, Callable[[Peer, Received], Any]] = {
    "reset": reset,
    "reset inside the head": reset_after(PART),
    "black hole": silent,
    "slow head": slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0.001),
    "slow body": slow_body,
    "early close": close_early,
    "cut body": saying(SHORT, close=True),
    "bad framing": saying(BAD),
    "surplus bytes": surplus,
}


@dataclass(frozen=True)
class Outcome:
    #: 0: the connection is cut.
    status: int
    tries: int
    ended: str


FINE = Outcome(200, 1, "done")
ELSEWHERE = Outcome(200, 2, "done")
GATEWAY = Outcome(502, 1, "bad-gateway")
TIMEOUT = Outcome(504, 1, "gateway-timeout")
CUT = Outcome(200, 1, "backend-cut")
SWITCHED = Outcome(101, 2, "done")

# A GET and a WebSocket's request may be sent twice; a POST may not, once a byte of it was sent.
EXPECTED: dict[str, tuple[Outcome, Outcome, Outcome, Outcome]] = {
    #                          GET        POST     streamed POST  WebSocket
    "reset":                  (ELSEWHERE, GATEWAY, GATEWAY, SWITCHED),
    "reset inside the head":  (ELSEWHERE, GATEWAY, GATEWAY, SWITCHED),
    "black hole":             (ELSEWHERE, TIMEOUT, TIMEOUT, SWITCHED),
    "slow head":              (FINE, FINE, FINE, FINE),
    "slow body":              (FINE, FINE, FINE, FINE),
    "early close":            (ELSEWHERE, GATEWAY, GATEWAY, SWITCHED),
    "cut body":               (CUT, CUT, CUT, CUT),
    "bad framing":            (ELSEWHERE, GATEWAY, GATEWAY, SWITCHED),
    "surplus bytes":          (FINE, FINE, FINE, FINE),
}  # fmt: skip

# A kept connection that ends without one byte is taken for closed meanwhile: no try is lost, and the backend
# is not blamed.
DIED_MEANWHILE = {
    "reset": (FINE, GATEWAY, GATEWAY, Outcome(101, 1, "done")),
    "early close": (FINE, GATEWAY, GATEWAY, Outcome(101, 1, "done")),
}

KINDS = ("GET", "POST", "streamed POST", "WebSocket")


def request(client: Client, kind: str) -> None:
    if kind == "streamed POST":
        client.send(STREAMED[0])
        client.send(STREAMED[1])
    else:
        client.send({"GET": GET, "POST": SMALL, "WebSocket": UPGRADE}[kind])


def well(peer: Peer, got: Received) -> Any:
    return websocket_echo(peer, got) if got.field("Upgrade") else peer.answer(b"ok")


@pytest.mark.parametrize("connection", ["fresh", "kept"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_one_outcome(
    start_proxy: StartProxy, backend: Backend, another: Backend, fault: str, kind: str, connection: str
) -> None:
    another.script = well
    proxy = start_proxy(backend, another, timeouts={"response": 0.3})
    if connection == "kept":
        for _ in range(2):
            assert proxy.get().status == 200
    backend.script = FAULTS[fault]
    column = KINDS.index(kind)
    died = connection == "kept" and fault in DIED_MEANWHILE
    expected = DIED_MEANWHILE[fault][column] if died else EXPECTED[fault][column]
    with proxy.client() as client:
        request(client, kind)
        assert client.status() == expected.status
    record = proxy.records(1 if connection == "fresh" else 3)[-1]
    assert Outcome(record["status"], record["tries"], record["ended"]) == expected
    assert proxy.backends[0].failures == (0 if died or expected == FINE else 1)
    assert len(backend.requests) == (1 if connection == "fresh" else 2)


def test_a_refused_connection_is_tried_elsewhere_whatever_the_method(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    another.script = echo_body
    proxy = start_proxy(backend, another)
    backend.stop()
    for kind in ("GET", "POST", "streamed POST"):
        with proxy.client() as client:
            request(client, kind)
            assert client.response().status == 200
    assert {record["backend"] for record in proxy.records(3)} == {"b2"}


def test_a_reset_on_accept_is_tried_elsewhere_only_if_nothing_was_sent(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    proxy = start_proxy(backend, another)
    backend.on_accept = Peer.reset
    with proxy.client() as client:
        client.send(GET)
        assert client.response().status == 200


def test_a_connection_the_backend_closed_costs_no_try(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, retry={"attempts": 1})
    assert proxy.get().status == 200

    def once(peer: Peer, got: Received) -> Any:
        backend.script = echo_body
        return CLOSE

    backend.script = once
    assert proxy.get().status == 200
    assert proxy.records(2)[1]["tries"] == 1
    assert proxy.backends[0].failures == 0


def test_a_single_attempt_is_a_single_attempt(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = close_early
    proxy = start_proxy(backend, another, retry={"attempts": 1})
    assert proxy.get().status == 502


def test_no_retry_starts_after_the_deadline(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, timeouts={"response": 0.2}, retry={"deadline": 0.1})
    assert proxy.get().status == 504


def test_a_budget_of_nothing_allows_no_retry(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = close_early
    proxy = start_proxy(backend, another, retry={"budget": 0})
    assert proxy.get().status == 502


def test_what_waits_for_a_backend_that_goes_down_goes_elsewhere_at_once(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, health={"interval": 0.05, "fall": 1})
    with proxy.client() as client:
        client.send(GET)
        until(lambda: backend.requests, "the request at the first backend")
        backend.health = "500 Oh"
        assert client.response().status == 200
    [record] = proxy.records()
    assert (record["backend"], record["tries"]) == ("b2", 2)
    assert record["Ta"] < 5000  # at once, long before the response timeout or the backend's own patience


def test_a_post_that_waits_for_a_backend_that_goes_down_is_not_sent_twice(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    backend.script = silent
    proxy = start_proxy(backend, another, health={"interval": 0.05, "fall": 1}, timeouts={"response": 0.4})
    with proxy.client() as client:
        client.send(SMALL)
        until(lambda: backend.requests, "the request at the first backend")
        backend.health = "500 Oh"
        assert client.response().status == 504
    assert another.requests == []


def test_a_unix_socket_is_an_address_too(start_proxy: StartProxy, tmp_path: Path) -> None:
    with Backend(path=tmp_path / "b.sock") as backend:
        proxy = start_proxy({"name": "u", "address": f"unix:{tmp_path}/b.sock"})
        assert proxy.get("/x").body == b"/x"
        assert len(backend.requests) == 1
