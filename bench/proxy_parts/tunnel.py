"""WebSocket echoes of 64 bytes through a tunnel: messages per second, and the time that the proxy adds to one."""

from __future__ import annotations

import functools
import statistics
from pathlib import Path

from bench.harness import CONNECTIONS, ROUNDS, SECONDS, Sample, alternate, compare, judge
from bench.loads.echo import crowd, ping_pong
from bench.proxy_parts.fronts import both, load_backend
from bench.proxy_parts.small import with_cost

#: Times nginx's messages per second; milliseconds more than without a proxy, half of all echoes.
RATE_TARGET, ADDED_TARGET = 0.8, 0.2

#: Echoes one after the other in a round: some 0.2 s.
PINGS = 2000


def measure(work: Path) -> None:
    with load_backend(work, "echo") as backend, both(work, backend) as (ours, theirs):
        ratio = compare(
            "WebSocket echoes of 64 bytes",
            lambda: with_cost(ours, lambda: echoes(ours.port)),
            lambda: with_cost(theirs, lambda: echoes(theirs.port)),
            (ours.name, theirs.name),
        )
        print(f"  without a proxy the same load reaches {echoes(backend[0]).rate:,.0f} messages per second")
        judge("messages per second", ratio.rate, RATE_TARGET, "×")
        latency(backend[0], ours.port, theirs.port)


def echoes(port: int) -> Sample:
    found = sorted(crowd(port, CONNECTIONS, SECONDS))
    return Sample(len(found) / SECONDS, 1000 * found[len(found) // 2], 1000 * found[int(len(found) * 0.99)])


def latency(directly: int, ours: int, theirs: int) -> None:
    rounds = alternate([functools.partial(p50, port) for port in (directly, ours, theirs)])
    without, mine, peer = (statistics.median(found) for found in rounds)
    print(f"\nOne WebSocket, one echo after the other (medians of {ROUNDS} rounds of {PINGS})")
    print(f"  p50: directly {without:.3f} ms, heliograph {mine:.3f} ms, nginx {peer:.3f} ms")
    judge("added at p50", mine - without, ADDED_TARGET, "ms", at_most=True)


def p50(port: int) -> float:
    """Milliseconds."""
    return 1000 * statistics.median(ping_pong(port, PINGS))
