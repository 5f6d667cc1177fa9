"""A moving average of response times that jumps up at once and comes down slowly. Pure.

After Finagle's Peak EWMA: a backend that turns slow must be avoided after the first slow answer, one that was
slow must be given another chance after a while even though nothing is sent to it that could prove it better.
"""

from __future__ import annotations

import math
from typing import Final

#: Seconds in which an observation loses two thirds of its weight.
DECAY_SECONDS: Final = 10.0


#: The value while nothing was observed.
UNKNOWN: Final = -1.0

#: Younger averages are as good as new: they have lost a thousandth at most.
FRESH_SECONDS: Final = DECAY_SECONDS / 1000


class PeakAverage:
    """`observe` times, read the `value`; `now` is the monotonic clock."""

    __slots__ = ("_at", "_value")

    def __init__(self) -> None:
        self._value = UNKNOWN
        self._at = 0.0

    def observe(self, seconds: float, now: float) -> None:
        if seconds > self._value:
            self._value = seconds
        else:
            left = math.exp((self._at - now) / DECAY_SECONDS)
            self._value = self._value * left + seconds * (1.0 - left)
        self._at = now

    def value(self, now: float) -> float:
        age = now - self._at
        if age < FRESH_SECONDS or self._value == UNKNOWN:
            return self._value
        return self._value * math.exp(-age / DECAY_SECONDS)
