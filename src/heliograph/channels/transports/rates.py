"""How often one connection may publish: a token bucket. Pure: `now` is an argument."""

from __future__ import annotations


class TokenBucket:
    """`rate` tokens a second, at most those of one second at once; 0: no limit."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: int, now: float) -> None:
        self._rate, self._left, self._at = rate, float(rate), now

    def take(self, now: float) -> bool:
        """Take a token; False when there is none."""
        if not self._rate:
            return True
        self._left = min(float(self._rate), self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
