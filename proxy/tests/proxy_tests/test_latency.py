"""The peak average, with a clock that the test turns."""

from __future__ import annotations

import math

import pytest
from heliograph_proxy.balancing.latency import DECAY_SECONDS, UNKNOWN, PeakAverage


def test_it_jumps_up_at_once_and_comes_down_slowly() -> None:
    average = PeakAverage()
    average.observe(0.1, 0.0)
    average.observe(1.0, 1.0)
    assert average.value(1.0) == 1.0
    average.observe(0.1, 1.1)
    assert 0.9 < average.value(1.1) < 1.0


def test_it_decays_while_nothing_is_observed() -> None:
    average = PeakAverage()
    average.observe(1.0, 0.0)
    assert average.value(DECAY_SECONDS) == pytest.approx(math.exp(-1))


def test_it_knows_whether_it_knows_anything() -> None:
    average = PeakAverage()
    assert average.value(100.0) == UNKNOWN
    average.observe(0.0, 100.0)
    assert average.value(100.0) == 0.0
