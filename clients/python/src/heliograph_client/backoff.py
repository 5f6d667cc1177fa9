"""When to try again: full jitter, so that many who lost the same server do not come back all at once. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds: the bound of the first wait, and of all later ones. Those of Centrifugo's clients.
FIRST, LONGEST = 0.5, 20.0

#: Seconds after which a connection was a good one, and the next wait is short again. A server that ends each connection early,
#: whatever it says before, is left alone for longer and longer.
STABLE = 10.0


class Backoff:
    """`chance` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._attempt = 0

    def wait(self, at_least: float = 0.0) -> float:
        """Seconds until the next attempt. A server that names a time is believed up to LONGEST; the jitter comes on top."""
        bound = min(LONGEST, FIRST * float(1 << min(self._attempt, 16)))
        self._attempt += 1
        return min(LONGEST, at_least) + self._chance() * bound

    def lasted(self, seconds: float) -> None:
        """A subscription has ended after so many seconds."""
        if seconds >= STABLE:
            self._attempt = 0
