"""How often a client may do something: a token bucket for each client. Pure: `now` is an argument."""

from __future__ import annotations

from collections import OrderedDict

#: Clients whose buckets are kept. A bucket that had time to fill is like a new one and goes first, so only as many clients within
#: a second reach this; then the one that was quiet longest starts anew. Some 200 bytes each.
MAX_CLIENTS = 50_000


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

    def is_full(self, now: float) -> bool:
        return self._left + (now - self._at) * self._rate >= self._rate


class ClientRates:
    """`rate` a second for each client, however many connections it has; 0: no limit."""

    def __init__(self, rate: int, max_clients: int = MAX_CLIENTS) -> None:
        self.rate = rate
        self._max_clients = max_clients
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, client: str, now: float) -> bool:
        """Whether `client` may do it once more now."""
        if not self.rate:
            return True
        bucket = self._buckets.get(client)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[client] = TokenBucket(self.rate, now)
        else:
            self._buckets.move_to_end(client)
        return bucket.take(now)

    def _make_room(self, now: float) -> None:
        """Drop the buckets at the front that are full: at most two for each new one, so that no call takes long."""
        for _ in range(2):
            if not self._buckets:
                return
            quietest = next(iter(self._buckets.values()))
            if not quietest.is_full(now) and len(self._buckets) < self._max_clients:
                return
            self._buckets.popitem(last=False)
