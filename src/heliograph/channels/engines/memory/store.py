"""MemoryHistories in memory: bounded by size and age for each channel, and by bytes for all of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from heliograph.channels.message import Message
from heliograph.channels.records import Limits

#: Bytes of all messages in memory. A process that keeps its log in memory should stay far below what a small machine has.
MAX_BYTES = 256 << 20

#: What Python needs for a message beside its data, about.
_OVERHEAD = 200


@dataclass
class MemoryHistory:
    epoch: str
    top: int = 0
    time: float = 0.0
    messages: deque[Message] = field(default_factory=deque)

    def after(self, offset: int) -> Iterator[Message]:
        """The messages above `offset`."""
        first = self.top - len(self.messages) + 1
        return islice(self.messages, max(0, offset + 1 - first), None)


class MemoryHistories:
    """By channel. Trimmed with each append, so that it never grows by more than one message beyond its bounds."""

    def __init__(self, limits: Limits, max_bytes: int = MAX_BYTES) -> None:
        self._limits, self._max_bytes = limits, max_bytes
        self.by_channel: dict[str, MemoryHistory] = {}
        self.bytes = 0
        self._live = 0
        # All messages in the order in which they came, and some that their channel has dropped already.
        self._order: deque[tuple[MemoryHistory, int]] = deque()

    def add(self, history: MemoryHistory, message: Message) -> None:
        """Append a message to a channel's history; then drop what is too much or too old."""
        history.messages.append(message)
        history.top, history.time = message.offset, message.time
        self._order.append((history, message.offset))
        self._live += 1
        self.bytes += _size(message)
        while len(history.messages) > self._limits.history_size:
            self._drop(history)
        self.expire(message.time)
        if len(self._order) > 2 * self._live + 1000:
            self._order = deque((owner, offset) for owner, offset in self._order if self._has(owner, offset))

    def expire(self, now: float) -> None:
        """Drop what is too old, and the oldest while there are too many bytes."""
        while self._order:
            owner, offset = self._order[0]
            if self._has(owner, offset):
                old = owner.messages[0].time < now - self._limits.history_ttl
                if not old and self.bytes <= self._max_bytes:
                    return
                self._drop(owner)
            self._order.popleft()

    def forget(self, now: float) -> bool:
        """Forget the channels whose last message is too old. Their names may be given a new epoch only."""
        self.expire(now)
        ended = [
            name
            for name, history in self.by_channel.items()
            if not history.messages and history.time < now - self._limits.history_ttl
        ]
        for name in ended:
            del self.by_channel[name]
        return bool(ended)

    def _has(self, owner: MemoryHistory, offset: int) -> bool:
        return bool(owner.messages) and owner.messages[0].offset <= offset

    def _drop(self, history: MemoryHistory) -> None:
        self._live -= 1
        self.bytes -= _size(history.messages.popleft())


def _size(message: Message) -> int:
    return len(message.data) + _OVERHEAD
