"""The memory of all WebSockets of an instance is bounded: those that hold most are closed, the others go on."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_tests.processes import until

from heliograph.settings import MIB
from heliograph.websocket.memory import FLOOR, MemoryLimit
from tests.heliograph.websocket.raw import BINARY, CLOSE, CONTINUATION, RawWebSocket, frame
from tests.serving import PATIENCE, Server

LIMIT = 4 * MIB

#: Bytes that a greedy connection holds, below HELIOGRAPH_WS_MAX_MESSAGE.
GREEDY = MIB - 1024


class Holder:
    def __init__(self) -> None:
        self.overloaded = False

        self.aborted = False

    def close(self, code: int, reason: str, *, drop: bool) -> None:
        assert (code, reason, drop) == (1013, "overloaded", True)
        self.overloaded = True

    def abort(self) -> None:
        self.aborted = True


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200 * FLOOR)), max_size=60))
def test_the_greediest_are_closed_and_no_more_than_needed(reports: list[tuple[int, int]]) -> None:
    pending: list[Callable[[], None]] = []
    memory = MemoryLimit(300 * FLOOR, pending.append)
    holders = [Holder() for _ in range(10)]
    sizes = dict.fromkeys(range(10), 0)
    for number, size in reports:
        memory.report(holders[number], size)
        sizes[number] = size if size > FLOOR else 0
        assert memory.held == sum(sizes.values())
        assert bool(pending) == (memory.held > memory.limit)
        greediest = max(sizes.values())
        for relieve in pending:
            relieve()
        closed = [which for which in sizes if holders[which].overloaded]
        if pending:
            assert memory.held <= 0.9 * memory.limit
            assert max(sizes[which] for which in closed) == greediest
            assert memory.held + min(sizes[which] for which in closed) > 0.9 * memory.limit
        pending.clear()
        for which in closed:
            memory.forget(holders[which])
            sizes[which], holders[which] = 0, Holder()


def test_those_that_are_closing_are_cut_when_they_hold_as_much_again() -> None:
    pending: list[Callable[[], None]] = []
    memory = MemoryLimit(10 * FLOOR, pending.append)
    holders = [Holder() for _ in range(6)]
    for holder in holders:
        memory.report(holder, 11 * FLOOR)
        pending.pop()()
        assert holder.overloaded
        memory.report(holder, 4 * FLOOR)  # the rest of a frame that has begun
        assert memory.held <= 2 * memory.limit
        while pending:
            pending.pop()()
    assert any(holder.aborted for holder in holders)


def unfinished_frame() -> bytes:
    return frame(BINARY, bytes(GREEDY))[:-1]


def unfinished_message() -> bytes:
    half = bytes(GREEDY // 2)
    return frame(BINARY, half, fin=False) + frame(CONTINUATION, half, fin=False)


@pytest.mark.parametrize("greed", [unfinished_frame, unfinished_message])
def test_unfinished_messages_close_the_greediest_with_1013_and_no_calm_one(
    tmp_path: Path, greed: Callable[[], bytes]
) -> None:
    data = greed()
    with Server(tmp_path, {"HELIOGRAPH_WS_MEMORY": "4 MiB"}) as server, ExitStack() as stack:
        server.started()
        calm, *greedy = [stack.enter_context(RawWebSocket(server)) for _ in range(7)]
        for one in greedy:
            one.send(data)
        closed: set[socket.socket] = set()

        def enough() -> bool:
            closed.update(select.select([one.socket for one in greedy], [], [], 0)[0])
            return len(closed) >= 2  # the other four hold less than the limit

        until(enough, "closed connections")
        for one in greedy:
            if one.socket in closed:
                assert one.frame().code == 1013
        calm.send(frame(BINARY, b"still there"))
        assert calm.frame().payload == b"still there"


def test_what_a_peer_does_not_take_closes_it_with_1013(tmp_path: Path) -> None:
    """The echoes of a peer that does not read wait in the outbox; the kernel takes some megabytes before that."""
    data = frame(BINARY, bytes(GREEDY))
    with Server(tmp_path, {"HELIOGRAPH_WS_MEMORY": "1 MiB"}) as server, ExitStack() as stack:
        server.started()
        calm, deaf = [stack.enter_context(RawWebSocket(server)) for _ in range(2)]
        deaf.socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionError):  # nothing more is read of it
            for _ in range(24):  # the kernel takes about half of them
                deaf.send(data)
        deaf.socket.settimeout(PATIENCE)
        while (found := deaf.frame()).opcode != CLOSE:
            assert found.payload == bytes(GREEDY)
        assert found.code == 1013
        calm.send(frame(BINARY, b"still there"))
        assert calm.frame().payload == b"still there"
