"""What a subscriber is told, in the order in which it happens. Pure.

An event is one object for all who get it, and remembers its encodings: whatever the number of subscribers, it is encoded once for
each form (`transports/forms.py`) in which they take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from heliograph.channels.cursor import Cursor
from heliograph.channels.message import StoredMessage

T = TypeVar("T")

#: Messages and bytes of a batch: what a subscriber is sent in one piece. Encoding one must not delay others, and a batch must be
#: small beside the 1 MiB that may wait for a subscriber.
MAX_BATCH_MESSAGES, MAX_BATCH_BYTES = 100, 64 << 10


class Event:
    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._made: dict[object, object] = {}

    def made(self, make: Callable[[Event], T]) -> T:
        """The result of `make`, which is called once for this event and must always give the same."""
        found = self._made.get(make)
        if found is None:
            found = self._made[make] = make(self)
        return found  # type: ignore[return-value]


class Form(Protocol):
    """How a kind of subscriber takes events: a function to bytes that can be sent as they are."""

    def __call__(self, event: Event) -> bytes: ...


class Subscribed(Event):
    """The stream begins after `at`. `recovered`: whether that is the start that was asked for; None if none was."""

    def __init__(self, channel: str, at: Cursor, recovered: bool | None) -> None:
        super().__init__(channel)
        self.cursor, self.recovered = at, recovered


class Lost(Event):
    """Messages after the previous event were lost. The stream goes on after `cursor`."""

    def __init__(self, channel: str, at: Cursor) -> None:
        super().__init__(channel)
        self.cursor = at
        self.epoch, self.offset = at.epoch, at.offset

    def __repr__(self) -> str:
        return f"Lost(channel={self.channel!r}, cursor={self.cursor!r})"


class Batch(Event):
    """Messages without a gap, in their order; at least one."""

    def __init__(self, channel: str, epoch: str, messages: Sequence[StoredMessage]) -> None:
        super().__init__(channel)
        self.epoch, self.messages = epoch, messages

    @property
    def end(self) -> Cursor:
        return Cursor(self.epoch, self.messages[-1].offset)

    def cursor(self, message: StoredMessage) -> Cursor:
        return Cursor(self.epoch, message.offset)


def batches(channel: str, epoch: str, messages: Iterable[StoredMessage]) -> Iterator[Batch]:
    """Messages in batches of bounded size."""
    batch: list[StoredMessage] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == MAX_BATCH_MESSAGES or size + len(message.data) > MAX_BATCH_BYTES):
            yield Batch(channel, epoch, batch)
            batch, size = [], 0
        batch.append(message)
        size += len(message.data)
    if batch:
        yield Batch(channel, epoch, batch)
