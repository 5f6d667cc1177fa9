"""What Prometheus sees of this instance: one registry for each application, all names begin with ``heliograph_``."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, request
from heliograph_proxy.loopwatch import families
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from heliograph.request.loopwatch import stalled_seconds

#: Seconds. From a cached answer to the longest delay that /echo/delay allows.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Seconds. From a page that was left at once to a stream that was open for a day.
STREAM_BUCKETS = (1, 10, 60, 300, 900, 3600, 14400, 86400)

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Methods that get a label of their own; a client may invent as many others as it likes.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: What `observe` counts with: looking it up by its labels takes longer than counting. As few as there are labels.
        self._of_route: dict[tuple[str, str, int, bool], tuple[Counter, Histogram]] = {}
        self.registry.register(_LoopStalls())
        self.requests = Counter(
            "heliograph_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.duration = Histogram(
            "heliograph_request_duration_seconds",
            "Seconds from the request's head to the end of the answer",
            ("route",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.stream_duration = Histogram(
            "heliograph_stream_duration_seconds",
            "Seconds that WebSockets and streams of records were open; they are not among the requests",
            ("route",),
            buckets=STREAM_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "heliograph_requests_in_flight", "Requests being answered", registry=self.registry
        )
        self.websockets = Gauge("heliograph_websockets", "Open WebSockets", registry=self.registry)
        self.spool_bytes = Gauge(
            "heliograph_spool_bytes", "Bytes of this instance in the spool", registry=self.registry
        )

    def observe(self, method: str, route: str, status: int, seconds: float, *, stream: bool = False) -> None:
        """Count one answered request. `route` is a URL rule, never a path: rules are few, paths are not."""
        key = method if method in _METHODS else "other", route, status, stream
        found = self._of_route.get(key)
        if found is None:
            durations = self.stream_duration if stream else self.duration
            found = self.requests.labels(key[0], route, str(status)), durations.labels(route)
            self._of_route[key] = found
        found[0].inc()
        found[1].observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class _LoopStalls(Collector):
    """Of the process: all applications in it have one loop."""

    def collect(self) -> Iterator[Metric]:
        return families("heliograph_loop_stalled_seconds", stalled_seconds())


def init_app(app: Flask) -> None:
    """Note the URL rule of each request of `app` in its environ, for `RequestMetrics.observe`."""

    @app.before_request
    def note_route() -> None:
        rule = request.url_rule
        if rule is not None:
            request.environ["heliograph.route"] = rule.rule
