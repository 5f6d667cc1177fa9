"""Checks of readiness: bounded, remembered, never twice at once."""

from __future__ import annotations

import time

import gevent
from gevent.event import Event

from heliograph.request.checks import LIMIT, Check, CheckResults


def test_many_probes_cost_one_run() -> None:
    runs: list[int] = []

    def counted() -> str:
        runs.append(1)
        return "ok"

    results = CheckResults({"log": counted})
    probes = [gevent.spawn(results.get) for _ in range(100)]
    gevent.joinall(probes)
    assert [probe.value for probe in probes] == [{"log": "ok"}] * 100
    for _ in range(10_000):
        results.get()
    assert len(runs) == 1


def test_a_check_that_does_not_end_is_told_and_not_begun_again() -> None:
    end, runs = Event(), []

    def hangs() -> str:
        runs.append(1)
        end.wait(20)
        return "ok"

    results = CheckResults({"slow": hangs, "quick": lambda: "ok"})
    began = time.monotonic()
    assert results.get() == {"slow": f"no result within {LIMIT:g} s", "quick": "ok"}
    assert time.monotonic() - began < 10
    results._ended = float("-inf")  # its time is over
    results.get()
    assert len(runs) == 1
    end.set()
    results._ended = float("-inf")
    assert results.get() == {"slow": "ok", "quick": "ok"}


def test_a_check_that_raises_is_not_ready() -> None:
    def broken() -> str:
        raise OSError("gone")

    assert CheckResults({"broken": broken}).get() == {"broken": "the check failed: OSError"}


def test_a_check_that_is_added_later_is_run_at_once() -> None:
    checks: dict[str, Check] = {}
    results = CheckResults(checks)
    assert results.get() == {}
    checks["new"] = lambda: "starting"
    assert results.get() == {"new": "starting"}
