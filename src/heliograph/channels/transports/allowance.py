"""How many channels a client may make in a day. Pure: `now` is an argument.

A channel is made by the first message or the first subscriber, and then counts
for all: the log keeps its name for a day by default.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict

from heliograph.settings import DAY

#: The part of all channels that one client may make in a day.
SHARE = 10

#: Channels whose maker is remembered, where fewer channels than that may exist. Some 200 bytes each.
LEAST_REMEMBERED = 10_000

#: Entries that one call drops at most, so that none takes long.
DROPPED_AT_ONCE = 100


class ChannelAllowance:
    """Which channels each client made in the last day. A channel that it makes anew within the day counts once."""

    def __init__(self, max_channels: int) -> None:
        self.share = max(1, max_channels // SHARE)
        self._size = max(max_channels, LEAST_REMEMBERED)
        self._made: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._counts: defaultdict[str, int] = defaultdict(int)

    def may_make(self, client: str, channel: str, now: float) -> bool:
        self._expire(now)
        return (client, channel) in self._made or self._counts.get(client, 0) < self.share

    def charge(self, client: str, channel: str, now: float) -> bool:
        """Count a channel that `client` is about to make. False: it was counted before."""
        if (client, channel) in self._made:
            return False
        self._made[client, channel] = now
        self._counts[client] += 1
        if len(self._made) > self._size:
            self.refund(*next(iter(self._made)))
        return True

    def refund(self, client: str, channel: str) -> None:
        """The channel was not made after all."""
        if self._made.pop((client, channel), None) is None:
            return
        self._counts[client] -= 1
        if not self._counts[client]:
            del self._counts[client]

    def _expire(self, now: float) -> None:
        for _ in range(DROPPED_AT_ONCE):
            oldest = next(iter(self._made.items()), None)
            if oldest is None or oldest[1] > now - DAY:
                return
            self.refund(*oldest[0])


class RecentNames:
    """Names of channels that existed a moment ago, so that most messages need no look at the log."""

    def __init__(self, size: int, seconds: float) -> None:
        self._size, self._seconds = size, seconds
        self._until: OrderedDict[str, float] = OrderedDict()

    def has(self, name: str, now: float) -> bool:
        until = self._until.get(name)
        return until is not None and now < until

    def add(self, name: str, now: float) -> None:
        self._until[name] = now + self._seconds
        self._until.move_to_end(name)
        if len(self._until) > self._size:
            self._until.popitem(last=False)
