"""Codec jobs: so many at once, as many waiting, and no more."""

from __future__ import annotations

import threading

import gevent
import pytest

from app.errors import CodecsBusy
from app.jobs import Jobs
from app.metrics import Metrics


class Held:
    """A job that runs in its native thread until it is let go."""

    def __init__(self, jobs: Jobs) -> None:
        self.go = threading.Event()
        self.greenlet = gevent.spawn(self._run, jobs)

    def _run(self, jobs: Jobs) -> str:
        with jobs.job() as step:
            step(self.go.wait, 20)
            return "done"


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"heliograph_codec_jobs{name}")


def test_as_many_wait_as_run_and_the_next_is_refused() -> None:
    metrics = Metrics()
    jobs = Jobs(2, metrics)
    held = [Held(jobs) for _ in range(4)]
    gevent.sleep(0.05)
    assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (2, 2)
    with pytest.raises(CodecsBusy) as caught, jobs.job():
        pass
    assert caught.value.extra == {"limit": 2}
    for job in held:
        job.go.set()
    assert [job.greenlet.get(timeout=20) for job in held] == ["done"] * 4
    assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (0, 0)


def test_a_job_that_fails_gives_its_place_back() -> None:
    jobs = Jobs(1, Metrics())
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), jobs.job() as step:
            step(divmod, 1, 0)
    with jobs.job() as step:
        assert step(divmod, 7, 2) == (3, 1)


def test_one_who_stops_waiting_leaves_the_queue() -> None:
    metrics = Metrics()
    jobs = Jobs(1, metrics)
    running, waiting = Held(jobs), Held(jobs)
    gevent.sleep(0.05)
    assert gauge(metrics, "_waiting") == 1
    waiting.greenlet.kill()
    assert gauge(metrics, "_waiting") == 0
    running.go.set()
    assert running.greenlet.get(timeout=20) == "done"
