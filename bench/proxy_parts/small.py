"""Small answers over kept connections: requests per second, latency, and processor time of each request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.harness import SECONDS, Sample, compare, judge, needs, processor_seconds, wrk
from bench.proxy_parts.fronts import Front, both, nginx_backend

#: Times nginx's.
RATE_TARGET, P99_TARGET = 0.85, 1.5


def measure(work: Path) -> None:
    needs("wrk", "wrk")
    with nginx_backend(work) as backend, both(work, backend) as (ours, theirs):
        ratio = compare(
            "Small answers of an nginx",
            lambda: with_cost(ours, lambda: wrk(ours.url)),
            lambda: with_cost(theirs, lambda: wrk(theirs.url)),
            (ours.name, theirs.name),
        )
    judge("requests per second", ratio.rate, RATE_TARGET, "×")
    judge("p99", ratio.p99, P99_TARGET, "×", at_most=True)


def with_cost(front: Front, load: Callable[[], Sample]) -> Sample:
    """A round of load, and the processor time that the proxy took for each request of it."""
    before = processor_seconds(front.pid)
    sample = load()
    used = processor_seconds(front.pid) - before
    return replace(sample, cpu=1e6 * used / (sample.rate * SECONDS))
