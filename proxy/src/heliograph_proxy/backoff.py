"""When to try again: full jitter, so that clients that lost the same server do not come back all at once. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: Seconds: the bound of the first wait, and of all later ones.
FIRST: Final = 0.1
LONGEST: Final = 5.0

#: 2 to this power times FIRST is far above LONGEST; without it the number would grow with each attempt.
_MAX_DOUBLINGS: Final = 16


def delay(attempt: int, chance: Callable[[], float]) -> float:
    """Seconds to wait before `attempt` (from 0); `chance` gives numbers from 0 to 1."""
    return chance() * min(LONGEST, FIRST * float(1 << min(attempt, _MAX_DOUBLINGS)))
