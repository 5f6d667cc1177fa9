"""A reload reaches bodies, answers and tunnels that run already: their times and rates, but not their sizes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent
import pytest
from heliograph_proxy import pace

from proxy_tests.backends import CLOSE, Backend, Peer, Received, echo_body, handshake, saying
from proxy_tests.conftest import Client, Proxy, StartProxy, until
from proxy_tests.reloading import GET, LONG, Reloading
from proxy_tests.test_slow_clients import sized, slow_reader
from proxy_tests.test_tunnel import upgrade

HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345"

#: A time that a test waits for.
SHORT = 0.05


@pytest.fixture
def one(
    start_proxy: StartProxy, backend: Backend, another: Backend, monkeypatch: pytest.MonkeyPatch
) -> Reloading:
    """With times that are too long for a test, and no rates."""
    monkeypatch.setattr("heliograph_proxy.waits.SWEEP_SECONDS", 0.02)
    monkeypatch.setattr("heliograph_proxy.server.MAINTENANCE_SECONDS", 0.02)
    monkeypatch.setattr("heliograph_proxy.accesslog.BATCH_SECONDS", 0.01)
    monkeypatch.setattr(pace, "BODY_SECONDS", SHORT)
    monkeypatch.setattr(pace, "ANSWER_SECONDS", SHORT)
    made = Reloading(start_proxy, backend, another)
    made.start(
        count=1,
        timeouts=dict.fromkeys(("head", "body", "tunnel", "queue"), LONG),
        client={"body_rate": 0, "answer_rate": 0},
    )
    return made


def half_a_body(proxy: Proxy) -> Client:
    client = proxy.client()
    client.send(HALF_A_BODY)
    until(lambda: proxy.runtime.held.total, "the body's beginning")
    return client


def unread(proxy: Proxy, request: bytes) -> Client:
    """A client that takes nothing of what it is sent."""
    client = slow_reader(proxy)
    client.send(request)
    until(lambda: any(one.stream._writing for one in proxy.server._sessions), "the proxy to wait for it")
    return client


def flood(peer: Peer, request: Received) -> object:
    """A tunnel, and more than the buffers on the way can have."""
    peer.send(handshake(request))
    while True:
        peer.send(bytes(65536))
    return CLOSE


@pytest.mark.parametrize("more", [b"", b"a"], ids=["silent", "goes on"])
def test_a_head_that_has_begun_is_waited_for_as_the_new_settings_say(one: Reloading, more: bytes) -> None:
    with one.proxy.client() as client:
        client.send(b"GET /")
        until(lambda: any(not each.idle for each in one.proxy.server._sessions), "the head to begin")
        one.reload(timeouts={"head": SHORT})
        answer = gevent.spawn(client.response)

        def answered() -> bool:
            with suppress(OSError):
                client.send(more)
            return answer.ready()

        until(answered, "its end")
        assert answer.get().status == 408


@pytest.mark.parametrize("settings", [{"timeouts": {"body": SHORT}}, {"client": {"body_rate": 1e6}}])
def test_a_body_that_is_waited_for_is_waited_for_as_the_new_settings_say(
    one: Reloading, settings: dict[str, Any]
) -> None:
    with half_a_body(one.proxy) as client:
        one.reload(**settings)
        assert client.response().status == 408


def test_a_body_that_waits_for_room_waits_as_the_new_settings_say(one: Reloading) -> None:
    held = one.proxy.runtime.held
    names, size = ("192.0.2.1", "192.0.2.2"), held.most_of_body
    for name in names:
        assert held.take(name, size)
    one.reload(limits={"held_bytes": held.total})
    with one.proxy.client() as client:
        client.send(HALF_A_BODY)
        until(lambda: held._count, "the body to wait")
        one.reload(timeouts={"queue": SHORT})
        assert client.response().problem()["status"] == 503
    for name in names:
        held.give(name, size)


def test_a_body_that_runs_keeps_its_limit(one: Reloading) -> None:
    one.backend.script = echo_body
    with half_a_body(one.proxy) as client:
        one.reload(limits={"body_bytes": 5})
        client.send(b"67890")
        assert client.response().body == b"1234567890"


@pytest.mark.parametrize("settings", [{"timeouts": {"body": SHORT}}, {"client": {"answer_rate": 1e6}}])
def test_an_answer_that_is_not_read_ends_as_the_new_settings_say(
    one: Reloading, settings: dict[str, Any]
) -> None:
    one.backend.script = saying(sized(2_000_000, False))
    with unread(one.proxy, GET):
        one.reload(**settings)
        assert one.proxy.records()[0]["ended"] == "client-too-slow"


def test_a_tunnel_that_is_not_read_ends_as_the_new_settings_say(one: Reloading) -> None:
    one.backend.script = flood
    with unread(one.proxy, upgrade()) as client:
        one.reload(timeouts={"tunnel": SHORT})

        def ended() -> bytes:
            with suppress(OSError):
                client.send(b"x")  # so that the other direction is not silent
            return one.proxy.log.read_bytes()

        until(ended, "the end of the tunnel")
        assert one.proxy.records()[0]["ended"] == "tunnel-idle"
