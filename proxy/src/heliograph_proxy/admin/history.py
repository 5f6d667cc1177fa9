"""The last ten minutes of each backend and of all together, and what is shown of this moment. Pure.

Requests pay nothing for it: once a second the counters that they move anyway are read, and the differences of two
readings give rates and, from the histograms, p50 and p99. A step of the history is the differences over its
seconds and the highest levels among its readings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

from heliograph_proxy.balancing.backends import Backend, OperatorState
from heliograph_proxy.metrics import BUCKETS, ProxyMetrics

#: How often `sample` should be called.
SAMPLE_SECONDS = 1.0

#: Readings that make a step of five seconds: a pixel of a sparkline shows no more.
STEP_SAMPLES = 5
STEP_SECONDS = STEP_SAMPLES * SAMPLE_SECONDS

#: Steps that are kept: ten minutes, about 30 KB a backend.
KEPT_STEPS = 120

#: Readings that the figures of this moment look back over: fewer jump about, more hide a change.
WINDOW = 10

#: The classes of statuses that are answers to requests; 1xx are tunnels, which last as long as they like, and without
#: a status the client went away first.
ANSWERS = (2, 3, 4, 5)
ERRORS = 5


class Condition(IntEnum):
    """What may be expected of a backend, from good to bad."""

    UP = 0
    DRAIN = 1
    MAINT = 2
    #: Healthy by its checks, but left out for a while because requests failed in a row.
    EJECTED = 3
    DOWN = 4


def condition(backend: Backend, now: float) -> Condition:
    if backend.state is OperatorState.MAINT:
        return Condition.MAINT  # it is not checked
    if not backend.healthy:
        return Condition.DOWN
    if backend.state is OperatorState.DRAIN:
        return Condition.DRAIN
    return Condition.UP if backend.available(now) else Condition.EJECTED


class CounterReading(NamedTuple):
    """Counters as they stood at a moment, `at` by the monotonic clock; `counts` are answers by bucket of time."""

    at: float
    requests: int
    errors: int
    failures: int
    counts: Sequence[int]


class Figures(NamedTuple):
    """Per second, and seconds; None without an answer to tell from."""

    rate: float
    error_rate: float
    failure_rate: float
    p50: float | None
    p99: float | None


#: What a step tells, in order. Levels are the highest of the step, the condition its worst.
FIELDS = (*Figures._fields, "condition", "active", "queued", "tunnels")
TOTAL_FIELDS = (*FIELDS, "connections")

#: One step, as FIELDS name its parts. None: nothing was read meanwhile, for example because the process was stopped.
Step = tuple[float | None, ...] | None


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Seconds within which this share of the answers came, a straight line inside a bucket; None without any.

    What is over the last bound counts as the last bound.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below, sum_so_far = 0.0, 0
    for bound, count in zip(BUCKETS, counts, strict=False):
        if count and sum_so_far + count >= wanted:
            return round(below + (bound - below) * (wanted - sum_so_far) / count, 6)
        sum_so_far += count
        below = bound
    return BUCKETS[-1]


def figures(before: CounterReading, after: CounterReading) -> Figures:
    """What happened between two readings. A counter that went back says nothing: a backend has left."""
    seconds = after.at - before.at
    if seconds <= 0:
        return Figures(0.0, 0.0, 0.0, None, None)
    counts = [max(new - old, 0) for old, new in zip(before.counts, after.counts, strict=True)]
    rate, errors, failures = (
        round(max(new - old, 0) / seconds, 3) for old, new in zip(before[1:4], after[1:4], strict=True)
    )
    return Figures(rate, errors, failures, percentile(counts, 0.5), percentile(counts, 0.99))


class Track:
    """One backend, or all together. Begins where its counters stand: what they say already is of another time."""

    def __init__(self, reading: CounterReading, condition: Condition, wall: float) -> None:
        self.steps: deque[Step] = deque(maxlen=KEPT_STEPS)
        self.condition = condition
        #: Since when, in wall-clock time.
        self.since = wall
        self._readings = deque([reading], maxlen=WINDOW + 1)
        self._step_began = reading
        self._worst = Condition.UP
        self._levels: Sequence[int] = ()

    def read(self, reading: CounterReading, levels: Sequence[int], condition: Condition, wall: float) -> None:
        if condition is not self.condition:
            self.condition, self.since = condition, wall
        self._readings.append(reading)
        self._worst = max(self._worst, condition)
        self._levels = (
            [max(pair) for pair in zip(self._levels, levels, strict=True)] if self._levels else levels
        )

    def end_step(self, missed: int) -> None:
        """`missed`: steps that went by without a reading before this one."""
        latest = self._readings[-1]
        self.steps.extend([None] * missed)
        self.steps.append((*figures(self._step_began, latest), self._worst.value, *self._levels))
        self._step_began, self._worst, self._levels = latest, Condition.UP, ()

    def figures(self) -> Figures:
        """Of this moment."""
        return figures(self._readings[0], self._readings[-1])


class TrafficHistory:
    """`sample` it every SAMPLE_SECONDS."""

    def __init__(self, now: float, wall: float) -> None:
        #: Steps that have ended.
        self.number = 0
        self.total = Track(CounterReading(now, 0, 0, 0, _NO_ANSWERS), Condition.UP, wall)
        self.tracks: dict[Backend, Track] = {}
        self._samples = 0
        self._sampled_at = now

    def sample(
        self, now: float, wall: float, backends: Sequence[Backend], metrics: ProxyMetrics, waiting: int
    ) -> None:
        """`waiting`: how many requests are in the queue."""
        answered, errors = _by_backend(metrics)
        tracks: dict[Backend, Track] = {}  # who was taken away takes its past along
        for one in backends:
            counts = answered.get(one.name, _NO_ANSWERS)
            reading = CounterReading(now, one.requests, errors.get(one.name, 0), one.failures, counts)
            state = condition(one, now)
            track = tracks[one] = self.tracks.get(one) or Track(reading, state, wall)
            track.read(reading, (one.active, one.queued, one.tunnels), state, wall)
        self.tracks = tracks
        self.total.read(
            CounterReading(
                now,
                metrics.requests,
                sum(errors.values()),
                sum(one.failures for one in backends),
                [sum(column) for column in zip(_NO_ANSWERS, *answered.values(), strict=True)],
            ),
            (*_in_use(backends, waiting), metrics.connections),
            max((track.condition for track in tracks.values()), default=Condition.UP),
            wall,
        )
        self._count(now)

    def _count(self, now: float) -> None:
        """End the step when it is full, or when so much time went by that it is over."""
        missed = min(int((now - self._sampled_at) / STEP_SECONDS), KEPT_STEPS)
        self._sampled_at = now
        self._samples += 1
        if self._samples < STEP_SAMPLES and not missed:
            return
        self._samples = 0
        self.number += 1 + missed
        for track in (self.total, *self.tracks.values()):
            track.end_step(missed)


_NO_ANSWERS = (0,) * (len(BUCKETS) + 1)


def _in_use(backends: Iterable[Backend], waiting: int) -> tuple[int, int, int]:
    active = tunnels = 0
    for one in backends:
        active += one.active
        tunnels += one.tunnels
    return active, waiting, tunnels


def _by_backend(metrics: ProxyMetrics) -> tuple[dict[str, Sequence[int]], dict[str, int]]:
    """Answers by bucket, and how many of them were errors, by the backend's name."""
    answered: dict[str, Sequence[int]] = {}
    errors: dict[str, int] = {}
    for (name, hundreds), histogram in metrics.durations.items():
        if hundreds not in ANSWERS:
            continue
        before, counts = answered.get(name), histogram.counts
        answered[name] = (
            tuple(counts) if before is None else [a + b for a, b in zip(before, counts, strict=True)]
        )
        if hundreds == ERRORS:
            errors[name] = sum(counts)
    return answered, errors
