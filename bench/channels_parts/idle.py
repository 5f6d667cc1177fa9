"""10,000 subscribers to whom nothing is said: memory for each, and processor time for their pings."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from bench.channels_parts.load import run
from bench.channels_parts.servers import instance, refuse_errors, sqlite
from bench.harness import judge, members, processor_seconds, resident
from bench.loads.resident import staying

#: In so many crowds, one after the other: each has to be there within a minute, on a busy machine, too.
SUBSCRIBERS, CROWDS = 10_000, 4

#: KiB for each.
TARGET = 30.0

#: Seconds in which each is pinged once.
QUIET = 25.0

#: Subscribers that come, hear something and go first: what was made ready for work is nobody's memory.
WARM_UP = 200


def measure(work: Path) -> None:
    print(f"\n{SUBSCRIBERS:,} idle subscribers of one channel")
    with instance(work, sqlite(work)) as server:
        run("fanout", server.port, WARM_UP, 1, 0.5, server.leader)
        nobody = memory(server.leader)
        began = time.monotonic()
        with ExitStack() as crowds:
            for _ in range(CROWDS):
                crowds.enter_context(staying("listeners", server.port, "idle", SUBSCRIBERS // CROWDS))
            came = time.monotonic() - began
            each = (memory(server.leader) - nobody) / SUBSCRIBERS
            used, began = processor_seconds(server.leader), time.monotonic()
            time.sleep(QUIET)
            share = (processor_seconds(server.leader) - used) / (time.monotonic() - began)
        print(f"  they came in {came:.1f} s; {share:.1%} of a core for their pings")
        judge("memory for each", each, TARGET, "KiB", at_most=True)
        refuse_errors(work, server.name)


def memory(leader: int) -> float:
    """KiB of all its processes."""
    return sum(map(resident, members(leader))) / 1024
