"""What waits for the clients of event streams counts in the memory that all connections of a server may hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import gevent
from flask import Flask

from heliograph import Heliograph
from heliograph.channels.transports.sse import MAX_WAITING, EventQueue
from heliograph.options import LIBRARY
from heliograph.request.environ import CONNECTIONS
from heliograph.settings import load
from heliograph.websocket.memory import MemoryLimit
from heliograph.websocket.registry import ConnectionRegistry
from tests.heliograph.channels.followers import eventually
from tests.heliograph.channels.patched import patched

KIB = 1024


@patched
def test_the_greediest_stream_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    app = Flask(__name__)
    settings = load({"HELIOGRAPH_SPOOL": str(tmp_path), "HELIOGRAPH_CHANNELS": "memory://"}, LIBRARY)
    live = Heliograph(app, endpoints=("channels", "events"), settings=settings)
    registry = ConnectionRegistry()
    registry.memory.limit = 40 * KIB

    def begun(channel: str) -> Iterator[bytes]:
        answer = app.test_client().get(
            f"/channels/{channel}/events", environ_overrides={CONNECTIONS: registry}, buffered=False
        )
        closed.callback(answer.close)
        pieces = cast("Iterator[bytes]", iter(answer.response))
        assert b"retry" in next(pieces)
        publish(channel, 1)
        assert b"data" in next(pieces)
        return pieces

    def publish(channel: str, size: int = 10 * KIB) -> None:
        live.channels.publish(channel, "x" * size)

    with ExitStack() as closed, gevent.Timeout(30):
        greedy, modest = begun("greedy"), begun("modest")
        publish("modest")
        eventually(lambda: registry.memory.held > 10 * KIB, "a message that waits")
        for _ in range(4):
            publish("greedy")
        followed = app.extensions["heliograph"].channels.hub._channels["greedy"]
        eventually(
            lambda: followed.position.offset == 5 and registry.memory.held < 40 * KIB, "the end of one"
        )
        assert list(greedy) == []
        assert len(next(modest)) > 10 * KIB
        publish("modest")
        assert len(next(modest)) > 10 * KIB
    assert registry.memory.held == 0
    live.close()


def test_what_comes_after_the_end_of_a_stream_is_held_no_more_and_cuts_no_connection() -> None:
    cut: list[str] = []
    memory = MemoryLimit(MAX_WAITING, later=lambda relieve: relieve())
    queue = EventQueue(lambda: cut.append("cut"), memory)
    queue.offer(b"x" * 10 * KIB)
    assert memory.held == 10 * KIB
    queue.release()
    for _ in range(2):
        queue.offer(b"x" * MAX_WAITING)
    assert memory.held == 0
    assert cut == []
