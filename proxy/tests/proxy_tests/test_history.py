"""Rates, percentiles and ten minutes of them, from counters that a test moves and a clock of its own."""

from __future__ import annotations

import pytest
from heliograph_proxy.admin.history import (
    FIELDS,
    KEPT_STEPS,
    STEP_SAMPLES,
    STEP_SECONDS,
    TOTAL_FIELDS,
    Condition,
    CounterReading,
    Figures,
    TrafficHistory,
    condition,
    figures,
    percentile,
)
from heliograph_proxy.balancing.backends import Backend, Check, OperatorState
from heliograph_proxy.metrics import BUCKETS, ProxyMetrics
from heliograph_proxy.settings import BackendSettings, HealthSettings
from heliograph_proxy.values import Address

HEALTH = HealthSettings(eject_failures=2, eject_time=10.0, fall=1, rise=1)
WALL = 1_000_000.0


def backend(name: str = "a") -> Backend:
    return Backend(BackendSettings(name=name, address=Address(host="127.0.0.1", port=1)), HEALTH)


def buckets(**counts: int) -> list[int]:
    """`le_0_005=3`: three answers in the bucket that ends there; `more`: beyond the last one."""
    found = [0] * (len(BUCKETS) + 1)
    for name, count in counts.items():
        at = len(BUCKETS) if name == "more" else BUCKETS.index(float(name[3:].replace("_", ".")))
        found[at] = count
    return found


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        (buckets(), 0.5, None),
        (buckets(le_0_001=10), 0.5, 0.0005),
        (buckets(le_0_001=10), 1.0, 0.001),
        (buckets(le_0_01=100), 0.5, 0.0075),
        (buckets(le_0_001=50, le_0_01=50), 0.5, 0.001),
        (buckets(le_0_001=98, le_1_0=2), 0.99, 0.75),
        (buckets(le_0_001=99, le_1_0=1), 0.99, 0.001),
        (buckets(le_60_0=1), 0.5, 45.0),
        (buckets(more=1), 0.5, 60.0),
        (buckets(le_0_001=1, more=1), 0.99, 60.0),
    ],
)
def test_a_percentile_is_read_from_the_buckets(
    counts: list[int], share: float, expected: float | None
) -> None:
    assert percentile(counts, share) == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_a_percentile_lies_in_the_bucket_of_the_real_one(share: float) -> None:
    times = sorted(0.0001 * number**2 for number in range(1, 400))
    metrics = ProxyMetrics()
    for one in times:
        metrics.answered("a", 200, one)
    real = times[max(round(share * len(times)) - 1, 0)]
    found = percentile(metrics.durations["a", 2].counts, share)
    assert found is not None
    above = next(bound for bound in BUCKETS if real <= bound)
    below = max((bound for bound in BUCKETS if bound < above), default=0.0)
    assert below <= found <= above


NOTHING = buckets()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            CounterReading(0, 0, 0, 0, NOTHING),
            CounterReading(10, 50, 5, 1, NOTHING),
            Figures(5.0, 0.5, 0.1, None, None),
        ),
        # What came before is not counted again.
        (
            CounterReading(5, 7, 1, 1, buckets(le_10_0=9)),
            CounterReading(6, 9, 1, 1, buckets(le_10_0=9, le_0_001=2)),
            Figures(2.0, 0.0, 0.0, 0.0005, 0.00099),
        ),
        # No time, and counters that go back because whoever was counted left.
        (
            CounterReading(1, 1, 1, 1, NOTHING),
            CounterReading(1, 9, 9, 9, NOTHING),
            Figures(0.0, 0.0, 0.0, None, None),
        ),
        (
            CounterReading(0, 9, 9, 9, buckets(more=1)),
            CounterReading(1, 1, 1, 1, NOTHING),
            Figures(0.0, 0.0, 0.0, None, None),
        ),
    ],
)
def test_figures_are_the_difference_of_two_readings(
    before: CounterReading, after: CounterReading, expected: Figures
) -> None:
    assert figures(before, after) == pytest.approx(expected)


def failing(reason: str = "gone") -> Check:
    return Check(WALL, False, reason, 0.1)


@pytest.mark.parametrize(
    ("state", "healthy", "ejected", "expected"),
    [
        (OperatorState.READY, True, False, Condition.UP),
        (OperatorState.READY, True, True, Condition.EJECTED),
        (OperatorState.READY, False, False, Condition.DOWN),
        (OperatorState.READY, False, True, Condition.DOWN),
        (OperatorState.DRAIN, True, False, Condition.DRAIN),
        (OperatorState.DRAIN, False, False, Condition.DOWN),
        (OperatorState.MAINT, True, True, Condition.MAINT),
        (OperatorState.MAINT, False, False, Condition.MAINT),
    ],
)
def test_the_condition_is_the_worst_that_holds(
    state: OperatorState, healthy: bool, ejected: bool, expected: Condition
) -> None:
    one = backend()
    one.state = state
    if ejected:
        for _ in range(HEALTH.eject_failures):
            one.failed(0.0, "reset", last=False)
    if not healthy:
        one.checked(failing(), 0.0)
    assert condition(one, 1.0) is expected
    assert condition(one, 11.0) is (Condition.UP if expected is Condition.EJECTED else expected)


class Run:
    """A history, what it looks at, and the clock."""

    def __init__(self, *names: str) -> None:
        self.now = 100.0
        self.metrics = ProxyMetrics()
        self.backends = [backend(name) for name in names]
        self.history = TrafficHistory(self.now, WALL)

    def sample(self, seconds: float = 1.0, waiting: int = 0) -> None:
        self.now += seconds
        wall = WALL + self.now - 100.0
        self.history.sample(self.now, wall, self.backends, self.metrics, waiting)

    def step(self) -> None:
        for _ in range(STEP_SAMPLES):
            self.sample()

    def answer(self, name: str, count: int, status: int = 200, seconds: float = 0.004) -> None:
        for _ in range(count):
            next(one for one in self.backends if one.name == name).requests += 1
            self.metrics.requests += 1
            self.metrics.answered(name, status, seconds)

    def last(self, name: str = "") -> dict[str, float | None]:
        tracks = {one.name: track for one, track in self.history.tracks.items()}
        step = (tracks[name] if name else self.history.total).steps[-1]
        assert step is not None
        return dict(zip(FIELDS if name else TOTAL_FIELDS, step, strict=True))


def test_a_step_has_the_rates_of_its_seconds_and_its_highest_levels() -> None:
    run = Run("a", "b")
    run.step()
    one = run.backends[0]
    one.active, one.queued, one.tunnels, run.metrics.connections = 7, 3, 2, 11
    run.sample(waiting=4)
    run.answer("a", 45)
    run.answer("a", 5, status=503, seconds=0.2)
    run.answer("b", 10, status=404)
    one.failures += 20
    one.active, run.metrics.connections = 1, 1
    for _ in range(STEP_SAMPLES - 1):
        run.sample()
    assert run.last("a") == {
        **{"rate": 10.0, "error_rate": 1.0, "failure_rate": 4.0, "p50": pytest.approx(0.003889, abs=1e-6)},
        **{"p99": pytest.approx(0.235), "condition": 0, "active": 7, "queued": 3, "tunnels": 2},
    }
    assert run.last("b")["rate"] == 2.0
    assert run.last() | {"p50": 0, "p99": 0} == {
        **{"rate": 12.0, "error_rate": 1.0, "failure_rate": 4.0, "p50": 0, "p99": 0, "condition": 0},
        **{"active": 7, "queued": 4, "tunnels": 2, "connections": 11},
    }
    run.step()
    assert (run.last("a")["rate"], run.last("a")["p50"], run.last("a")["active"]) == (0.0, None, 1)


def test_tunnels_and_clients_that_went_away_tell_nothing_of_response_times() -> None:
    run = Run("a")
    run.sample()
    run.answer("a", 5, status=101, seconds=3600.0)
    run.answer("a", 5, status=0, seconds=60.0)
    run.answer("a", 5)
    run.step()
    assert run.last("a")["p99"] == pytest.approx(0.005, abs=1e-4)


def test_a_condition_that_came_and_went_within_a_step_is_seen_and_dated() -> None:
    run = Run("a")
    run.step()
    run.backends[0].checked(failing(), run.now)
    run.sample()
    track = run.history.tracks[run.backends[0]]
    assert (track.condition, track.since) == (Condition.DOWN, WALL + 6)
    run.backends[0].checked(Check(WALL, True, "status 200", 0.1), run.now)
    for _ in range(STEP_SAMPLES - 1):
        run.sample()
    assert (track.condition, track.since) == (Condition.UP, WALL + 7)
    assert run.last("a")["condition"] == run.last()["condition"] == Condition.DOWN
    run.step()
    assert run.last("a")["condition"] == run.last()["condition"] == Condition.UP


def test_the_figures_of_this_moment_forget_after_ten_seconds() -> None:
    run = Run("a")
    run.sample()
    run.answer("a", 100)
    run.sample()
    track = run.history.tracks[run.backends[0]]
    assert track.figures().rate == 100.0
    for _ in range(8):
        run.sample()
    assert track.figures().rate == pytest.approx(100 / 9, abs=0.001)
    for _ in range(3):
        run.sample()
    assert track.figures() == Figures(0.0, 0.0, 0.0, None, None)


def test_only_ten_minutes_are_kept() -> None:
    run = Run("a")
    for _ in range(KEPT_STEPS + 30):
        run.step()
    track = run.history.tracks[run.backends[0]]
    assert len(track.steps) == len(run.history.total.steps) == KEPT_STEPS
    assert KEPT_STEPS * STEP_SECONDS == 600
    assert run.history.number == KEPT_STEPS + 30


@pytest.mark.parametrize(("seconds", "missed"), [(1.4, 0), (4.9, 0), (5.0, 1), (31.0, 6), (1e6, KEPT_STEPS)])
def test_time_in_which_nothing_was_read_is_a_gap(seconds: float, missed: int) -> None:
    run = Run("a")
    run.step()
    run.answer("a", 10)
    run.sample(seconds)
    steps = list(run.history.total.steps)
    assert steps.count(None) == min(missed, KEPT_STEPS - 1)
    if missed:
        assert run.last()["rate"] == pytest.approx(10 / seconds, abs=0.001)
    assert run.history.number == 1 + (missed + 1 if missed else 0)
    run.step()
    assert run.history.number == 2 + (missed + 1 if missed else 0)


def test_a_backend_of_a_known_name_begins_anew_and_one_that_left_is_forgotten() -> None:
    run = Run("a", "b")
    run.step()
    run.answer("a", 1000)
    run.step()
    run.backends = [run.backends[1], backend("a")]
    run.step()
    assert set(run.history.tracks) == set(run.backends)
    assert run.last("a")["rate"] == 0.0
    assert len(run.history.tracks[run.backends[1]].steps) == 1
    assert len(run.history.tracks[run.backends[0]].steps) == 3


def test_without_backends_there_is_still_a_total() -> None:
    run = Run()
    run.metrics.requests += 5
    run.metrics.answered("-", 503, 0.001)
    run.step()
    assert (run.last()["rate"], run.last()["error_rate"], run.last()["condition"]) == (1.0, 0.2, Condition.UP)
