"""The counters in the form of Prometheus, read when /metrics is asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.loopwatch import families
from heliograph_proxy.metrics import Histogram, ProxyMetrics

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

    def __init__(self, metrics: ProxyMetrics, backends: Iterable[Backend]) -> None:
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
        yield from families("heliograph_proxy_loop_stalled_seconds", metrics.loop.stalled_seconds)
        problems = CounterMetricFamily(
            "heliograph_proxy_problems", "Answers of the proxy's own", labels=["status"]
        )
        for status, count in sorted(metrics.problems.items()):
            problems.add_metric([str(status)], count)
        yield problems
        yield _durations(
            "heliograph_proxy_request_duration_seconds",
            "From a request's first byte to its answer's last",
            metrics.durations,
        )
        yield _durations(
            "heliograph_proxy_stream_duration_seconds",
            "How long tunnels and streams of records were open; they are not among the requests",
            metrics.stream_durations,
        )
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


class Generations(Collector):
    """`reports` gives what each generation has, this one's first."""

    def __init__(self, reports: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        reports = list(self._reports())
        for what, text in (("connections", "Client connections"), ("tunnels", "Upgraded connections")):
            family = GaugeMetricFamily(
                f"heliograph_proxy_generation_{what}", f"{text} of each generation", labels=["generation"]
            )
            for one in reports:
                family.add_metric([str(one["generation"])], one[what])
            yield family


def _durations(name: str, text: str, durations: dict[tuple[str, int], Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=["backend", "status"])
    for (backend, hundreds), histogram in sorted(durations.items()):
        family.add_metric([backend, f"{hundreds}xx"], histogram.buckets(), histogram.total)
    return family


def text(metrics: ProxyMetrics, backends: Iterable[Backend], others: Iterable[Collector] = ()) -> bytes:
    """The text for Prometheus."""
    registry = CollectorRegistry()
    for other in others:
        registry.register(other)
    registry.register(_Scrape(metrics, backends))
    return generate_latest(registry)
