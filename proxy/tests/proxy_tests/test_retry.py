"""The table from the kind of failure to what may be done."""

from __future__ import annotations

import pytest
from heliograph_proxy import retry
from heliograph_proxy.errors import AttemptFailed, BadGateway, NothingSent, SomethingSent, StaleConnection
from heliograph_proxy.settings import RetrySettings

SETTINGS = RetrySettings(attempts=2, deadline=30.0, budget=0.2)


@pytest.mark.parametrize(
    ("failure", "repeatable", "expected"),
    [
        (NothingSent, True, True),
        (NothingSent, False, True),
        (SomethingSent, True, True),
        (SomethingSent, False, False),
        (StaleConnection, True, True),
        (StaleConnection, False, False),
    ],
)
def test_what_may_go_again(failure: type[AttemptFailed], repeatable: bool, expected: bool) -> None:
    assert retry.allowed(failure(BadGateway()), repeatable, 1, 0.0, SETTINGS) is expected


def test_attempts_and_the_deadline_bound_all_but_stale_connections() -> None:
    assert not retry.allowed(NothingSent(BadGateway()), True, 2, 0.0, SETTINGS)
    assert not retry.allowed(NothingSent(BadGateway()), True, 1, 30.0, SETTINGS)
    assert retry.allowed(StaleConnection(BadGateway()), True, 2, 0.0, SETTINGS)


def test_the_budget_is_a_share_with_a_floor() -> None:
    assert retry.within_budget(retry.MIN_RETRIES - 1, 1, SETTINGS)
    assert not retry.within_budget(retry.MIN_RETRIES, 1, SETTINGS)
    assert retry.within_budget(19, 100, SETTINGS)
    assert not retry.within_budget(20, 100, SETTINGS)
    assert not retry.within_budget(0, 100, RetrySettings(budget=0.0))


def test_only_methods_that_may_run_twice_are_idempotent() -> None:
    assert {b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"} == retry.IDEMPOTENT
