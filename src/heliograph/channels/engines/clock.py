"""The time by which memory and SQLite stamp and trim messages, idempotency keys, tickets and presence.

It is the clock of the machine, unless that jumps: a clock that is a day ahead for a minute would end all histories for good. A jump
is seen beside the time since the machine was started, which nobody sets. After it the time goes on from before, until the clock has
kept its new time as long as the machine had the one before, but at least a minute and at most an hour; then it is believed. So a
process that starts while the clock is wrong believes it: soon after the machine's start until soon after the clock was set, later
until an hour after. A time since the process's start instead would believe a wrong clock within minutes of each restart. Redis and
PostgreSQL use the clock of their server.
"""

from __future__ import annotations

import time

#: Seconds by which a clock may be set at once and is believed. Two looks are seldom more than some seconds apart.
JUMP = 300.0

#: Seconds that a clock has to keep another time until it is believed, at least and at most.
LEAST_TRUST, TRUST_AFTER = 60.0, 3600.0


class SteadyClock:
    """Times are arguments: `wall` is the machine's clock, `elapsed` the seconds since it was started."""

    def __init__(self, wall: float, elapsed: float) -> None:
        self._offset = wall - elapsed
        self._kept_since = 0.0  # the start of the machine
        self._jumped_at: float | None = None

    def time(self, wall: float, elapsed: float) -> float:
        offset = wall - elapsed
        if abs(offset - self._offset) > JUMP:
            since = self._jumped_at = elapsed if self._jumped_at is None else self._jumped_at
            if elapsed - since < min(TRUST_AFTER, max(LEAST_TRUST, since - self._kept_since)):
                return self._offset + elapsed
            self._kept_since = since
        self._offset, self._jumped_at = offset, None
        return wall

    @property
    def is_doubted(self) -> bool:
        """Whether the clock jumped, and is not believed yet."""
        return self._jumped_at is not None


def elapsed() -> float:
    """Seconds since the machine was started, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


#: That of this process, as there is one clock.
CLOCK = SteadyClock(time.time(), elapsed())


def now() -> float:
    return CLOCK.time(time.time(), elapsed())
