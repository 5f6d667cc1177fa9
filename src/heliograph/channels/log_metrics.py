"""How the log engine does, for Prometheus: plain numbers, read when they are asked for, as each message costs them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from heliograph_proxy.metrics import Histogram
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from heliograph.channels.errors import LogUnavailable
from heliograph.channels.log import Log

#: Seconds: from a log in memory to the longest that writers wait for a lock.
BUCKETS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class LogMetrics(Collector):
    """`bytes`, and `errors` other than those that `appending` sees, are counted by those who see the outcomes."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._times = Histogram(BUCKETS)
        self._waiting = 0
        self.errors = 0
        self.bytes = 0

    def begin(self, messages: int = 1) -> float:
        """Messages are handed to the log. Gives what `end` wants to have."""
        self._waiting += messages
        return time.perf_counter()

    def end(self, begun: float, messages: int = 1) -> None:
        self._waiting -= messages
        self._times.observe(time.perf_counter() - begun)

    @contextmanager
    def appending(self, messages: int) -> Iterator[None]:
        """An append inside, which waits."""
        begun = self.begin(messages)
        try:
            yield
        except LogUnavailable:
            self.errors += messages
            raise
        finally:
            self.end(begun, messages)

    def collect(self) -> Iterator[Metric]:
        times = HistogramMetricFamily(
            "heliograph_log_append_seconds", "From handing messages to the log until they are committed"
        )
        times.add_metric([], self._times.buckets(), self._times.total)
        yield times
        yield GaugeMetricFamily(
            "heliograph_log_appends_waiting", "Messages that the log has not committed yet", self._waiting
        )
        yield CounterMetricFamily(
            "heliograph_log_errors",
            "Messages that the log did not take because it was unavailable",
            self.errors,
        )
        yield CounterMetricFamily(
            "heliograph_log_reconnects",
            "Times that a connection or the file was opened again",
            self._log.reconnects,
        )
        yield CounterMetricFamily("heliograph_log_appended_bytes", "Bytes of messages committed", self.bytes)
