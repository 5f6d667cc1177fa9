"""Codec jobs: so many at once, as many waiting, and no more."""

from __future__ import annotations

import threading

import gevent
import pytest

from app.codec.work import SLOT_MEMORY, CodecJobs
from app.problems import CodecsBusy
from heliograph.request.metrics import RequestMetrics


class Held:
    """A job that runs in its native thread until it is let go."""

    def __init__(self, jobs: CodecJobs, memory: int = 0, client: str = "") -> None:
        self.go = threading.Event()
        self.greenlet = gevent.spawn(self._run, jobs, memory, client)

    def _run(self, jobs: CodecJobs, memory: int, client: str) -> str:
        with jobs.job(memory, client) as step:
            step(self.go.wait, 20)
            return "done"


def counted(metrics: RequestMetrics) -> tuple[float | None, float | None]:
    """How many jobs run, and how many wait."""
    value = metrics.registry.get_sample_value
    return value("heliograph_codec_jobs"), value("heliograph_codec_jobs_waiting")


def wait_for(metrics: RequestMetrics, running: int, waiting: int) -> None:
    """Let the other greenlets run until so many jobs run and wait. Raises gevent.Timeout when that takes 20 s."""
    with gevent.Timeout(20):
        while counted(metrics) != (running, waiting):
            gevent.sleep(0.001)


def test_as_many_wait_as_run_and_the_next_is_refused() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(2, metrics.registry)
    held = [Held(jobs) for _ in range(4)]
    wait_for(metrics, 2, 2)
    with pytest.raises(CodecsBusy) as caught, jobs.job():
        pass
    assert caught.value.extra == {"limit": 2}
    for job in held:
        job.go.set()
    assert [job.greenlet.get(timeout=20) for job in held] == ["done"] * 4
    assert counted(metrics) == (0, 0)


def test_one_client_leaves_a_quarter_to_others() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(4, metrics.registry)
    held = [Held(jobs, client="greedy") for _ in range(6)]
    wait_for(metrics, 3, 3)
    with pytest.raises(CodecsBusy), jobs.job(client="greedy"):
        pass
    with jobs.job(client="other") as step:
        assert step(divmod, 7, 2) == (3, 1)
    for job in held:
        job.go.set()
    assert [job.greenlet.get(timeout=20) for job in held] == ["done"] * 6
    assert counted(metrics) == (0, 0)


def test_a_large_job_counts_in_the_share_of_its_client() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(4, metrics.registry)
    held = [Held(jobs, 100 * SLOT_MEMORY, "greedy"), Held(jobs, client="greedy"), Held(jobs, client="other")]
    wait_for(metrics, 2, 1)
    for job in held:
        job.go.set()
    assert [job.greenlet.get(timeout=20) for job in held] == ["done"] * 3


def test_nothing_waits_longer_than_it_may() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(1, metrics.registry, max_wait=0.05)
    running = Held(jobs)
    wait_for(metrics, 1, 0)
    with pytest.raises(CodecsBusy, match="within"), jobs.job():
        pass
    running.go.set()
    assert running.greenlet.get(timeout=20) == "done"
    assert counted(metrics) == (0, 0)


def test_a_job_that_fails_gives_its_slot_back() -> None:
    jobs = CodecJobs(1, RequestMetrics().registry)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), jobs.job() as step:
            step(divmod, 1, 0)
    with jobs.job() as step:
        assert step(divmod, 7, 2) == (3, 1)


def test_a_job_that_is_stopped_while_it_waits_leaves_the_queue() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(1, metrics.registry)
    running, waiting = Held(jobs), Held(jobs)
    wait_for(metrics, 1, 1)
    waiting.greenlet.kill()
    assert counted(metrics) == (1, 0)
    running.go.set()
    assert running.greenlet.get(timeout=20) == "done"


def test_a_job_that_needs_much_memory_takes_several_slots() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(4, metrics.registry)
    large = Held(jobs, 2 * SLOT_MEMORY + 1)
    small = [Held(jobs), Held(jobs, SLOT_MEMORY)]
    wait_for(metrics, 2, 1)
    large.go.set()
    assert large.greenlet.get(timeout=20) == "done"
    wait_for(metrics, 2, 0)
    for held in small:
        held.go.set()
    gevent.joinall([held.greenlet for held in small], 20)
    assert counted(metrics) == (0, 0)


def test_jobs_that_need_all_memory_run_one_after_another() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(3, metrics.registry)
    held = [Held(jobs, 100 * SLOT_MEMORY) for _ in range(3)]
    for number, job in enumerate(held):
        wait_for(metrics, 1, 2 - number)
        job.go.set()
        assert job.greenlet.get(timeout=20) == "done"


def test_a_job_that_is_stopped_while_it_waits_for_several_slots_releases_them_all() -> None:
    metrics = RequestMetrics()
    jobs = CodecJobs(3, metrics.registry)
    first, large = Held(jobs), Held(jobs, 3 * SLOT_MEMORY)
    wait_for(metrics, 1, 1)
    large.greenlet.kill()
    first.go.set()
    first.greenlet.join(20)
    last = Held(jobs, 3 * SLOT_MEMORY)
    wait_for(metrics, 1, 0)
    last.go.set()
    assert last.greenlet.get(timeout=20) == "done"
