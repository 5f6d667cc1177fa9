"""Upgraded connections: when there is one, what goes through it, and how it ends."""

from __future__ import annotations

import gevent
import pytest

from proxy_tests.backends import CLOSE, Backend, Peer, Received, echo_target, saying, websocket_echo
from proxy_tests.conftest import Client, Proxy, StartProxy, until

FIELDS = {
    "Host": "test",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def upgrade(method: str = "GET", version: str = "1.1", **changed: str | None) -> bytes:
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} /ws HTTP/{version}\r\n{lines}\r\n".encode()


def open_tunnel(proxy: Proxy, more: bytes = b"", **changed: str) -> Client:
    client = proxy.client()
    client.send(upgrade(**changed) + more)
    assert client.response().status == 101
    return client


@pytest.fixture(autouse=True)
def echoes(backend: Backend) -> None:
    backend.script = websocket_echo


def test_bytes_go_both_ways_after_the_handshake(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(upgrade())
        answer = client.response()
        assert answer.status == 101
        assert (answer.field("Upgrade"), answer.field("Connection")) == ("websocket", "Upgrade")
        assert answer.field("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        for size in (1, 1000, 1_000_000):
            data = bytes(range(256)) * (size // 256 + 1)
            gevent.spawn(client.send, data)
            assert client.read(len(data)) == data
        assert (
            proxy.backends[0].tunnels,
            proxy.backends[0].active,
        ) == (1, 0)
    until(lambda: proxy.backends[0].tunnels == 0, "the tunnel to end")
    [record] = proxy.records()
    assert (record["status"], record["ended"]) == (101, "done")
    got = backend.requests[0]
    assert (got.field("Upgrade"), got.field("Connection")) == (["websocket"], ["Upgrade"])


def test_what_the_client_sends_too_early_is_held_until_the_switch(
    start_proxy: StartProxy, backend: Backend
) -> None:
    with open_tunnel(start_proxy(backend), b"early") as client:
        assert client.read(5) == b"early"


def test_without_a_switch_what_follows_is_the_next_request(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = echo_target
    proxy = start_proxy(backend)
    with proxy.client() as client:
        client.send(upgrade() + b"GET /next HTTP/1.1\r\nHost: test\r\n\r\n")
        assert client.response().body == b"/ws"
        assert client.response().body == b"/next"


@pytest.mark.parametrize(
    "request_bytes",
    [
        upgrade(Connection="keep-alive"),
        upgrade(Upgrade="h2c"),
        upgrade(Upgrade="websocket2, h2c"),
        upgrade(Sec_WebSocket_Version="8"),
        upgrade(Content_Length="0", method="POST"),
        upgrade(version="1.0"),
    ],
)
def test_what_asks_for_no_websocket_of_this_version_is_an_ordinary_request(
    start_proxy: StartProxy, backend: Backend, request_bytes: bytes
) -> None:
    backend.script = echo_target
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(request_bytes).body == b"/ws"
    assert backend.requests[0].field("Upgrade") == backend.requests[0].field("Connection") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": "h2c, WebSocket"},
        {"Upgrade": "websocket ,h2c"},
        {"Upgrade": "h2c\r\nUPGRADE: websocket"},
        {"Connection": "keep-alive\r\nconnection:\tUPGRADE , x"},
    ],
)
def test_a_websocket_may_be_one_of_several_upgrades(
    start_proxy: StartProxy, backend: Backend, changed: dict[str, str]
) -> None:
    with open_tunnel(start_proxy(backend), b"", **changed):
        [got] = backend.requests
    assert (got.field("Upgrade"), got.field("Connection")) == (["websocket"], ["Upgrade"])


@pytest.mark.parametrize("key", [None, "short", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==x"])
def test_a_handshake_without_a_good_key_is_refused(
    start_proxy: StartProxy, backend: Backend, key: str | None
) -> None:
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(upgrade(Sec_WebSocket_Key=key)).problem()["status"] == 400
    assert backend.requests == []


def test_an_upgrade_with_a_body_is_an_ordinary_request(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = echo_target
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(upgrade(Content_Length="5") + b"hello").status == 200
    assert (backend.requests[0].field("Upgrade"), backend.requests[0].body) == ([], b"hello")


def test_a_426_tells_the_client_what_to_ask_for(start_proxy: StartProxy, backend: Backend) -> None:
    backend.script = saying(
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"
    )
    proxy = start_proxy(backend)
    with proxy.client() as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert (answer.status, answer.field("Upgrade")) == (426, "websocket")
        assert (answer.field("Connection") or "").lower() == "upgrade"
        assert client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").status == 426


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
def test_a_switch_to_something_else_is_a_bad_gateway(
    start_proxy: StartProxy, backend: Backend, head: bytes
) -> None:
    backend.script = saying(head)
    proxy = start_proxy(backend)
    with proxy.client() as client:
        assert client.ask(upgrade()).problem()["status"] == 502


def test_the_end_of_one_direction_is_passed_on_alone(start_proxy: StartProxy, backend: Backend) -> None:
    def last_word(peer: Peer, request: Received) -> object:
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        while peer.sock.recv(100):
            pass
        peer.send(b"after the end")
        return CLOSE

    backend.script = last_word
    with open_tunnel(start_proxy(backend)) as client:
        client.send(b"x")
        client.sock.shutdown(1)
        assert client.read_all() == b"after the end"


def test_a_backend_that_dies_ends_the_tunnel(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend)
    with open_tunnel(proxy) as client:
        backend.drop_connections()
        assert client.ended()


def test_a_tunnel_in_which_nothing_moves_is_closed(start_proxy: StartProxy, backend: Backend) -> None:
    proxy = start_proxy(backend, timeouts={"tunnel": 0.3})
    with open_tunnel(proxy) as client:
        for _ in range(5):
            gevent.sleep(0.1)
            client.send(b"x")
            assert client.read(1) == b"x"
        assert client.ended()
    assert proxy.records()[0]["ended"] == "tunnel-idle"


def test_traffic_in_one_direction_keeps_the_other_open(start_proxy: StartProxy, backend: Backend) -> None:
    def talks(peer: Peer, request: Received) -> object:
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        for _ in range(6):
            gevent.sleep(0.1)
            peer.send(b"x")
        return CLOSE

    backend.script = talks
    with open_tunnel(start_proxy(backend, timeouts={"tunnel": 0.3})) as client:
        assert client.read_all() == b"xxxxxx"


def test_tunnels_are_counted_apart_and_bounded(start_proxy: StartProxy, backend: Backend) -> None:
    table = {"name": "b1", "address": f"127.0.0.1:{backend.port}", "max_connections": 1, "max_tunnels": 2}
    proxy = start_proxy(table, timeouts={"queue": 0.1})
    with open_tunnel(proxy), open_tunnel(proxy):
        backend.script = echo_target
        assert proxy.get().status == 200
        with proxy.client() as client:
            assert client.ask(upgrade()).status == 503
