"""What Prometheus sees of this process: processor, memory, descriptors, what it was built from, and how late its loop is."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.registry import Collector

from heliograph_proxy import COMPILED
from heliograph_proxy.looplag import LoopLag


def collectors(lag: LoopLag) -> tuple[Collector, ...]:
    return ProcessCollector(namespace="heliograph_proxy", registry=None), _OfTheProgram(lag)


@cache
def _build() -> dict[str, str]:
    """Asked for late: the version is looked up in the package's files."""
    return {
        "version": version("heliograph-proxy"),
        "python": platform.python_version(),
        "kernel": "compiled" if COMPILED else "pure",
    }


class _OfTheProgram(Collector):
    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("heliograph_proxy_build", "What this process runs", _build())
        yield self._lag.family("heliograph_proxy_loop_lag_seconds")
