"""Running a load of bench/loads on the load's core, and what it found."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.harness import ROOT, SECONDS, Sample, Unavailable, processor_seconds
from bench.websocket_parts.servers import Server, cores

#: Seconds that any load may take at most.
LIMIT = 300.0


@dataclass(frozen=True)
class Round:
    """Operations a second; microseconds of the server's processor time for each; how much of a core the load used."""

    rate: float
    cpu: float
    load: float

    @property
    def busy(self) -> float:
        """How much of a core the server used."""
        return self.rate * self.cpu / 1e6


def command(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"bench.loads.{program}", *map(str, arguments)]


def run(program: str, *arguments: object) -> Any:
    """What the program printed. Raises Unavailable when it failed."""
    with begun(program, *arguments) as finish:
        return finish()


@contextlib.contextmanager
def begun(program: str, *arguments: object) -> Iterator[Any]:
    """The program while it runs; calling what is given waits for its end and gives what it printed."""
    mine, _ = cores()
    process = subprocess.Popen(
        command(program, *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, mine),  # noqa: PLW1509  we have no threads
    )

    def finish() -> Any:
        output, errors = process.communicate(timeout=LIMIT)
        if process.returncode:
            raise Unavailable(f"bench.loads.{program}: {(errors.strip().splitlines() or ['?'])[-1]}")
        return json.loads(output)

    try:
        yield finish
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def fan_out(server: Server, subscribers: int, burst: int, seconds: float) -> Round:
    """Deliveries."""
    found = run("fanout", server.port, subscribers, burst, seconds, server.leader)
    count = found["deliveries"]
    return Round(count / found["seconds"], 1e6 * found["served"] / count, found["worked"] / found["seconds"])


def publishing(
    one: Server, other: Server, channel: str, publishers: int, window: int, messages: int
) -> Round:
    """Acknowledged messages, of which a part goes to a subscriber of the other instance."""
    found = run("pipelined", one.port, other.port, channel, publishers, window, messages, one.leader)
    if found["trouble"]:
        raise Unavailable(f"{one.name}, publishing: {found['trouble']}")
    return Round(
        messages / found["seconds"], 1e6 * found["served"] / messages, found["worked"] / found["seconds"]
    )


def costing(leader: int, load: Callable[[], Sample]) -> Sample:
    """A round of wrk, and the processor time that a group of processes took for each request."""
    before = processor_seconds(leader)
    sample = load()
    return replace(sample, cpu=1e6 * (processor_seconds(leader) - before) / (sample.rate * SECONDS))


def median(rounds: Sequence[Round]) -> Round:
    """Of each figure by itself."""
    return Round(
        statistics.median(one.rate for one in rounds),
        statistics.median(one.cpu for one in rounds),
        statistics.median(one.load for one in rounds),
    )
