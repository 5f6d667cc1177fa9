"""The budget of retries: who exceeds it waits, and not for ever."""

from __future__ import annotations

import gevent
from heliograph_proxy.retry import MIN_RETRIES
from heliograph_proxy.retrybudget import RetryBudget
from heliograph_proxy.settings import RetrySettings

from proxy_tests.conftest import until

SETTINGS = RetrySettings(budget=0.2)


def full() -> RetryBudget:
    budget = RetryBudget()
    for _ in range(MIN_RETRIES):
        assert budget.enter(1, SETTINGS, 1.0)
    return budget


def test_who_exceeds_it_waits_until_somebody_leaves() -> None:
    budget = full()
    jobs = [gevent.spawn(budget.enter, 1, SETTINGS, 5.0) for _ in range(2)]
    gevent.sleep(0.01)
    assert not any(job.ready() for job in jobs)
    budget.leave()
    until(lambda: any(job.ready() for job in jobs), "one to enter")
    assert sum(job.ready() for job in jobs) == 1
    budget.leave()
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [True, True]


def test_nobody_waits_longer_than_allowed() -> None:
    assert not full().enter(1, SETTINGS, 0.02)


def test_a_budget_of_nothing_is_not_waited_for() -> None:
    assert not RetryBudget().enter(100, RetrySettings(budget=0.0), 60.0)
