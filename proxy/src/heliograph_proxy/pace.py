"""Whether one side of a transfer keeps an average rate. Pure.

Time counts only while that side is waited for: a backend's pauses are not a client's.
"""

from __future__ import annotations

from typing import Final

#: A body's average counts after so many seconds of waiting for it. Not Final: tests wait less.
BODY_SECONDS = 20.0

#: The same of an answer's reader: his acknowledgements come in steps of up to 64 KiB. Not Final: tests wait less.
ANSWER_SECONDS = 30.0

#: What came above the rate counts for later, up to so many periods: transfers have bursts, and TCP tells of progress in steps.
#: A side that was fast and stops is found out after that.
SURPLUS_PERIODS: Final = 2


class Pace:
    """`add` what moved and how long it was waited for; it is `too_slow` when the average of a period is below the rate."""

    __slots__ = ("_moved", "_period", "_waited", "rate")

    def __init__(self, rate: float, period: float) -> None:
        self.rate = rate
        self._period = period
        self._moved = 0.0
        self._waited = 0.0

    @property
    def patience(self) -> float:
        """Seconds that may be waited for the next bytes."""
        earned = min(self._moved / self.rate, self._period * SURPLUS_PERIODS)
        return max(self._period, earned) - self._waited

    @property
    def too_slow(self) -> bool:
        return self.patience <= 0.0

    def add(self, moved: int, waited: float) -> None:
        self._moved += moved
        self._waited += waited
        needed = self.rate * self._waited
        if self._waited >= self._period and self._moved >= needed:  # a new period begins
            self._moved = min(self._moved - needed, self.rate * self._period * SURPLUS_PERIODS)
            self._waited = 0.0
