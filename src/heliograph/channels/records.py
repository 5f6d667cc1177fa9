"""What an engine is given and gives: limits, pages, outcomes, notifications. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.message import StoredMessage
from heliograph.channels.presence import PRESENCE_TTL

#: Seconds that an idempotency key is kept.
KEY_TTL = 600.0

#: Messages and bytes of one page. A page that is full of bytes has fewer messages than were asked for: read on after its last.
MAX_PAGE_MESSAGES, MAX_PAGE_BYTES = 1000, 4 << 20

#: Channels of one page of their list.
MAX_PAGE_CHANNELS = 1000

#: Appends and their bytes that wait for the engine in one process; more are refused at once with `LogOverloaded`. At 10,000 appends
#: a second this is about a second.
MAX_WAITING_APPENDS, MAX_WAITING_BYTES = 10_000, 32 << 20

#: Other calls that wait for the engine in one process: as many as 1,000 clients that resume at once, and some.
MAX_WAITING_CALLS = 4000

#: Seconds between two looks at the size of the whole log. Meanwhile it may exceed its bound by what is published.
LOG_BYTES_INTERVAL = 10.0

#: Seconds between two searches for channels that ended, when the limit of channels is reached. A client that asks for 100,000 new
#: channels must not make each refusal expensive.
FORGET_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits from the settings. `history_ttl`, `presence_ttl` and `check_interval` are in seconds.

    `history_bytes` are those of the messages of a channel; its newest message is kept in any case. `log_bytes` counts what a
    message needs beside its data, too (`engines/quota.py`), so that empty messages have a bound as well.
    """

    history_size: int = 10_000
    history_ttl: float = 86_400.0
    history_bytes: int = 16 << 20
    log_bytes: int = 1 << 30
    max_channels: int = 10_000
    presence_ttl: float = PRESENCE_TTL
    check_interval: float = LOG_BYTES_INTERVAL


@dataclass(frozen=True, slots=True)
class Appended:
    """`repeated`: it had been published before under the same idempotency key, and this changed nothing."""

    epoch: str
    offset: int
    time: float
    repeated: bool = False

    @property
    def cursor(self) -> Cursor:
        """Everything up to this message."""
        return Cursor(self.epoch, self.offset)


#: The result of an append.
Outcome = Appended | ChannelError
Done = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Page:
    """Messages after a cursor, oldest first. Not `recovered`: the cursor's epoch is another one, its offset is in the future, or
    what follows it is gone; then there are no messages. If the last message is not the top, there is more to read.
    """

    epoch: str
    top: int
    recovered: bool
    messages: tuple[StoredMessage, ...]


@dataclass(frozen=True, slots=True)
class Notification:
    """The channel's top is `top` now, or higher. `messages` are the newest ones, up to `top`, if the engine has them at hand."""

    channel: str
    epoch: str
    top: int
    messages: tuple[StoredMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelPage:
    """Which channels are asked for: those that begin with `prefix` and come after the name `after`; at most `limit`, by name."""

    prefix: str = ""
    after: str = ""
    limit: int = MAX_PAGE_CHANNELS

    @property
    def end(self) -> str:
        """All names with the prefix come before this text: the characters of names do."""
        return f"{self.prefix}\x7f"


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    name: str
    epoch: str
    top: int
    subscribers: int
