"""10,000 WebSockets: memory for each, processor time for their pings, and whether cost grows only with their number."""

from __future__ import annotations

import time
from pathlib import Path

from bench.harness import judge, members, processor_seconds, resident
from bench.loads.resident import staying
from bench.websocket_parts.load import echoes
from bench.websocket_parts.servers import OURS, Server, serving

FEW, MANY = 1_000, 10_000

#: KiB for each, asked and aimed at; of a core for the pings of all.
MEMORY_TARGET, MEMORY_AIM, PING_TARGET = 25.0, 20.0, 0.03

#: What an echo, or the memory of a connection, may cost among MANY in ratio to FEW.
LINEAR_TARGET = 1.3

#: Seconds: two intervals of pings, so that each connection is pinged twice.
QUIET = 50.0

#: Connections come and go first: what the server has made ready for work is no connection's memory.
WARM_UP = 200

#: Seconds of echoes among FEW and MANY.
SECONDS = 4.0

SIZE = 64


def measure(work: Path) -> None:
    print(f"\n{MANY:,} WebSockets, without deflate")
    with serving(work, OURS) as server:
        idle(server)
    with serving(work, OURS) as server:
        linear(server)


def idle(server: Server) -> None:
    echoes(server, WARM_UP, SIZE, 0.5)
    nobody = memory(server)
    with staying("sleepers", server.port, FEW, FEW):
        few = (memory(server) - nobody) / FEW
        with staying("sleepers", server.port, MANY - FEW, MANY - FEW):
            many = (memory(server) - nobody) / MANY
            used, began = processor_seconds(server.leader), time.monotonic()
            time.sleep(QUIET)
            share = (processor_seconds(server.leader) - used) / (time.monotonic() - began)
            print(
                f"  {few:.1f} KiB each for {FEW:,}, {many:.1f} KiB each for {MANY:,} (the aim is {MEMORY_AIM:g} KiB)"
            )
            judge("memory for each", many, MEMORY_TARGET, "KiB", at_most=True)
            judge("memory, many beside few", many / few, LINEAR_TARGET, "×", at_most=True)
            judge("of a core for all pings", 100 * share, 100 * PING_TARGET, "%", at_most=True)


def linear(server: Server) -> None:
    few, many = (echoes(server, count, SIZE, SECONDS) for count in (FEW, MANY))
    for count, one in ((FEW, few), (MANY, many)):
        print(
            f"  echoes over {count:>6,}: {one.rate:>8,.0f} msg/s, {one.cpu:.1f} us CPU each, load {one.load:.0%}"
        )
    judge("CPU of an echo, many by few", many.cpu / few.cpu, LINEAR_TARGET, "×", at_most=True)


def memory(server: Server) -> float:
    """KiB of all its processes."""
    return sum(map(resident, members(server.leader))) / 1024
