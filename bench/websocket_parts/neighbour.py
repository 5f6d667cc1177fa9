"""How long small echoes take while a neighbour sends messages of 1 MiB without a pause."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench.harness import Unavailable, judge, timed
from bench.loads.messages import check, dial, frame, text
from bench.loads.resident import staying
from bench.websocket_parts.load import PATH
from bench.websocket_parts.servers import OURS, Server, serving

#: Of the neighbour's messages: the longest that is taken.
LOUD = 1 << 20

#: Milliseconds that no echo may take.
TARGET = 100.0

#: Small echoes of so many connections in turn, for so many seconds, with so many between two.
CONNECTIONS, SECONDS, PAUSE, SIZE = 8, 10.0, 0.003, 64


def measure(work: Path) -> None:
    print(f"\nEchoes of {SIZE} B while a neighbour sends messages of 1 MiB")
    with serving(work, OURS) as server:
        show("alone", delays(server))
        with staying("loud", server.port, LOUD):
            slowest = show("beside the neighbour", delays(server))
    judge("the slowest echo", slowest, TARGET, "ms", at_most=True)


def delays(server: Server) -> list[float]:
    """Milliseconds of each echo."""
    question, answer = frame(text(SIZE), masked=True), frame(text(SIZE), masked=False)
    wires = [dial(server.port, PATH) for _ in range(CONNECTIONS)]
    found: list[float] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or len(found) < CONNECTIONS:
        wire = wires[len(found) % CONNECTIONS]
        try:
            seconds, _ = timed(lambda wire=wire: check(wire, question, answer))  # type: ignore[misc]
        except OSError as exc:
            raise Unavailable(f"a small echo did not come: {exc}") from exc
        found.append(1000 * seconds)
        time.sleep(PAUSE)
    for wire in wires:
        wire.close()
    return found


def show(what: str, found: list[float]) -> float:
    """The slowest."""
    p99 = statistics.quantiles(found, n=100)[-1]
    print(
        f"  {what:<22} p50 {statistics.median(found):.2f} ms, p99 {p99:.2f} ms, slowest {max(found):.2f} ms"
    )
    return max(found)
