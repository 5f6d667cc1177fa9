"""One connection of the engine: what waits for what, and how it ends."""

from __future__ import annotations

import time
from collections import Counter

import gevent
import pytest
from geventwebsocket.exceptions import WebSocketError

from heliograph.request.pauses import WORK
from heliograph.websocket import connection as module
from heliograph.websocket.inbound import FRAMES_A_TURN, MAX_UNREAD, MESSAGE_WEIGHT
from heliograph.websocket.receiver import READ_SIZE
from tests.heliograph.websocket.pair import echoing, pair, turns
from tests.heliograph.websocket.raw import BINARY, CLOSE, PING, PONG, TEXT, Frame, frame


def test_messages_come_back_in_order() -> None:
    with pair() as made:
        echoing(made)
        made.send(b"".join(frame(TEXT, str(number).encode()) for number in range(1000)))
        assert [made.frame().payload for _ in range(1000)] == [str(n).encode() for n in range(1000)]


def test_a_long_message_is_read_in_pieces() -> None:
    with pair(1 << 24) as made:
        echoing(made)
        message = bytes(range(256)) * 40_000
        gevent.spawn(made.send, frame(BINARY, message))
        assert made.frame() == Frame(BINARY, message)


def test_pings_are_answered_while_the_view_is_busy() -> None:
    with pair() as made:
        made.send(frame(TEXT, b"work") + frame(PING, b"1"))
        assert made.frame() == Frame(PONG, b"1")
        made.send(frame(PING, b"2"))
        assert made.frame() == Frame(PONG, b"2")
        assert made.connection.receive() == "work"


def test_a_close_is_answered_while_the_view_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_GRACE", 0.3)
    with pair() as made:
        made.send(frame(TEXT, b"work") + frame(CLOSE, b"\x03\xe9"))
        assert made.frame() == Frame(CLOSE, b"\x03\xe9")
        assert made.ended()
        assert not made.connection.is_open
        assert made.connection.receive() == "work"
        assert made.connection.receive() is None
        with pytest.raises(WebSocketError):
            made.connection.send(b"\x81\x00")


@pytest.mark.parametrize(
    ("last", "code"),
    [(frame(CLOSE, b"\x03\xe8"), 1000), (frame(3), 1002), (frame(TEXT, b"\xff"), 1007)],
)
def test_what_came_before_the_end_is_answered_before_it(last: bytes, code: int) -> None:
    with pair() as made:

        def slow() -> None:
            while (message := made.connection.receive()) is not None:
                turns(20)
                made.connection.send(b"\x81" + bytes([len(message)]) + str(message).encode())

        gevent.spawn(slow)
        made.send(b"".join(frame(TEXT, b"%d" % n) for n in range(5)) + last)
        assert [made.frame().payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert made.frame().code == code


def test_a_view_that_does_not_receive_stops_the_reading_after_a_bound() -> None:
    with pair() as made:
        sender = gevent.spawn(made.send, frame(BINARY, b"x" * 60_000) * 200)
        while not made.connection._receiver.paused:
            gevent.sleep(0.001)
        gevent.sleep(0.02)
        assert not sender.ready()
        inbound = made.connection._inbound
        held = sum(map(len, inbound.messages)) + len(inbound.rest or b"")
        assert held < 2 * MAX_UNREAD + READ_SIZE
        for _ in range(200):
            assert made.connection.receive() == b"x" * 60_000
        sender.get()
        assert not made.connection._receiver.paused


@pytest.mark.parametrize(
    ("one", "at_once"),
    [
        (frame(BINARY), MAX_UNREAD // MESSAGE_WEIGHT),
        (frame(PING), FRAMES_A_TURN),
        (frame(PONG), FRAMES_A_TURN),
    ],
)
def test_a_flood_lets_others_have_their_turn(one: bytes, at_once: int) -> None:
    count = 20_000
    had = []

    def other() -> None:
        while True:
            gevent.sleep(0)
            had.append(1)

    def read() -> None:
        while made.client.recv(1 << 16)[-6:] != b"behind":
            pass

    with pair() as made:
        view, busy, reader = echoing(made), gevent.spawn(other), gevent.spawn(read)
        made.send(one * count + frame(TEXT, b"behind"))
        reader.get()
        gevent.killall([view, busy])
    assert len(had) >= count // at_once


def test_a_view_with_long_work_lets_others_have_their_turn_between_messages() -> None:
    turn, of_messages = 0, Counter[int]()

    def view() -> None:
        while made.connection.receive() is not None:
            of_messages[turn] += 1
            until = time.monotonic() + WORK
            while time.monotonic() < until:
                pass

    with pair() as made:
        worker = gevent.spawn(view)
        made.send(frame(TEXT) * 100 + frame(CLOSE))
        while not worker.ready():
            gevent.sleep(0)
            turn += 1
    assert sum(of_messages.values()) == 100
    assert max(of_messages.values()) <= 3


def test_the_answer_to_our_close_is_found_behind_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 25.0)  # more than the test may take
    with pair() as made:
        made.send(frame(BINARY) * 2000 + frame(CLOSE, b"\x03\xe8"))
        while not made.connection._receiver.paused:
            turns()
        gevent.spawn(lambda: made.client.recv(1000))
        made.connection.finish()


def test_a_peer_that_breaks_the_rules_cannot_put_off_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_GRACE", 0.3)
    with pair() as made:
        gevent.spawn(made.send, frame(TEXT, b"work") + frame(3) + frame(BINARY, b"x") * 100_000)
        assert made.frame().code == 1002  # while the view is busy, and more is arriving all the time


def test_a_second_receiver_is_a_mistake() -> None:
    with pair() as made:
        first = gevent.spawn(made.connection.receive)
        turns()
        with pytest.raises(RuntimeError):
            made.connection.receive()
        made.send(frame(TEXT, b"for the first"))
        assert first.get() == "for the first"


def test_a_receiver_may_be_interrupted_and_loses_nothing() -> None:
    with pair() as made:
        with gevent.Timeout(0.01, False):  # type: ignore[arg-type]
            made.connection.receive()
        made.send(frame(TEXT, b"late"))
        assert made.connection.receive() == "late"


def test_closing_waits_for_the_answer() -> None:
    with pair() as made:
        view = gevent.spawn(made.connection.finish)
        assert made.frame() == Frame(CLOSE, b"\x03\xe8")
        turns(10)
        assert not view.ready()
        made.send(frame(TEXT, b"ignored") + frame(CLOSE, b"\x03\xe8"))
        view.get()
        assert made.ended()


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.3)
    with pair() as made:
        view = gevent.spawn(made.connection.finish)
        assert made.frame().code == 1000
        view.get()
        assert made.ended()


def test_a_close_frame_that_nobody_reads_does_not_hold_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.3)
    with pair() as made:
        sender = gevent.spawn(
            made.connection.send, b"\x82\x7f" + (1 << 24).to_bytes(8, "big") + b"x" * (1 << 24)
        )
        turns()
        made.connection.finish()
        with pytest.raises(WebSocketError):
            sender.get()


def test_another_greenlets_close_wakes_the_receiver() -> None:
    with pair() as made:
        view = gevent.spawn(made.connection.receive)
        turns()
        made.connection.close(1012, "service restart")
        assert view.get() is None
        assert made.frame() == Frame(CLOSE, b"\x03\xf4service restart")


@pytest.mark.parametrize("way", ["end", "reset"])
@pytest.mark.parametrize("sent", [b"", b"\x81", frame(TEXT, b"cut")[:-1], frame(BINARY, b"x", fin=False)])
def test_a_peer_that_is_gone_ends_everything(way: str, sent: bytes) -> None:
    with pair() as made:
        view = echoing(made)
        made.send(sent)
        if way == "end":
            made.client.shutdown(1)
        else:
            made.client.close()
        view.get()
        assert not made.connection.is_open


def test_a_close_frame_reaches_a_peer_that_sends_no_more() -> None:
    with pair() as made:
        made.send(frame(TEXT, b"one") + frame(TEXT, b"\xff"))
        made.client.shutdown(1)
        turns(5)
        assert made.connection.receive() == "one"
        made.connection.send(b"\x81\x03one")
        assert made.connection.receive() is None
        assert made.frame() == Frame(TEXT, b"one")
        assert made.frame().code == 1007
        made.connection.finish()


def test_a_peer_that_breaks_the_rules_and_sends_on_still_reads_the_reason() -> None:
    with pair() as made:
        echoing(made)
        sender = gevent.spawn(made.send, frame(BINARY, b"x" * (1 << 20) + b"y") * 4)
        assert made.frame().code == 1009
        sender.get()
