"""The sending half: frames of many greenlets, slow peers, broadcasts that wait for nobody."""

from __future__ import annotations

import gevent
import pytest
from geventwebsocket.exceptions import WebSocketError

from heliograph.websocket import connection as connection_module
from heliograph.websocket.frames import serialize
from heliograph.websocket.sender import MAX_OFFERED
from tests.heliograph.websocket.pair import Pair, pair, turns
from tests.heliograph.websocket.raw import BINARY, CLOSE, PING, PONG, Frame, frame


def binary(size: int, fill: bytes = b"x") -> bytes:
    return serialize(0x82, fill * size)


def filled(made: Pair) -> None:
    """Fill what the kernel takes, and leave a little waiting."""
    while made.connection._sender.is_empty:
        made.connection.offer(binary(4000, b"."))


def frames_until(made: Pair, last: Frame) -> list[Frame]:
    found: list[Frame] = []
    while not found or found[-1] != last:
        found.append(made.frame())
    return found


def test_frames_of_many_greenlets_never_mix() -> None:
    with pair() as made:

        def talk(number: int) -> None:
            for _ in range(20):
                made.connection.send(binary(50_000 + number, bytes([number])))

        talkers = [gevent.spawn(talk, number) for number in range(10)]
        found = [made.frame() for _ in range(200)]
        gevent.joinall(talkers, raise_error=True)
    assert all(
        one.payload == one.payload[:1] * (50_000 + one.payload[0]) and one.opcode == BINARY for one in found
    )
    assert sorted(one.payload[0] for one in found) == sorted(list(range(10)) * 20)


def test_a_sender_waits_for_a_slow_peer() -> None:
    with pair() as made:
        sender = gevent.spawn(made.connection.send, binary(1 << 22))
        turns(10)
        assert not sender.ready()
        assert made.frame() == Frame(BINARY, b"x" * (1 << 22))
        sender.get()


def test_a_sender_that_is_killed_leaves_its_frame_whole() -> None:
    with pair() as made:
        sender = gevent.spawn(made.connection.send, binary(1 << 22))
        turns()
        sender.kill()
        made.connection.offer(binary(3, b"y"))
        assert made.frame() == Frame(BINARY, b"x" * (1 << 22))
        assert made.frame() == Frame(BINARY, b"yyy")


def test_what_is_offered_waits_in_order_and_makes_nobody_wait() -> None:
    with pair() as made:
        filled(made)
        for number in range(100):
            made.connection.offer(binary(1, bytes([number])))
        found = frames_until(made, Frame(BINARY, b"\x63"))
        assert [one.payload[0] for one in found if len(one.payload) == 1] == list(range(100))


def test_a_peer_that_is_too_slow_is_closed_with_3008_behind_a_whole_frame() -> None:
    with pair() as made:
        filled(made)
        offered = 0
        while made.connection.is_open:
            assert offered <= MAX_OFFERED + 40_000
            made.connection.offer(binary(10_000))
            offered += 10_004
        assert offered > MAX_OFFERED - 40_000
        found = frames_until(made, Frame(CLOSE, b"\x0b\xc0too slow"))
        assert all(one.opcode == BINARY for one in found[:-1])
        assert sum(len(one.payload) for one in found) < MAX_OFFERED
        assert made.connection.receive() is None


def test_one_longer_message_may_wait_when_nothing_else_does() -> None:
    with pair() as made:
        made.connection.offer(binary(3 * MAX_OFFERED))
        assert made.connection.is_open
        made.connection.offer(binary(1))
        assert not made.connection.is_open
        assert made.frame() == Frame(BINARY, b"x" * (3 * MAX_OFFERED))
        assert made.frame().code == 3008


def test_a_sender_behind_broadcasts_is_told_that_its_message_was_lost() -> None:
    with pair() as made:
        filled(made)
        sender = gevent.spawn(made.connection.send, binary(100))
        turns()
        while made.connection.is_open:
            made.connection.offer(binary(100_000))
        with pytest.raises(WebSocketError):
            sender.get()


def test_what_a_view_sends_does_not_count_against_the_peer() -> None:
    with pair() as made:
        sender = gevent.spawn(made.connection.send, binary(4 * MAX_OFFERED))
        turns()
        made.connection.offer(binary(MAX_OFFERED))
        assert made.connection.is_open
        assert len(made.frame().payload) == 4 * MAX_OFFERED
        assert len(made.frame().payload) == MAX_OFFERED
        sender.get()


def test_of_many_pings_behind_a_slow_message_only_the_last_is_answered() -> None:
    with pair() as made:
        gevent.spawn(made.connection.send, binary(1 << 22))
        turns()
        made.send(b"".join(frame(PING, b"%d" % number) for number in range(1000)))
        turns(20)
        assert made.frame().opcode == BINARY
        assert made.frame() == Frame(PONG, b"999")
        made.send(frame(PING, b"again"))
        assert made.frame() == Frame(PONG, b"again")


def test_offers_to_a_connection_that_is_closed_are_nothing() -> None:
    with pair() as made:
        made.connection.close(1000)
        made.connection.offer(binary(5))
        made.connection.abort()
        made.connection.offer(binary(5))
        assert made.frame().code == 1000
        assert made.ended()


def test_a_too_slow_peer_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.3)
    with pair() as made:
        view = gevent.spawn(made.connection.finish)
        view.kill()
        filled(made)
        while made.connection.is_open:
            made.connection.offer(binary(100_000))
        made.connection.finish()
