"""WebSocket echoes beside `websockets`, FastAPI, flask-sock and gevent-websocket; 10,000 idle ones; a loud neighbour.

`script/bench websocket` runs all parts, `script/bench websocket idle` one. All peers run at the same time, one process each,
and are measured in turn; what is judged is a ratio wherever there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.harness import Unavailable, folder
from bench.websocket_parts import echo, idle, neighbour

#: In the order they run; each takes a folder for its files.
PARTS: dict[str, Callable[[Path], None]] = {
    "echo": echo.measure,
    "idle": idle.measure,
    "neighbour": neighbour.measure,
}


def main(names: Sequence[str] = ()) -> None:
    """Unavailable at once for an unknown name, and at the end when a part could not be measured."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise Unavailable(f"has no part {unknown[0]}; there are: {', '.join(PARTS)}")
    failed = []
    for name in names or PARTS:
        try:
            with folder() as work:
                PARTS[name](work)
        except Unavailable as exc:
            print(f"script/bench websocket {name}: {exc}", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        raise Unavailable(f"could not be measured: {', '.join(failed)}")
