"""Whether one side of a transfer keeps an average rate. Pure.

Time counts only while that side is waited for: a backend's pauses are not a client's.
"""

from __future__ import annotations

import fcntl
import sys
import termios
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


def untaken(descriptor: int) -> int:
    """Bytes that the kernel keeps because the other side of a socket has not taken them. 0 where it does not tell for that kind of
    socket: there only room in the kernel counts."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


class Uptake:
    """One wait until the kernel takes more for the other side, which may be long after that has taken some: the kernel tells when a
    third of megabytes is free. So how much is left there is looked at, too."""

    __slots__ = ("_begun", "_moved", "_queued")

    def __init__(self, queued: int, now: float) -> None:
        """`queued`: bytes that are `untaken`."""
        self._queued = queued
        self._moved = self._begun = now

    def deadline(self, silence: float, kept: Pace | None) -> float:
        """When to look again at the latest. `silence`: seconds in which something must be taken."""
        deadline = self._moved + silence
        return deadline if kept is None else min(deadline, self._begun + kept.patience)

    def looked(self, queued: int, now: float, kept: Pace | None) -> None:
        if kept is not None:
            kept.add(max(self._queued - queued, 0), now - self._begun)
        if queued < self._queued:
            self._moved = now
        self._queued, self._begun = queued, now

    def silent_for(self, silence: float) -> bool:
        """Whether nothing was taken for so long."""
        return self._begun >= self._moved + silence
