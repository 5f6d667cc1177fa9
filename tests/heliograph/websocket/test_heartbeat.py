"""Whether the peer is still there: pings, their answers, and peers that vanish."""

from __future__ import annotations

import gc
import socket
import weakref

import gevent
import pytest
from geventwebsocket.exceptions import WebSocketError

from heliograph.websocket import pings
from heliograph.websocket.connection import WebSocketConnection
from heliograph.websocket.inbound import Inbound
from heliograph.websocket.registry import ConnectionRegistry
from tests.heliograph.websocket.pair import Pair, echoing, pair, turns
from tests.heliograph.websocket.raw import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, frame


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings after half a second, answers within a quarter."""
    monkeypatch.setattr(pings, "INTERVAL", 0.5)
    monkeypatch.setattr(pings, "PATIENCE", 0.25)


def its_time(made: Pair) -> None:
    """What the wheel does when a time is up, and only now: first a ping is sent, and then its answer was due."""
    wheel = made.registry.wheel
    wheel.cancel(made.connection)
    made.connection.time_is_up()
    wheel.cancel(made.connection)


@pytest.mark.usefixtures("hurried")
class TestSignsOfLife:
    def test_an_idle_peer_is_pinged_again_and_again(self) -> None:
        with pair() as made:
            echoing(made)
            for _ in range(3):
                assert made.frame() == Frame(PING, b"")
                made.send(frame(PONG))
            made.send(frame(TEXT, b"there"))
            assert made.frame() == Frame(TEXT, b"there")

    def test_a_peer_that_does_not_answer_is_given_up(self) -> None:
        with pair() as made:
            view = echoing(made)
            view.get()
            assert made.frame() == Frame(PING, b"")
            assert made.ended()

    def test_whatever_else_comes_is_a_sign_of_life(self) -> None:
        with pair() as made:
            view = echoing(made)
            for _ in range(2):
                assert made.frame() == Frame(PING, b"")
                made.send(frame(BINARY, b"x", fin=False) + frame(CONTINUATION))
                assert made.frame() == Frame(BINARY, b"x")
            assert not view.ready()

    def test_a_sender_to_a_peer_that_takes_nothing_is_freed(self) -> None:
        with pair() as made:
            sender = gevent.spawn(
                made.connection.send, b"\x82\x7f" + (1 << 24).to_bytes(8, "big") + bytes(1 << 24)
            )
            with pytest.raises(WebSocketError):
                sender.get()

    def test_a_peer_that_takes_slowly_is_alive(self) -> None:
        size = 1 << 20
        with pair() as made:
            sender = gevent.spawn(made.connection.send, b"\x82\x7f" + size.to_bytes(8, "big") + bytes(size))
            left = size + 10
            while left > 0:
                gevent.sleep(0.02)
                left -= len(made.client.recv(16 << 10))
            sender.get()
            assert made.connection.is_open

    def test_what_a_peer_takes_is_a_sign_of_life_also_when_as_much_waits_as_before(self) -> None:
        with pair() as made:
            gevent.spawn(made.connection.send, b"\x82\x7f" + (1 << 24).to_bytes(8, "big") + bytes(1 << 24))
            turns()
            its_time(made)
            made.connection._heartbeat._unacknowledged = 0
            made.exactly(1 << 20)
            its_time(made)
            assert made.connection.is_open

    @pytest.mark.parametrize("reads", [True, False])
    def test_what_was_sent_before_the_ping_may_still_be_on_its_way(self, reads: bool) -> None:
        with pair() as made:
            made.connection.offer(b"\x82\x7e\xff\x00" + bytes(0xFF00))
            its_time(made)
            made.exactly(0xF000 if reads else 0)
            its_time(made)
            assert made.connection.is_open == reads

    @pytest.mark.parametrize("answers", [True, False])
    def test_an_answer_that_came_while_this_process_was_busy_counts(self, answers: bool) -> None:
        with pair() as made:
            its_time(made)
            made.send(frame(PONG) if answers else b"")
            its_time(made)  # before the event loop could have seen it
            assert made.connection.is_open == answers

    def test_a_view_that_does_not_receive_keeps_a_peer_whose_kernel_takes_the_pings(self) -> None:
        with pair() as made:
            gevent.spawn(made.send, frame(BINARY, b"x" * 60_000) * 20)
            for _ in range(3):
                assert made.frame() == Frame(PING, b"")
            assert made.connection.is_open

    def test_a_view_that_does_not_receive_loses_a_peer_that_is_gone(self) -> None:
        with pair() as made:
            gevent.spawn(made.send, frame(BINARY, b"x" * 60_000) * 20)
            while made.connection.is_open:
                gevent.sleep(0.01)


def test_connections_that_come_together_are_pinged_at_different_times() -> None:
    registry = ConnectionRegistry()
    pairs, waits = [], set()
    for _ in range(200):
        pairs.append(Pair(registry=registry))
        waits.add(registry.first_ping())
    for made in pairs:
        made.close()
    assert len(waits) == 50
    assert min(waits) > 12
    assert max(waits) <= 25


def test_many_connections_share_one_timer() -> None:
    registry = ConnectionRegistry()
    pairs = [Pair(registry=registry) for _ in range(100)]
    try:
        assert len(registry.wheel) == len(registry.open) == 100
    finally:
        for made in pairs:
            made.close()
    assert len(registry.wheel) == len(registry.open) == 0


class Watched(WebSocketConnection):
    """With room for a weak reference."""


def test_a_connection_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    """Its parts do not keep each other alive."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = Watched(ours, Inbound(1000), ConnectionRegistry())
        there = weakref.ref(connection)
        gc.disable()
        try:
            connection.abort()
            turns()
            del connection
            assert there() is None
        finally:
            gc.enable()
