from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from heliograph.channels.engines.clock import JUMP, LEAST_TRUST, TRUST_AFTER, SteadyClock
from heliograph.channels.presence import SubscriberInfo
from heliograph.channels.records import Limits
from tests.heliograph.channels.followers import eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched

HOURS = 3600.0


def test_a_clock_that_is_set_by_a_little_is_believed_at_once() -> None:
    clock = SteadyClock(1000.0, 10.0)
    assert clock.time(1001.0, 11.0) == 1001.0
    assert clock.time(1002.0 + JUMP, 12.0) == 1002.0 + JUMP
    assert clock.time(1003.0, 13.0) == 1003.0
    assert not clock.is_doubted


@pytest.mark.parametrize("jump", [25 * HOURS, -25 * HOURS])
def test_a_clock_that_jumped_is_not_believed_for_an_hour(jump: float) -> None:
    clock = SteadyClock(1_000_000.0 - HOURS, 0.0)
    assert clock.time(1_000_001.0 + jump, HOURS + 1.0) == 1_000_001.0
    assert clock.is_doubted
    assert clock.time(1_000_000.0 + jump + TRUST_AFTER, HOURS + TRUST_AFTER) == 1_000_000.0 + TRUST_AFTER
    believed = 1_000_002.0 + jump + TRUST_AFTER
    assert clock.time(believed, HOURS + 2.0 + TRUST_AFTER) == believed
    assert not clock.is_doubted


def test_a_process_that_started_lately_believes_a_jump_no_sooner() -> None:
    started = 50 * HOURS
    clock = SteadyClock(1_000_000.0, started)
    assert clock.time(1_000_060.0 + 25 * HOURS, started + 60.0) == 1_000_060.0
    assert clock.time(1_000_121.0 + 25 * HOURS, started + 121.0) == 1_000_121.0
    assert clock.time(1_000_122.0, started + 122.0) == 1_000_122.0
    assert not clock.is_doubted


@pytest.mark.parametrize(("kept", "needed"), [(5.0, LEAST_TRUST), (600.0, 600.0)])
def test_a_clock_that_was_wrong_at_the_start_is_believed_soon(kept: float, needed: float) -> None:
    clock, right = SteadyClock(0.0, 0.0), 1_000_000.0
    assert clock.time(kept - 1.0, kept - 1.0) == kept - 1.0
    assert clock.time(right + kept, kept) == kept
    assert clock.time(right + kept + needed - 1.0, kept + needed - 1.0) == kept + needed - 1.0
    assert clock.time(right + kept + needed, kept + needed) == right + kept + needed


def test_a_clock_that_comes_back_is_believed_and_an_old_jump_is_forgotten() -> None:
    clock = SteadyClock(1_000_000.0, 0.0)
    assert clock.time(1_000_001.0 + 25 * HOURS, 1.0) == 1_000_001.0
    assert clock.time(1_000_002.0, 2.0) == 1_000_002.0
    assert not clock.is_doubted
    later = 2 * TRUST_AFTER
    assert clock.time(1_000_000.0 + later + 25 * HOURS, later) == 1_000_000.0 + later


@contextmanager
def clock_ahead(seconds: float) -> Iterator[None]:
    """For this process, as root may not set that of the machine for a test."""
    real = time.time
    time.time = lambda: real() + seconds
    try:
        yield
    finally:
        time.time = real


@pytest.mark.parametrize("engine", ["memory", "sqlite"])
@patched
def test_a_clock_a_day_ahead_ends_nothing(engine: str, tmp_path: Path) -> None:
    url = "memory://" if engine == "memory" else f"sqlite:///{tmp_path}/channels.db"
    with opened(url, Limits(check_interval=0.1)) as (log,):
        first = publish(log, "one", key="k")
        log.presence.announce({"a": [SubscriberInfo("1", 1.0, "sse", "web1")]})
        with clock_ahead(25 * HOURS):
            second = publish(log, "two")
            assert second.time < time.time() - 24 * HOURS
            assert publish(log, "one", key="k").repeated
            assert log.presence.present("a").count == 1
            assert texts(log.read("a", None).messages) == ["one", "two"]
            rounds = [publish(log, "three", f"c{n}") for n in range(20)]  # and maintenance in between
            eventually(lambda: log.check() == "ok", "a probe")
            assert rounds[-1].epoch == first.epoch
        assert texts(log.read("a", None).messages) == ["one", "two"]
        assert publish(log, "one", key="k").repeated
