"""A connection's waits: data, ends, deadlines, interruptions, and what is left when it is closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic

import gevent
import pytest
from heliograph_proxy.errors import Disconnected, ProxyStopping, StreamError, TimedOut
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.waits import NEVER, Sweeper

from proxy_tests.backends import PATIENCE
from proxy_tests.conftest import until


@pytest.fixture
def sweeper() -> Iterator[Sweeper]:
    one = Sweeper()
    one.start()
    yield one
    one.stop()
    assert len(one) == 0


@pytest.fixture
def pair(sweeper: Sweeper) -> Iterator[tuple[SocketStream, socket.socket]]:
    """A stream over TCP, where an end can be a reset, and its other side, which never waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours = server.accept()[0]
    ours.setblocking(False)
    theirs.setblocking(False)
    stream = SocketStream(ours, sweeper, 0.2)
    with gevent.Timeout(PATIENCE, AssertionError("somebody waits for ever")):
        yield stream, theirs
    stream.close()
    theirs.close()


def soon() -> float:
    return monotonic() + 0.05


def fill(stream: SocketStream) -> int:
    """Send what the kernel takes; the other side reads nothing."""
    with pytest.raises(TimedOut) as error:
        stream.send(bytes(50_000_000))
    assert error.value.stream is stream
    return stream.sent


def test_what_is_there_is_read_at_once_and_what_comes_is_waited_for(
    pair: tuple[SocketStream, socket.socket],
) -> None:
    stream, theirs = pair
    theirs.send(b"now")
    assert stream.recv(soon()) == b"now"
    gevent.spawn(theirs.send, b"later")
    assert stream.recv_later(NEVER) == b"later"
    theirs.shutdown(socket.SHUT_WR)
    assert stream.recv(soon()) == b""


def test_silence_ends_at_its_deadline(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, theirs = pair
    begun = monotonic()
    with pytest.raises(TimedOut) as error:
        stream.recv(begun + 0.1)
    assert error.value.stream is stream
    assert monotonic() >= begun + 0.1
    theirs.send(b"after all")
    assert stream.recv(soon()) == b"after all"


def test_a_deadline_may_move_while_somebody_waits(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, _ = pair
    waiting = gevent.spawn(outcome, stream, "recv")
    gevent.idle()
    stream.read_deadline = soon()
    assert waiting.get(timeout=5) is TimedOut


def test_a_side_that_takes_nothing_ends_the_send_and_counts_what_was_taken(
    pair: tuple[SocketStream, socket.socket],
) -> None:
    stream, theirs = pair
    sent = fill(stream)
    received = 0
    stream.close()
    theirs.setblocking(True)
    while data := theirs.recv(1 << 20):
        received += len(data)
    assert received == sent > 0


def test_a_large_send_goes_on_as_the_other_side_reads(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, theirs = pair
    sending, left = gevent.spawn(stream.send, bytes(20_000_000)), 20_000_000

    def read() -> bool:
        nonlocal left
        try:
            left -= len(theirs.recv(1 << 20))
        except BlockingIOError:
            return False
        return left == 0

    until(read, "all of it")
    sending.get()
    assert stream.sent == 20_000_000


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_interruption_is_raised_once_in_who_waits_or_will(
    pair: tuple[SocketStream, socket.socket], when: str
) -> None:
    stream, theirs = pair
    if when == "before":
        stream.interrupt(ProxyStopping())
    else:
        gevent.spawn(stream.interrupt, ProxyStopping())
    with pytest.raises(ProxyStopping):
        stream.recv_later(NEVER)
    theirs.send(b"x")
    assert stream.recv_later(NEVER) == b"x"


def test_an_interruption_that_came_too_late_can_be_forgotten(
    pair: tuple[SocketStream, socket.socket],
) -> None:
    stream, theirs = pair
    stream.interrupt(ProxyStopping())
    stream.forget_interruption()
    theirs.send(b"x")
    assert stream.recv_later(NEVER) == b"x"


def test_closing_ends_the_waits_of_both_directions(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, _ = pair
    stream.write_patience = NEVER
    waits = [gevent.spawn(outcome, stream, "recv"), gevent.spawn(outcome, stream, "send")]
    gevent.sleep(0.01)
    stream.close()
    assert [one.get(timeout=5) for one in waits] == [Disconnected, Disconnected]
    assert stream.closed
    stream.close()
    with pytest.raises(Disconnected):
        stream.arm()


def outcome(stream: SocketStream, what: str) -> type[StreamError] | None:
    try:
        if what == "recv":
            stream.recv(NEVER)
        else:
            stream.send(bytes(50_000_000))
    except StreamError as exc:
        return type(exc)
    return None


@pytest.mark.parametrize("event", ["bytes", "an end"])
def test_what_arrives_while_nobody_reads_is_told_once_and_stays(
    pair: tuple[SocketStream, socket.socket], event: str
) -> None:
    stream, theirs = pair
    told: list[bytes | None] = []
    stream.on_readable = lambda: told.append(stream.peek())
    stream.arm()
    assert stream.peek() is None
    if event == "bytes":
        theirs.send(b"xy")
    else:
        theirs.shutdown(socket.SHUT_WR)
    until(lambda: told, "the event")
    gevent.sleep(0.02)
    assert told == [b"x" if event == "bytes" else b""]
    assert stream.recv(soon()) == (b"xy" if event == "bytes" else b"")


@pytest.mark.parametrize(("reset", "expected"), [(False, b""), (True, ConnectionResetError)])
def test_a_close_is_an_end_and_a_reset_none(
    pair: tuple[SocketStream, socket.socket], reset: bool, expected: bytes | type[Exception]
) -> None:
    stream, theirs = pair
    stream.close(reset=reset)
    theirs.setblocking(True)
    if isinstance(expected, bytes):
        assert theirs.recv(1) == expected
    else:
        with pytest.raises(expected):
            theirs.recv(1)


def test_after_the_last_word_the_other_side_is_still_heard(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, theirs = pair
    stream.finish_writing()
    theirs.setblocking(True)
    assert theirs.recv(1) == b""
    theirs.send(b"answer")
    assert stream.recv(soon()) == b"answer"


def test_a_side_that_has_gone_is_disconnected(pair: tuple[SocketStream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    for act in (lambda: stream.recv(soon()), lambda: stream.send(b"x"), stream.finish_writing):
        with pytest.raises(Disconnected) as error:
            act()
        assert error.value.stream is stream
    assert stream.peek() == b""
