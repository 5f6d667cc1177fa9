"""What the worker does between its calls, in small steps: trimming, vacuum, checkpoints, checking the listener."""

from __future__ import annotations

from collections.abc import Callable

from heliograph.channels.engines.clock import CLOCK
from heliograph.channels.engines.sqlite.session import SqliteSession
from heliograph.channels.engines.sqlite.transactions import Locked

#: Groups, and bytes of messages, after which a step is due even under load, so that trimming and checkpoints keep up with
#: appending: each deletes more than that many groups add.
GROUPS, BYTES = 64, 4 << 20

#: Seconds after which one is due in any case: for what ends by age.
INTERVAL = 5.0


class Maintenance:
    def __init__(self, check_interval: float, report: Callable[[str], None]) -> None:
        self._report, self._clock_doubted = report, False
        self._interval = min(INTERVAL, check_interval)
        self._groups = self._bytes = 0
        self._next = 0.0
        self._more = False

    def committed(self, size: int) -> None:
        self._groups += 1
        self._bytes += size

    def wait(self, now: float) -> float:
        """Seconds until the next step is due."""
        return 0.0 if self._more else max(0.0, self._next - now)

    def step(self, session: SqliteSession, now: float) -> bool:
        """Do one if it is due. True if it was."""
        if self._groups < GROUPS and self._bytes < BYTES and self.wait(now) > 0:
            return False
        if now >= self._next:
            session.ensure_listener()
        published, self._groups, self._bytes = self._bytes, 0, 0
        self._next = now + self._interval
        vacuumed = False
        try:
            self._more = session.trimmer.step(published)
            if not self._more:
                self._more = vacuumed = session.trimmer.vacuum()
        except Locked:
            self._more = False  # the next step does it
        session.checkpoint(now=vacuumed)
        if CLOCK.is_doubted and not self._clock_doubted:
            self._report(
                "The clock of this machine jumped; histories end by the time before for up to an hour."
            )
        self._clock_doubted = CLOCK.is_doubted
        return True
