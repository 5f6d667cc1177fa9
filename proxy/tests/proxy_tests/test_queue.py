"""Full backends: the queue, its order, its bounds, and those who leave it."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event
from heliograph_proxy import streams

from proxy_tests.backends import Backend, Peer, Received
from proxy_tests.conftest import Client, Proxy, StartProxy, until


class Gate:
    """A script that answers when the test lets it."""

    def __init__(self, backend: Backend) -> None:
        self.open = Event()
        self.order: list[bytes] = []
        backend.script = self

    def __call__(self, peer: Peer, request: Received) -> None:
        self.order.append(request.line.split(b" ")[1])
        self.open.wait()
        peer.answer()


@pytest.fixture
def gate(backend: Backend) -> Gate:
    return Gate(backend)


def one_at_a_time(start_proxy: StartProxy, backend: Backend, **settings: object) -> Proxy:
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": 1}
    return start_proxy(table, **settings)


def waiting(proxy: Proxy, target: str, queued: int) -> Client:
    """A client whose request is in the queue."""
    client = proxy.client()
    client.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    until(
        lambda: proxy.balancer.in_flight and len(proxy.balancer.queue) == queued,
        f"{queued} in the queue",
    )
    return client


def test_requests_beyond_the_limit_wait_in_their_order(
    start_proxy: StartProxy, backend: Backend, gate: Gate
) -> None:
    proxy = one_at_a_time(start_proxy, backend)
    clients = [waiting(proxy, f"/{number}", number) for number in range(4)]
    assert proxy.backends[0].queued == 3
    gate.open.set()
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    assert gate.order == [b"/0", b"/1", b"/2", b"/3"]
    assert proxy.records(4)[3]["Tw"] > 0


def test_a_full_queue_refuses(start_proxy: StartProxy, backend: Backend, gate: Gate) -> None:
    proxy = one_at_a_time(start_proxy, backend, limits={"queue": 1})
    clients = [waiting(proxy, "/", 0), waiting(proxy, "/", 1)]
    answer = proxy.get()
    assert answer.problem()["limit"] == 1
    assert (answer.status, answer.field("Retry-After")) == (503, "2")
    gate.open.set()
    for client in clients:
        assert client.response().status == 200
        client.sock.close()


def test_nobody_waits_longer_than_allowed(start_proxy: StartProxy, backend: Backend, gate: Gate) -> None:
    proxy = one_at_a_time(start_proxy, backend, timeouts={"queue": 0.1})
    with waiting(proxy, "/", 0) as first:
        assert proxy.get().status == 503
        assert not proxy.balancer.queue
        gate.open.set()
        assert first.response().status == 200


def test_a_client_that_only_stopped_sending_stays_in_the_queue(
    start_proxy: StartProxy, backend: Backend, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HALF_CLOSE_SECONDS", 60.0)
    proxy = one_at_a_time(start_proxy, backend, timeouts={"queue": 60.0})
    with waiting(proxy, "/first", 0) as first, waiting(proxy, "/second", 1) as second:
        second.sock.shutdown(1)
        with proxy.admin() as client:  # the loop has seen it by then
            client.ask(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gate.open.set()
        assert first.response().status == second.response().status == 200


def test_a_client_that_goes_away_leaves_the_queue(
    start_proxy: StartProxy, backend: Backend, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HALF_CLOSE_SECONDS", 0.05)
    proxy = one_at_a_time(start_proxy, backend, timeouts={"queue": 60.0})
    with waiting(proxy, "/first", 0) as first:
        waiting(proxy, "/gone", 1).sock.close()
        until(lambda: not proxy.balancer.queue, "the queue to be empty")
        gate.open.set()
        assert first.response().status == 200
        assert proxy.get("/last").status == 200
    assert gate.order == [b"/first", b"/last"]


def test_a_client_that_sends_its_next_request_stays_in_the_queue(
    start_proxy: StartProxy, backend: Backend, gate: Gate
) -> None:
    proxy = one_at_a_time(start_proxy, backend)
    with waiting(proxy, "/first", 0) as first, waiting(proxy, "/second", 1) as second:
        second.send(b"GET /third HTTP/1.1\r\nHost: test\r\n\r\n")
        gevent.sleep(0.05)
        assert len(proxy.balancer.queue) == 1
        gate.open.set()
        assert first.response().status == second.response().status == second.response().status == 200


def test_the_queue_moves_when_a_backend_comes_up(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    gate = Gate(backend)
    another.health = "500 Oh"
    tables = [
        {"name": f"b{number}", "address": f"127.0.0.1:{one.port}", "max_connections": 1}
        for number, one in enumerate((backend, another), 1)
    ]
    proxy = start_proxy(*tables, health={"interval": 0.05})
    with waiting(proxy, "/first", 0) as first, waiting(proxy, "/second", 1) as second:
        another.health = "200 OK"
        assert second.response().status == 200
        gate.open.set()
        assert first.response().status == 200


def test_a_request_that_may_run_elsewhere_does_not_wait(
    start_proxy: StartProxy, backend: Backend, another: Backend
) -> None:
    gate = Gate(backend)
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": 1}
    proxy = start_proxy(table, {"name": "b2", "address": f"127.0.0.1:{another.port}"})
    with waiting(proxy, "/", 0) as first:
        for _ in range(5):
            assert proxy.get().status == 200
        gate.open.set()
        assert first.response().status == 200
    assert len(another.requests) == 5
