"""What waits delays nothing else, and one client leaves room for others."""

from __future__ import annotations

from typing import Any

import pytest

from proxy_tests.backends import CLOSE, Backend, Peer, Received, handshake
from proxy_tests.conftest import Client, Proxy, StartProxy, until
from proxy_tests.test_queue import Gate
from proxy_tests.test_tunnel import open_tunnel

STRATEGIES = ["round_robin", "least_connections", "least_time", "random_two", "ip_hash"]

#: The proxy believes whom the test names as the client.
TRUSTED = ["127.0.0.1"]

HANDSHAKE = (
    "GET /socket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def table(name: str, backend: Backend, **settings: Any) -> dict[str, Any]:
    return {"name": name, "address": f"127.0.0.1:{backend.port}", **settings}


def sent(proxy: Proxy, request: str, client: str = "10.0.0.1") -> Client:
    """A connection on which this request was sent."""
    connection = proxy.client()
    connection.send(f"{request}X-Forwarded-For: {client}\r\n\r\n".encode())
    return connection


def get(proxy: Proxy, client: str = "10.0.0.1", target: str = "/") -> Client:
    return sent(proxy, f"GET {target} HTTP/1.1\r\nHost: test\r\n", client)


def waits(proxy: Proxy, count: int) -> None:
    until(lambda: len(proxy.balancer.queue) == count, f"{count} in the queue")


def gated_sockets(gate: Gate) -> Any:
    """Handshakes at once, anything else when the gate is open."""

    def script(peer: Peer, request: Received) -> Any:
        if b"Upgrade: websocket" not in request.head:
            return gate(peer, request)
        peer.send(handshake(request))
        peer.sock.recv(1)
        return CLOSE

    return script


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("sticky", [{}, {"cookie": "at", "secret": "s" * 32}], ids=["free", "sticky"])
def test_sockets_that_wait_for_a_tunnel_delay_no_request(
    start_proxy: StartProxy, backend: Backend, another: Backend, strategy: str, sticky: dict[str, Any]
) -> None:
    gate = Gate(backend)
    backend.script = another.script = gated_sockets(gate)
    gate.open.set()
    tables = [table("b1", backend, max_tunnels=1), table("b2", another, max_tunnels=1)]
    proxy = start_proxy(*tables, strategy=strategy, sticky=sticky, limits={"queue": 2}, trusted=TRUSTED)
    with open_tunnel(proxy), open_tunnel(proxy):
        waiting = [sent(proxy, HANDSHAKE, f"10.0.0.{number}") for number in range(2)]
        waits(proxy, 2)
        for _ in range(4):  # the queue is full, and nothing of it could take these slots
            assert proxy.get().status == 200
        assert all(float(one["Tw"]) < 50 for one in proxy.records(4))
        for one in waiting:
            one.sock.close()
        waits(proxy, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_retry_that_waits_delays_no_request(
    start_proxy: StartProxy, backend: Backend, another: Backend, strategy: str
) -> None:
    gate = Gate(another)

    def once(peer: Peer, request: Received) -> Any:
        if request.line == b"GET /fails HTTP/1.1":
            peer.send(b"HTTP/1.1 2")
            return CLOSE
        peer.answer()
        return None

    backend.script = once
    tables = [table("b1", backend), table("b2", another, max_connections=1)]
    proxy = start_proxy(*tables, strategy=strategy, timeouts={"queue": 60.0})
    # Fill the second one.
    proxy.backends[0].state = type(proxy.backends[0].state).DRAIN
    with get(proxy, target="/full") as full:
        until(lambda: gate.order, "the second one to be full")
        proxy.backends[0].state = type(proxy.backends[0].state).READY
        with get(proxy, target="/fails") as retry:
            waits(proxy, 1)
            for _ in range(4):
                assert proxy.get("/free").status == 200
            assert all(float(one["Tw"]) < 50 for one in proxy.records(4))
            gate.open.set()
            assert full.response().status == 200
            assert retry.response().status == 200


def test_one_client_leaves_slots_for_others(start_proxy: StartProxy, backend: Backend) -> None:
    gate = Gate(backend)
    proxy = start_proxy(table("b1", backend, max_connections=4), trusted=TRUSTED, limits={"queue": 4})
    greedy = [get(proxy) for _ in range(4)]
    waits(proxy, 1)
    assert proxy.backends[0].active == 3
    other = get(proxy, "10.0.0.2")  # goes first
    until(lambda: proxy.backends[0].active == 4, "the other client to be served")
    greedy.append(get(proxy))
    waits(proxy, 2)
    with get(proxy) as refused:
        answer = refused.response()
        assert answer.problem()["type"] == "/problems/too-many-requests"
        assert (answer.status, answer.field("Retry-After")) == (429, "1")
    late = get(proxy, "10.0.0.3")  # has its place in the queue
    waits(proxy, 3)
    gate.open.set()
    for one in (*greedy, other, late):
        assert one.response().status == 200
        one.sock.close()


def test_a_share_of_one_is_no_limit(start_proxy: StartProxy, backend: Backend) -> None:
    gate = Gate(backend)
    tables = table("b1", backend, max_connections=4)
    proxy = start_proxy(tables, trusted=TRUSTED, client={"share": 1.0}, limits={"queue": 2})
    clients = [get(proxy) for _ in range(6)]
    until(lambda: (proxy.backends[0].active, len(proxy.balancer.queue)) == (4, 2), "all slots to be taken")
    gate.open.set()
    for one in clients:
        assert one.response().status == 200
        one.sock.close()


def test_as_many_handshakes_as_tunnels_are_in_flight(start_proxy: StartProxy, backend: Backend) -> None:
    gate = Gate(backend)

    def script(peer: Peer, request: Received) -> Any:
        gate.order.append(request.line)
        gate.open.wait()
        peer.send(handshake(request))
        peer.sock.recv(1)
        return CLOSE

    backend.script = script
    proxy = start_proxy(table("b1", backend, max_tunnels=2), trusted=TRUSTED)
    sockets = [sent(proxy, HANDSHAKE, f"10.0.0.{number}") for number in range(3)]
    waits(proxy, 1)
    assert len(gate.order) == 2
    gate.open.set()
    for one in sockets[:2]:
        assert one.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert proxy.backends[0].tunnels == 2
    sockets[0].sock.close()
    assert sockets[2].read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    for one in sockets[1:]:
        one.sock.close()
