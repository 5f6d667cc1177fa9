"""Checks of readiness: bounded, remembered, never twice at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import gevent
from flask import Flask
from gevent.event import Event

from heliograph import Heliograph
from heliograph.options import LIBRARY
from heliograph.request.checks import LIMIT, OK, Check, CheckResults
from heliograph.settings import load


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


def test_threads_that_ask_at_once_share_a_run(tmp_path: Path) -> None:
    """Under servers with a thread for each request."""
    app, asked = Flask(__name__), Barrier(2)
    settings = load({"HELIOGRAPH_SPOOL": str(tmp_path), "HELIOGRAPH_CHANNELS": "memory://"}, LIBRARY)
    live = Heliograph(app, settings=settings)

    def slow() -> str:
        gevent.sleep(0.2)
        return OK

    live.services.checks["slow"] = slow

    def ask(_: int) -> int:
        asked.wait(20)
        return app.test_client().get("/-/health").status_code

    with ThreadPoolExecutor(2) as threads:
        assert [*threads.map(ask, range(2))] == [200, 200]
    live.close()


def test_a_check_that_is_added_later_is_run_at_once() -> None:
    checks: dict[str, Check] = {}
    results = CheckResults(checks)
    assert results.get() == {}
    checks["new"] = lambda: "starting"
    assert results.get() == {"new": "starting"}
