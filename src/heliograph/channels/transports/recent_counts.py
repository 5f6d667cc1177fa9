"""How often each client did something lately. Pure: `now` is an argument."""

from __future__ import annotations

from collections import Counter, deque

#: Parts of the time. What happened is forgotten a part at a time, so at most a tenth late.
PARTS = 10

#: Clients whose counts are kept. With more of them at a time, what happened first is forgotten early. Some 140 bytes each, and
#: another 100 for each part of the time in which it did something.
MAX_CLIENTS = 50_000


class RecentCounts:
    """Each client may do something `most` times within `seconds`."""

    def __init__(self, most: int, seconds: float, max_clients: int = MAX_CLIENTS) -> None:
        self.most = most
        self._seconds, self._max_clients = seconds, max_clients
        self._parts: deque[tuple[float, Counter[str]]] = deque()
        self._counts: Counter[str] = Counter()

    def take(self, client: str, now: float) -> bool:
        """Whether `client` may do it once more."""
        self._forget(now)
        if self._counts[client] >= self.most:
            return False
        if len(self._counts) >= self._max_clients and client not in self._counts:
            self._drop_oldest()
        if not self._parts or now >= self._parts[-1][0] + self._seconds / PARTS:
            self._parts.append((now, Counter()))
        self._parts[-1][1][client] += 1
        self._counts[client] += 1
        return True

    def _forget(self, now: float) -> None:
        while self._parts and now >= self._parts[0][0] + self._seconds * (1 + 1 / PARTS):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, part = self._parts.popleft()
        self._counts -= part
