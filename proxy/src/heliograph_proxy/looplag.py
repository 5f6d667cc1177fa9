"""How late an event loop runs what is due: what a request waits before anything is done for it. Pure.

A timer of the loop calls `tick` every INTERVAL seconds. The watch (`loopwatch`) tells of single long stalls and what held the loop;
this tells of a loop that many short pieces of work keep busy.
"""

from __future__ import annotations

from typing import Final

from prometheus_client.core import HistogramMetricFamily

from heliograph_proxy.metrics import Histogram

#: Seconds between two ticks: two a second cost nothing, and show a busy loop within a scrape's interval.
INTERVAL: Final = 0.5

#: Seconds: from a loop with nothing else to do to one that is stuck.
BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class LoopLag:
    """Of one loop."""

    def __init__(self) -> None:
        self.late = Histogram(BUCKETS)
        self._last: float | None = None

    def tick(self, now: float) -> None:
        """The timer has run, `now` by the clock."""
        if self._last is not None:
            self.late.observe(max(0.0, now - self._last - INTERVAL))
        self._last = now

    def family(self, name: str) -> HistogramMetricFamily:
        family = HistogramMetricFamily(
            name, "Seconds by which the event loop ran a timer late, twice a second"
        )
        family.add_metric([], self.late.buckets(), self.late.total)
        return family
