"""A backend's state, with a clock that the test turns."""

from __future__ import annotations

import json

import pytest
from heliograph_proxy.balancing.backends import SLOW_START_FLOOR, Backend, Change, Check, OperatorState
from heliograph_proxy.generations import known_backends, take_over
from heliograph_proxy.settings import HealthSettings, backend

HEALTH = HealthSettings(rise=2, fall=3, eject_failures=2, eject_time=10.0, slow_start=10.0)
GOOD = Check(at=0.0, passed=True, detail="status 200", seconds=0.001)
BAD = Check(at=0.0, passed=False, detail="status 500", seconds=0.001)
STOPPING = Check(at=0.0, passed=False, detail="stopping", seconds=0.001, stopping=True)


@pytest.fixture
def one() -> Backend:
    return Backend(
        backend({"name": "a", "address": "127.0.0.1:1", "weight": 4, "max_connections": 2}, "x"), HEALTH
    )


def test_it_is_available_while_ready_healthy_and_not_ejected(one: Backend) -> None:
    assert one.available(0.0)
    for state in (OperatorState.DRAIN, OperatorState.MAINT):
        one.state = state
        assert not one.available(0.0)
    one.state, one.healthy = OperatorState.READY, False
    assert not one.available(0.0)


def test_the_first_check_decides_alone_and_then_a_row_does(one: Backend) -> None:
    assert one.checked(BAD, 1.0) == Change("down", "status 500")
    assert one.checked(GOOD, 2.0) == Change("up", "status 200")
    assert [one.checked(BAD, 3.0), one.checked(BAD, 4.0)] == [None, None]
    assert one.checked(GOOD, 5.0) is None
    assert [one.checked(BAD, 6.0), one.checked(BAD, 7.0)] == [None, None]
    assert one.checked(BAD, 8.0) == Change("down", "status 500")
    assert one.checked(GOOD, 9.0) is None
    assert one.checked(GOOD, 10.0) == Change("up", "status 200")


def test_stopping_counts_at_once(one: Backend) -> None:
    one.checked(GOOD, 1.0)
    assert one.checked(STOPPING, 2.0) == Change("down", "stopping")


def test_failures_in_a_row_eject_until_the_time_is_over(one: Backend) -> None:
    assert one.failed(100.0, "reset", last=False) is None
    change = one.failed(101.0, "reset", last=False)
    assert change is not None
    assert (change.event, "reset" in change.reason) == ("ejected", True)
    assert not one.available(110.9)
    assert one.available(111.0)
    assert one.failures == 2


def test_a_backend_that_is_down_is_not_ejected_as_well(one: Backend) -> None:
    one.checked(BAD, 0.0)
    for _ in range(10):
        assert one.failed(1.0, "reset", last=False) is None


def test_good_checks_end_an_ejection_with_the_downtime(one: Backend) -> None:
    one.checked(GOOD, 0.0)
    one.failed(1.0, "reset", last=False)
    one.failed(1.0, "reset", last=False)
    for now in (2.0, 3.0, 4.0):
        one.checked(BAD, now)
    for now in (5.0, 6.0):
        one.checked(GOOD, now)
    assert one.available(6.0)


def test_a_successor_knows_what_has_been_proven_and_what_is_ejected(one: Backend) -> None:
    one.checked(GOOD, 0.0)
    for _ in range(2):
        one.failed(1.0, "reset", last=False)
    known = json.loads(json.dumps(known_backends([one], 4.0)))
    successor = Backend(one.settings, HEALTH)
    take_over([successor], known, 5.0)
    assert not successor.available(11.9)
    assert successor.available(12.1)
    # `fall` checks in a row, not one.
    assert successor.checked(BAD, 13.0) is None
    assert successor.healthy


def test_a_success_ends_the_row(one: Backend) -> None:
    one.failed(1.0, "reset", last=False)
    one.succeeded(0.1, 1.0)
    assert one.failed(2.0, "reset", last=False) is None


def test_the_last_one_stays(one: Backend) -> None:
    for _ in range(10):
        assert one.failed(1.0, "reset", last=True) is None
    assert one.available(1.0)


def test_the_weight_grows_after_a_recovery_and_not_after_the_start(one: Backend) -> None:
    one.checked(GOOD, 0.0)
    assert one.effective_weight(0.0) == 4
    for now in (1.0, 2.0, 3.0):
        one.checked(BAD, now)
    for now in (4.0, 5.0):
        one.checked(GOOD, now)
    assert one.effective_weight(5.0) == 4 * SLOW_START_FLOOR
    assert one.effective_weight(10.0) == 2
    assert one.effective_weight(15.0) == 4
    assert one.effective_weight(10.0) == 4  # over is over


def test_it_is_full_at_its_limits(one: Backend) -> None:
    one.active = 1
    assert one.has_room(tunnel=False)
    one.active = 2
    assert not one.has_room(tunnel=False)
    one.active, one.tunnels = 0, 20000
    assert one.has_room(tunnel=False)
    assert not one.has_room(tunnel=True)


def test_the_response_time_is_a_moving_average(one: Backend) -> None:
    one.succeeded(0.8, 1.0)
    assert one.response_time == 0.8
    one.succeeded(0.0, 2.0)
    assert one.response_time == pytest.approx(0.7)


def test_a_new_configuration_keeps_a_weight_set_at_run_time(one: Backend) -> None:
    new = backend({"name": "a", "address": "127.0.0.1:1", "weight": 9}, "x")
    one.configure(new, HEALTH)
    assert one.weight == 9
    one.weight, one.weight_set = 5, True
    one.configure(new, HEALTH)
    assert one.weight == 5
