"""What is counted: plain numbers, read when /metrics is asked for (admin/exposition.py). Pure.

prometheus_client's own Counter and Histogram take a lock and a dictionary walk each time; here a request
costs one dictionary look-up and a few comparisons.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from heliograph_proxy.loopwatch import LoopWatch

#: Seconds: a cached answer on loopback.
FASTEST: Final = 0.001
#: Seconds, up to the longest response timeout. Not Final: mypyc takes a tuple of this many numbers for one that was never set.
BUCKETS = (FASTEST, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: Seconds: from a page that was left at once to a stream that was open for a day.
STREAM_BUCKETS = (FASTEST, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)


class Histogram:
    """Counts by upper bound, and the sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = BUCKETS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        at = 0
        for bound in self.bounds:  # most are short: a bisection costs more than a few steps
            if seconds <= bound:
                break
            at += 1
        self.counts[at] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        found, sum_so_far = [], 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            sum_so_far += count
            found.append((bound, float(sum_so_far)))
        return found


class ProxyMetrics:
    """The counters of one process that belong to no backend alone."""

    def __init__(self, loop: LoopWatch | None = None) -> None:
        self.loop = loop or LoopWatch(frozenset())
        self.requests = 0
        self.connections = 0
        self.refused_connections = 0
        self.durations: dict[tuple[str, int], Histogram] = {}
        #: Of tunnels and streams of records, which last as long as they like.
        self.stream_durations: dict[tuple[str, int], Histogram] = {}
        self.problems: Counter[int] = Counter()
        self.bytes_sent = 0

    def answered(self, backend: str, status: int, seconds: float) -> None:
        key = (backend, status // 100)
        histogram = self.durations.get(key)
        if histogram is None:
            histogram = self.durations[key] = Histogram()
        histogram.observe(seconds)

    def streamed(self, backend: str, status: int, seconds: float) -> None:
        key = (backend, status // 100)
        if key not in self.stream_durations:
            self.stream_durations[key] = Histogram(STREAM_BUCKETS)
        self.stream_durations[key].observe(seconds)
