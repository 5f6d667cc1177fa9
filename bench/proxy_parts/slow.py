"""1,000 slow readers and 1,000 slow heads: what is left of the requests per second of everybody else."""

from __future__ import annotations

import functools
import statistics
from pathlib import Path

from bench.harness import ROUNDS, Sample, alternate, judge, median, needs, wrk
from bench.loads.resident import staying
from bench.proxy_parts.fronts import Front, both, nginx_backend
from bench.proxy_parts.small import with_cost

READERS = SENDERS = 1000

#: Times the requests per second without them.
TARGET = 0.9

#: A reader occupies its backend as any request does, so there are as many as a stack has at least.
BACKENDS = 2


def measure(work: Path) -> None:
    needs("wrk", "wrk")
    with nginx_backend(work, BACKENDS) as backends, both(work, backends) as fronts:
        print(
            f"\nOrdinary load beside {READERS:,} slow readers and {SENDERS:,} slow heads (medians of {ROUNDS} rounds)"
        )
        mine, _ = [beside_slow(front) for front in fronts]
        judge("requests per second", mine, TARGET, "×")


def beside_slow(front: Front) -> float:
    """The median of each round's ratio: with them, to without."""
    calm, beset = alternate([functools.partial(alone, front), functools.partial(among_slow, front)])
    without, among = median(calm), median(beset)
    ratio = statistics.median(b.rate / c.rate for c, b in zip(calm, beset, strict=True))
    print(
        f"  {front.name:<10}  {without.rate:>8,.0f} req/s without, {among.rate:>8,.0f} with them: {ratio:.2f} ×; "
        f"p99 {without.p99:.2f} and {among.p99:.2f} ms; {without.cpu:.1f} and {among.cpu:.1f} us CPU for each request"
    )
    return ratio


def alone(front: Front) -> Sample:
    return with_cost(front, lambda: wrk(front.url))


def among_slow(front: Front) -> Sample:
    with staying("slow", front.port, READERS, SENDERS):
        return alone(front)
