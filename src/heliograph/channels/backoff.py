"""When to try again: full jitter, so that many who lost the same server do not come back all at once. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds: the bound of the first wait, and of all later ones.
FIRST, LONGEST = 0.1, 5.0


def delay(attempt: int, chance: Callable[[], float]) -> float:
    """Seconds to wait before `attempt` (from 0); `chance` gives numbers from 0 to 1."""
    return chance() * min(LONGEST, FIRST * float(1 << min(attempt, 16)))
