"""When to try again: full jitter, so that many clients of a lost server do not all reconnect at once. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds: the bound of the first wait, and of all later ones. Those of Centrifugo's clients.
FIRST, LONGEST = 0.5, 20.0

#: Seconds after which a connection counts as stable, and the next wait is short again. For a server that ends each
#: connection early the waits grow, whatever it sends before.
STABLE = 10.0


class Backoff:
    """`chance` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._attempt = 0

    def wait(self, at_least: float = 0.0) -> float:
        """Seconds until the next attempt. A time that the server names counts up to LONGEST; the jitter is added to it."""
        bound = min(LONGEST, FIRST * float(1 << min(self._attempt, 16)))
        self._attempt += 1
        return min(LONGEST, at_least) + self._chance() * bound

    def lasted(self, seconds: float) -> None:
        """A subscription has ended after so many seconds."""
        if seconds >= STABLE:
            self._attempt = 0
