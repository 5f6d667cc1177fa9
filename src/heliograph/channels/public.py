"""Messages as application code gives and gets them: Python values. Pure.

A `str` is published as text, `bytes` as bytes, anything else as JSON; what is read is the same again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from heliograph.channels.cursor import Cursor, parse_cursor
from heliograph.channels.live.start import From, Start, parse_start
from heliograph.channels.message import Append, Kind, StoredMessage, new_append
from heliograph.channels.records import Page


@dataclass(frozen=True, slots=True)
class Message:
    """`time` is in seconds since 1970; `data` is the JSON value, a `str` or `bytes`."""

    channel: str
    epoch: str
    offset: int
    time: float
    data: Any

    @property
    def cursor(self) -> Cursor:
        """Everything up to this message: where another subscription goes on."""
        return Cursor(self.epoch, self.offset)


@dataclass(frozen=True, slots=True)
class History:
    """Messages of a channel, oldest first. Not `recovered`: what followed the cursor is no longer there, and there are none."""

    channel: str
    epoch: str
    top: int
    recovered: bool
    messages: tuple[Message, ...]

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)


def append_of(channel: str, data: object, key: str | None) -> Append:
    """Raises InvalidName, MessageTooLong; TypeError, ValueError for what is not JSON; ValueError for a bad key."""
    kind, content = _content(data)
    return new_append(channel, kind, content, key=key)


def message_of(channel: str, epoch: str, stored: StoredMessage) -> Message:
    return Message(channel, epoch, stored.offset, stored.time, _data(stored))


def history_of(channel: str, page: Page) -> History:
    messages = tuple(message_of(channel, page.epoch, stored) for stored in page.messages)
    return History(channel, page.epoch, page.top, page.recovered, messages)


def cursor_of(after: str | Cursor | None) -> Cursor | None:
    """None: from the earliest message. Raises InvalidCursor."""
    if after is None or after == "earliest" or isinstance(after, Cursor):
        return after if isinstance(after, Cursor) else None
    return parse_cursor(after)


def start_of(after: str | Cursor | None) -> Start:
    """None: live only. Raises InvalidCursor."""
    return after if isinstance(after, Cursor | From) else parse_start(after)


def _content(data: object) -> tuple[Kind, bytes]:
    if isinstance(data, bytes | bytearray | memoryview):
        return Kind.BYTES, bytes(data)
    try:
        if isinstance(data, str):
            return Kind.TEXT, data.encode()
        return Kind.JSON, json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can say that, UTF-8 cannot
        return Kind.JSON, json.dumps(data, allow_nan=False).encode()


def _data(stored: StoredMessage) -> Any:
    if stored.kind is Kind.BYTES:
        return stored.data
    return stored.data.decode() if stored.kind is Kind.TEXT else json.loads(stored.data)
