"""What is counted, and its form for Prometheus. Pure: the counters are plain numbers, read when somebody
scrapes.

prometheus_client's own Counter and Histogram take a lock and a dictionary walk each time; here a request
costs one dictionary look-up and one bisection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from proxy.backends import Backend

#: Seconds. From a cached answer on loopback to the longest response timeout.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: The label of answers that no backend gave.
NO_BACKEND = "-"


class Histogram:
    """Counts by upper bound, and the sum."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them."""
        found, sum_so_far = [], 0
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            sum_so_far += count
            found.append((bound, float(sum_so_far)))
        return found


class Metrics:
    """The counters of one process that belong to no backend alone."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.refused_connections = 0
        self.durations: dict[tuple[str, int], Histogram] = {}
        self.problems: Counter[int] = Counter()
        self.bytes_sent = 0

    def answered(self, backend: str, status: int, seconds: float) -> None:
        key = (backend, status // 100)
        histogram = self.durations.get(key)
        if histogram is None:
            histogram = self.durations[key] = Histogram()
        histogram.observe(seconds)


_BACKEND_GAUGES: dict[str, tuple[str, Callable[[Backend], float]]] = {
    "up": ("Whether the active checks pass", lambda one: one.healthy),
    "weight": ("The weight", lambda one: one.weight),
    "active_requests": ("Requests in flight", lambda one: one.active),
    "tunnels": ("Upgraded connections", lambda one: one.tunnels),
    "queued_requests": ("Requests waiting for this backend", lambda one: one.queued),
}

_BACKEND_COUNTERS: dict[str, tuple[str, Callable[[Backend], float]]] = {
    "requests": ("Attempts made at this backend", lambda one: one.requests),
    "failures": ("Attempts that failed", lambda one: one.failures),
    "retries": ("Attempts that were made again elsewhere", lambda one: one.retries),
}


class _Scrape(Collector):
    """Reads the numbers when asked."""

    def __init__(self, metrics: Metrics, backends: Iterable[Backend]) -> None:
        self._metrics = metrics
        self._backends = backends

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield GaugeMetricFamily("heliograph_proxy_connections", "Client connections", metrics.connections)
        yield CounterMetricFamily("heliograph_proxy_requests", "Requests", metrics.requests)
        yield CounterMetricFamily("heliograph_proxy_sent_bytes", "Bytes sent to clients", metrics.bytes_sent)
        yield CounterMetricFamily(
            "heliograph_proxy_refused_connections", "Connections over the limit", metrics.refused_connections
        )
        problems = CounterMetricFamily(
            "heliograph_proxy_problems", "Answers of the proxy's own", labels=["status"]
        )
        for status, count in sorted(metrics.problems.items()):
            problems.add_metric([str(status)], count)
        yield problems
        durations = HistogramMetricFamily(
            "heliograph_proxy_request_duration_seconds",
            "From a request's first byte to its answer's last",
            labels=["backend", "status"],
        )
        for (backend, hundreds), histogram in sorted(metrics.durations.items()):
            durations.add_metric([backend, f"{hundreds}xx"], histogram.buckets(), histogram.total)
        yield durations
        for name, (text, read) in _BACKEND_GAUGES.items():
            yield self._by_backend(
                GaugeMetricFamily(f"heliograph_proxy_backend_{name}", text, labels=["backend"]), read
            )
        for name, (text, read) in _BACKEND_COUNTERS.items():
            yield self._by_backend(
                CounterMetricFamily(f"heliograph_proxy_backend_{name}", text, labels=["backend"]), read
            )

    def _by_backend(
        self, family: GaugeMetricFamily | CounterMetricFamily, read: Callable[[Backend], float]
    ) -> GaugeMetricFamily | CounterMetricFamily:
        for backend in self._backends:
            family.add_metric([backend.name], float(read(backend)))
        return family


def exposition(metrics: Metrics, backends: Iterable[Backend]) -> bytes:
    """The text for Prometheus."""
    registry = CollectorRegistry()
    registry.register(_Scrape(metrics, backends))
    return generate_latest(registry)
