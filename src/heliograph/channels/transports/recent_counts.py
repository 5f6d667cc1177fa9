"""How often each client did something lately. Pure: `now` is an argument."""

from __future__ import annotations

from collections import Counter, deque

#: Parts of the time. What happened is forgotten a part at a time, so at most a tenth late.
PARTS = 10


class RecentCounts:
    """Each client may do something `most` times within `seconds`. For what has a bound in all, which bounds this, too."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self._seconds = seconds
        self._parts: deque[tuple[float, Counter[str]]] = deque()
        self._counts: Counter[str] = Counter()

    def take(self, client: str, now: float) -> bool:
        """Whether `client` may do it once more."""
        self._forget(now)
        if self._counts[client] >= self.most:
            return False
        if not self._parts or now >= self._parts[-1][0] + self._seconds / PARTS:
            self._parts.append((now, Counter()))
        self._parts[-1][1][client] += 1
        self._counts[client] += 1
        return True

    def _forget(self, now: float) -> None:
        while self._parts and now >= self._parts[0][0] + self._seconds * (1 + 1 / PARTS):
            _, part = self._parts.popleft()
            self._counts -= part
