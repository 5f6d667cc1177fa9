"""How many requests a second and how many connections one client may have."""

from __future__ import annotations

from contextlib import suppress

import pytest
from heliograph_proxy import clients
from heliograph_proxy.clients import ClientBounds
from heliograph_proxy.errors import TooManyRequests
from heliograph_proxy.settings import ClientSettings

from proxy_tests.backends import Backend, websocket_echo
from proxy_tests.conftest import Client, Proxy, StartProxy, until
from proxy_tests.test_shares import HANDSHAKE, TRUSTED, get, sent

FROM_A, FROM_B = "10.0.0.1", "10.0.0.2"


def counted(bounds: ClientBounds, client: str, now: float, times: int) -> int:
    """How many of so many requests are let through."""
    passed = 0
    for _ in range(times):
        with suppress(TooManyRequests):
            bounds.count_request(client, now)
            passed += 1
    return passed


@pytest.mark.parametrize(
    ("rate", "burst", "later"), [(5.0, 10, 5), (1.0, 2, 1), (0.5, 1, 0), (0.1, 1, 0), (100.0, 200, 100)]
)
def test_a_burst_is_twice_the_rate_and_then_the_rate_holds(rate: float, burst: int, later: int) -> None:
    bounds = ClientBounds(ClientSettings(rate=rate))
    assert counted(bounds, FROM_A, 1000.0, 500) == burst
    assert counted(bounds, FROM_A, 1001.001, 500) == later
    assert counted(bounds, FROM_B, 1001.001, 500) == burst
    assert counted(bounds, FROM_A, 1100.0, 500) == burst


def test_who_is_refused_is_told_when_to_come_again() -> None:
    bounds = ClientBounds(ClientSettings(rate=0.1))
    bounds.count_request(FROM_A, 0.0)
    with pytest.raises(TooManyRequests) as refused:
        bounds.count_request(FROM_A, 1.5)
    assert refused.value.retry_after == 9
    bounds.count_request(FROM_A, 10.5)


def test_without_a_rate_nothing_is_counted() -> None:
    assert counted(ClientBounds(ClientSettings()), FROM_A, 0.0, 1000) == 1000


def test_what_is_remembered_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MAX_CLIENTS", 10)
    bounds = ClientBounds(ClientSettings(rate=1.0))
    for number in range(100):
        bounds.count_request(f"10.0.0.{number}", 0.0)
    assert len(bounds._due) == 10
    for _ in range(6):
        bounds.count_request("10.0.1.1", 1000.0 + _)
    assert len(bounds._due) == 1, "the others have a whole burst again"


def test_the_rate_holds_for_requests_of_any_kind(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, trusted=TRUSTED, client={"rate": 0.5})
    with get(proxy, FROM_A) as first:
        assert first.response().status == 200
        first.send(f"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {FROM_A}\r\n\r\n".encode())
        answer = first.response()
        assert (answer.status, answer.field("Retry-After")) == (429, "2")
        assert answer.problem()["type"] == "/problems/too-many-requests"
        # The connection is another client's as well.
        first.send(f"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: {FROM_B}\r\n\r\n".encode())
        assert first.response().status == 200
    with sent(proxy, HANDSHAKE, FROM_A) as socket:
        assert socket.response().status == 429
    assert [one["status"] for one in proxy.records(4)] == [200, 429, 200, 429]


def over(client: Client) -> bool:
    """Whether this connection is one too many: the answer says so, and the connection ends."""
    answer = client.response()
    assert (answer.status, answer.field("Connection")) == (429, "close")
    return client.ended()


def opened(proxy: Proxy, count: int) -> list[Client]:
    before = proxy.runtime.metrics.connections
    found = [proxy.client() for _ in range(count)]
    until(lambda: proxy.runtime.metrics.connections == before + count, "the connections to be there")
    return found


def test_a_client_has_so_many_connections_also_silent_ones(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, trusted=[], client={"connections": 2})
    first, second = opened(proxy, 2)
    with proxy.client() as third:
        assert over(third)
    first.sock.close()
    until(lambda: proxy.get().status == 200, "the place to be free")
    second.sock.close()
    assert proxy.records(2)[0]["status"] == 429


def test_behind_a_trusted_peer_a_client_has_the_connections_with_its_requests(
    start_proxy: StartProxy, backend: Backend
) -> None:
    backend.script = websocket_echo
    proxy = start_proxy(backend, trusted=TRUSTED, client={"connections": 1})
    kept = get_and_keep(proxy, backend)
    with sent(proxy, HANDSHAKE, FROM_A) as socket:
        assert socket.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        with get(proxy, FROM_A) as another:
            assert over(another)
        backend.script = lambda peer, request: peer.answer()
        with get(proxy, FROM_B) as other:
            assert other.response().status == 200
    until(lambda: not proxy.runtime.clients._open, "nobody to be counted")
    with get(proxy, FROM_A) as again:
        assert again.response().status == 200
    kept.sock.close()


def get_and_keep(proxy: Proxy, backend: Backend) -> Client:
    """A connection of the peer's pool, on which a request of the client was answered: it is nobody's now."""
    script, backend.script = backend.script, lambda peer, request: peer.answer()
    client = get(proxy, FROM_A)
    assert client.response().status == 200
    backend.script = script
    return client


def test_a_trusted_peer_that_names_no_client_is_one(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, trusted=TRUSTED, client={"connections": 1})
    with proxy.client() as first:
        assert first.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
        with proxy.client() as second:
            second.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert over(second)
        assert first.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 200
    until(lambda: proxy.get().status == 200, "the place to be free")
