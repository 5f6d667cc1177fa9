"""How many requests are tried again at the same time.

When an instance dies, everything it had in flight wants to go elsewhere in the same moment, and must not
double the load of those that are left. So what exceeds the budget waits until others have an
answer.
"""

from __future__ import annotations

from gevent.event import Event

from heliograph_proxy import retry
from heliograph_proxy.clock import monotonic
from heliograph_proxy.settings import RetrySettings


class RetryBudget:
    """`enter` before another try, `leave` when it has an answer or has failed as well."""

    def __init__(self) -> None:
        self.retrying = 0
        self._left = Event()

    def enter(self, in_flight: int, settings: RetrySettings, seconds: float) -> bool:
        """Whether the request may be tried again; waits at most `seconds` for that."""
        deadline = monotonic() + seconds
        while not retry.within_budget(self.retrying, in_flight, settings):
            remaining = deadline - monotonic()
            if settings.budget <= 0 or remaining <= 0:
                return False
            self._left.clear()
            self._left.wait(remaining)
        self.retrying += 1
        return True

    def leave(self) -> None:
        self.retrying -= 1
        self._left.set()
