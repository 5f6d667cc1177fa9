"""Codec jobs: so many at once, as many waiting, and no more."""

from __future__ import annotations

import threading

import gevent
import pytest

from app.codec.work import PLACE_MEMORY, Jobs
from app.problems import CodecsBusy
from heliograph.request.metrics import Metrics


class Held:
    """A job that runs in its native thread until it is let go."""

    def __init__(self, jobs: Jobs, memory: int = 0) -> None:
        self.go = threading.Event()
        self.greenlet = gevent.spawn(self._run, jobs, memory)

    def _run(self, jobs: Jobs, memory: int) -> str:
        with jobs.job(memory) as step:
            step(self.go.wait, 20)
            return "done"


def gauge(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"heliograph_codec_jobs{name}")


def test_as_many_wait_as_run_and_the_next_is_refused() -> None:
    metrics = Metrics()
    jobs = Jobs(2, metrics.registry)
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
    jobs = Jobs(1, Metrics().registry)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), jobs.job() as step:
            step(divmod, 1, 0)
    with jobs.job() as step:
        assert step(divmod, 7, 2) == (3, 1)


def test_one_who_stops_waiting_leaves_the_queue() -> None:
    metrics = Metrics()
    jobs = Jobs(1, metrics.registry)
    running, waiting = Held(jobs), Held(jobs)
    gevent.sleep(0.05)
    assert gauge(metrics, "_waiting") == 1
    waiting.greenlet.kill()
    assert gauge(metrics, "_waiting") == 0
    running.go.set()
    assert running.greenlet.get(timeout=20) == "done"


def test_a_job_that_needs_much_memory_takes_several_places() -> None:
    metrics = Metrics()
    jobs = Jobs(4, metrics.registry)
    large = Held(jobs, 2 * PLACE_MEMORY + 1)
    small = [Held(jobs), Held(jobs, PLACE_MEMORY)]
    gevent.sleep(0.05)
    assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (2, 1)
    large.go.set()
    assert large.greenlet.get(timeout=20) == "done"
    gevent.sleep(0.05)
    assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (2, 0)
    for held in small:
        held.go.set()
    gevent.joinall([held.greenlet for held in small], 20)
    assert gauge(metrics, "") == 0


def test_jobs_that_need_all_memory_run_one_after_another() -> None:
    metrics = Metrics()
    jobs = Jobs(3, metrics.registry)
    held = [Held(jobs, 100 * PLACE_MEMORY) for _ in range(3)]
    for number, job in enumerate(held):
        gevent.sleep(0.05)
        assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (1, 2 - number)
        job.go.set()
        assert job.greenlet.get(timeout=20) == "done"


def test_who_gives_up_waiting_for_several_places_leaves_them_all() -> None:
    metrics = Metrics()
    jobs = Jobs(3, metrics.registry)
    first, large = Held(jobs), Held(jobs, 3 * PLACE_MEMORY)
    gevent.sleep(0.05)
    large.greenlet.kill()
    first.go.set()
    first.greenlet.join(20)
    last = Held(jobs, 3 * PLACE_MEMORY)
    gevent.sleep(0.05)
    assert (gauge(metrics, ""), gauge(metrics, "_waiting")) == (1, 0)
    last.go.set()
    assert last.greenlet.get(timeout=20) == "done"
