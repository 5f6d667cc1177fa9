"""What Prometheus sees of this instance: one registry for each application, all names begin with ``heliograph_``."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version

import gevent
from flask import Flask, request
from heliograph_proxy.loopwatch import families
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from heliograph.request.loopwatch import lag_family, stalled_seconds

#: Seconds. From a cached answer to the longest delay that /echo/delay allows.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: Seconds. From a page that was left at once to a stream that was open for a day.
STREAM_BUCKETS = (1, 10, 60, 300, 900, 3600, 14400, 86400)

#: Of the process, and so not summed.
_STALLED, _LAG, _BUILD = "heliograph_loop_stalled_seconds", "heliograph_loop_lag_seconds", "heliograph_build"
_OF_THE_PROCESS = ("heliograph_loop_", "heliograph_process_", _BUILD)

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: Methods that get a label of their own; a client may invent as many others as it likes.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetrics:
    """`parts` are those of applications below this one: they are shown with it, summed."""

    def __init__(self, parts: Iterable[RequestMetrics] = ()) -> None:
        self.registry = CollectorRegistry()
        self._parts = tuple(parts)
        #: What `observe` counts with: looking it up by its labels takes longer than counting. As few as there are labels.
        self._of_route: dict[tuple[str, str, int, bool], tuple[Counter, Histogram]] = {}
        self.registry.register(_OfTheProcess())
        ProcessCollector(namespace="heliograph", registry=self.registry)
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
        if not self._parts:
            return generate_latest(self.registry)
        return generate_latest(_Sum([self.registry, *(part.registry for part in self._parts)]))


class _Sum(Collector):
    """The series of several registries, each once."""

    def __init__(self, registries: Iterable[CollectorRegistry]) -> None:
        self._registries = tuple(registries)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for registry in self._registries:
            for family in registry.collect():
                known = families.setdefault(family.name, family)
                if known is not family and not family.name.startswith(_OF_THE_PROCESS):
                    known.samples = _summed([*known.samples, *family.samples])
        return iter(families.values())


def _summed(samples: Iterable[Sample]) -> list[Sample]:
    found: dict[tuple[str, frozenset[tuple[str, str]]], Sample] = {}
    for sample in samples:
        key = sample.name, frozenset(sample.labels.items())
        known = found.setdefault(key, sample)
        if known is not sample:
            combine = min if sample.name.endswith("_created") else sum
            found[key] = known._replace(value=combine((known.value, sample.value)))
    return list(found.values())


class _OfTheProcess(Collector):
    """All applications in it have one loop and one version of the library."""

    def collect(self) -> Iterator[Metric]:
        yield from families(_STALLED, stalled_seconds())
        yield lag_family(_LAG)
        yield InfoMetricFamily(_BUILD, "What this process runs", _build())


@cache
def _build() -> dict[str, str]:
    """Asked for late: the version is looked up in the package's files."""
    return {
        "version": version("heliograph"),
        "python": platform.python_version(),
        "gevent": gevent.__version__,
    }


def init_app(app: Flask) -> None:
    """Note the URL rule of each request of `app` in its environ, for `RequestMetrics.observe`."""

    @app.before_request
    def note_route() -> None:
        rule = request.url_rule
        if rule is not None:
            request.environ["heliograph.route"] = rule.rule
