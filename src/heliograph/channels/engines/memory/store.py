"""Histories in memory: bounded by size, bytes and age for each channel, and by bytes for all of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from heliograph.channels.engines import quota
from heliograph.channels.engines.names import SortedNames
from heliograph.channels.message import StoredMessage
from heliograph.channels.names import TICKETS
from heliograph.channels.records import Limits

#: What Python needs for a message beside its data, about: more than the databases.
_OVERHEAD = 200

#: How far all messages together may exceed their bound before the largest channels are cut: finding them looks at all channels.
_SLACK = 1.1

#: Messages that one append drops at most because of their age or of other channels, or entries that it looks at: about a
#: millisecond. The next ones do the rest.
AT_ONCE = 1000


@dataclass
class MemoryHistory:
    epoch: str
    top: int = 0
    time: float = 0.0
    messages: deque[StoredMessage] = field(default_factory=deque)
    bytes: int = 0

    @property
    def weight(self) -> int:
        return self.bytes + _OVERHEAD * len(self.messages)

    def after(self, offset: int) -> Iterator[StoredMessage]:
        """The messages above `offset`."""
        first = self.top - len(self.messages) + 1
        return islice(self.messages, max(0, offset + 1 - first), None)


class MemoryHistories:
    """By channel. Trimmed with each append, in parts that delay no other client and are larger than what it adds.

    What a channel has beyond its own bounds goes at once, as reading relies on them. That is one message, but for a long one behind
    very short ones: with a `history_size` of 300,000 it may drop 250,000 empty ones in some 90 ms. With the default of 10,000 it is
    some 4 ms.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.by_channel: dict[str, MemoryHistory] = {}
        self.names = SortedNames()
        self.weight = 0
        self._live = 0
        # All messages in the order in which they came, and some that their channel has dropped already. While `_compact` leaves
        # those out, `_before` has what it kept so far: older messages than those in `_order`.
        self._order: deque[tuple[MemoryHistory, int]] = deque()
        self._before: deque[tuple[MemoryHistory, int]] = deque()
        self._work: Iterator[None] | None = None

    def open(self, name: str, epoch: str) -> MemoryHistory:
        """That of a channel, which may be new."""
        history = self.by_channel.get(name)
        if history is None:
            history = self.by_channel[name] = MemoryHistory(epoch)
            self.names.add(name)
        return history

    def add(self, history: MemoryHistory, message: StoredMessage) -> None:
        """Append a message to a channel's history; then drop some of what is too much or too old."""
        history.messages.append(message)
        history.top, history.time = message.offset, message.time
        self._order.append((history, message.offset))
        self._live += 1
        history.bytes += len(message.data)
        self.weight += len(message.data) + _OVERHEAD
        while len(history.messages) > self._limits.history_size or (
            history.bytes > self._limits.history_bytes and len(history.messages) > 1
        ):
            self._drop(history)
        if not self._expire(message.time):
            return
        if self._work is None:
            if self.weight > self._limits.log_bytes * _SLACK:
                self._work = self._cut_largest()
            elif len(self._order) > 2 * self._live + 1000:
                self._work = self._compact()
        if self._work is not None and sum(1 for _ in islice(self._work, AT_ONCE)) < AT_ONCE:
            self._work = None

    def _expire(self, now: float) -> bool:
        """Drop what is too old. True if that was all of it."""
        for _ in range(AT_ONCE):
            order = self._before or self._order
            if not order:
                return True
            owner, offset = order[0]
            if self._has(owner, offset):
                if owner.messages[0].time >= now - self._limits.history_ttl:
                    return True
                self._drop(owner)
            order.popleft()
        return False

    def _compact(self) -> Iterator[None]:
        """Leave out what channels dropped."""
        while self._order:
            owner, offset = entry = self._order.popleft()
            if self._has(owner, offset):
                self._before.append(entry)
            yield
        self._order, self._before = self._before, self._order

    def _cut_largest(self) -> Iterator[None]:
        """Cut the largest channels to one level, so that all together are within their bound."""
        histories = list(self.by_channel.values())
        excess = self.weight - self._limits.log_bytes
        lowest = quota.level((history.weight for history in histories), excess)
        for history in histories:
            while history.weight > lowest:
                self._drop(history)
                yield

    def clear(self, name: str, epoch: str) -> None:
        """Drop all messages of a channel, which begins anew."""
        history = self.by_channel.get(name)
        if history is not None:
            self.weight -= history.weight
            self._live -= len(history.messages)
            self.by_channel[name] = MemoryHistory(epoch, time=history.time)
            history.messages.clear()

    def forget(self, now: float) -> bool:
        """Forget the channels whose last message is too old. Their names may be given a new epoch only.

        Not that of the tickets, which takes no room.
        """
        oldest = now - self._limits.history_ttl
        ended = [
            name for name, history in self.by_channel.items() if history.time < oldest and name != TICKETS
        ]
        for name in ended:
            del self.by_channel[name]
            self.names.discard(name)
        return bool(ended)

    def _has(self, owner: MemoryHistory, offset: int) -> bool:
        return bool(owner.messages) and owner.messages[0].offset <= offset

    def _drop(self, history: MemoryHistory) -> None:
        message = history.messages.popleft()
        history.bytes -= len(message.data)
        self.weight -= len(message.data) + _OVERHEAD
        self._live -= 1
