"""WebSocket echoes beside `websockets`, FastAPI, flask-sock and gevent-websocket; 10,000 idle ones; a loud neighbour.

`script/bench websocket` runs all parts, `script/bench websocket idle` one. All peers run at the same time, one process each,
and are measured in turn; what is judged is a ratio wherever there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.harness import run_parts
from bench.websocket_parts import echo, idle, neighbour

#: In the order they run; each takes a folder for its files.
PARTS: dict[str, Callable[[Path], None]] = {
    "echo": echo.measure,
    "idle": idle.measure,
    "neighbour": neighbour.measure,
}


def main(names: Sequence[str] = ()) -> None:
    """Raises Unavailable."""
    run_parts("websocket", PARTS, names)
