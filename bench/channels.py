"""Channels beside FastAPI with broadcaster and nchan: fan-out, two instances, Redis, 10,000 idle ones, a resume of 1,000 clients.

`script/bench channels` runs all parts, `script/bench channels fanout idle` those two. The load has a core of its own where there
are two, and counts messages without parsing them; what is judged is a ratio wherever there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from bench.channels_parts import fanout, idle, instances, redis, resume
from bench.harness import run_parts

#: In the order they run; each takes a folder for its files.
PARTS: dict[str, Callable[[Path], None]] = {
    "fanout": fanout.measure,
    "instances": instances.measure,
    "redis": redis.measure,
    "idle": idle.measure,
    "resume": resume.measure,
}


def main(names: Sequence[str] = ()) -> None:
    """Raises Unavailable."""
    run_parts("channels", PARTS, names)
