"""The interface of the log engines. Everything here is for greenlets on the event loop.

- An engine opens itself at its first use, after the fork, and opens again after a failure. While it is not open, calls raise
  `LogUnavailable`, and `ready()` says why.
- What a call answers is committed: an acknowledged message survives the death of this process.
- A `Notification` is a hint. It may come twice, late or never; the log is the truth. A follower compares its offset with the
  follower's own position (`live/position.py`) and reads what is missing.
- Each channel has one order of its messages, the same for all followers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gevent.event import AsyncResult

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.location import Location
from heliograph.channels.message import Append, Message
from heliograph.channels.presence import PRESENCE_TTL, Changes, Present

#: Seconds that an idempotency key is kept.
KEY_TTL = 600.0

#: Messages and bytes of one page. A page that is full of bytes has fewer messages than were asked for: read on after its last.
MAX_PAGE_MESSAGES, MAX_PAGE_BYTES = 1000, 4 << 20

#: Appends and their bytes that wait for the engine in one process; more are refused at once with `LogOverloaded`. At 10,000 appends
#: a second this is about a second.
MAX_WAITING_APPENDS, MAX_WAITING_BYTES = 10_000, 32 << 20

#: Other calls that wait for the engine in one process: as many as 1,000 clients that resume at once, and some.
MAX_WAITING_CALLS = 4000

#: Seconds between two searches for channels that ended, when the limit of channels is reached. A client that asks for 100,000 new
#: channels must not make each refusal expensive.
FORGET_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits from the settings. `history_ttl` and `presence_ttl` are in seconds."""

    history_size: int = 10_000
    history_ttl: float = 86_400.0
    max_channels: int = 10_000
    presence_ttl: float = PRESENCE_TTL


@dataclass(frozen=True, slots=True)
class Appended:
    """`repeated`: it had been published before under the same idempotency key, and this changed nothing."""

    epoch: str
    offset: int
    time: float
    repeated: bool = False


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
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Notification:
    """The channel's top is `top` now, or higher. `messages` are the newest ones, up to `top`, if the engine has them at hand."""

    channel: str
    epoch: str
    top: int
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    name: str
    epoch: str
    top: int
    subscribers: int


class PresenceStore(ABC):
    """What instances know of each other: subscribers, and tickets that were used. Each call may wait and raise LogUnavailable."""

    @abstractmethod
    def announce(self, changes: Changes) -> bool:
        """Replace what this engine announced for these channels, and extend the life of all of it. `announce({})` is the heartbeat.

        False: this instance was not known any more, so everything has to be announced again.
        """

    @abstractmethod
    def present(self, channel: str) -> Present: ...

    @abstractmethod
    def leave(self) -> None:
        """Take back everything that was announced."""

    @abstractmethod
    def use_once(self, token: str, ttl: float) -> bool:
        """True for the first to use `token`, on any instance, for the next `ttl` seconds."""


class Log(ABC):
    """See the module. `presence` is the same engine's store for presence and tickets."""

    presence: PresenceStore

    @classmethod
    @abstractmethod
    def at(cls, location: Location, limits: Limits) -> Log:
        """The log at a location. Opens nothing before its first call. Raises LocationError."""

    @abstractmethod
    def listen(self, listener: Callable[[Notification], None]) -> None:
        """Call `listener` on the event loop with notifications of followed channels. It must not wait. Once, at the start."""

    @abstractmethod
    def submit(self, append: Append, done: Done) -> None:
        """Append without waiting: `done` is called on the event loop with the outcome and must not wait either.

        Appends to one channel get their offsets in the order of their `submit`.
        """

    def append(self, append: Append) -> Appended:
        """Append and wait. Raises KeyReused, TooManyChannels, LogUnavailable."""
        outcome = self.append_many((append,))[0]
        if isinstance(outcome, ChannelError):
            raise outcome
        return outcome

    def append_many(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append in this order and wait for all of them; one may fail while others do not."""
        outcomes: list[Outcome] = []
        ready: AsyncResult[None] = AsyncResult()

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(appends):
                ready.set(None)

        for append in appends:
            self.submit(append, done)
        if appends:
            ready.get()
        return outcomes

    @abstractmethod
    def read(self, channel: str, after: Cursor | None, limit: int = MAX_PAGE_MESSAGES) -> Page:
        """Messages after a cursor, or from the earliest one. Raises LogUnavailable."""

    @abstractmethod
    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        """Epoch and top of each; an unused channel has top 0. Raises LogUnavailable."""

    @abstractmethod
    def channels(self) -> list[ChannelInfo]:
        """Those that were used or are subscribed to, by name. Raises LogUnavailable."""

    @abstractmethod
    def follow(self, channel: str) -> None:
        """After this returns, notifications of the channel arrive while the engine is available.

        After an interruption there is one in any case.
        """

    @abstractmethod
    def unfollow(self, channel: str) -> None: ...

    @abstractmethod
    def ready(self) -> str:
        """ "ok", or why the log cannot be used now. Never waits."""

    @abstractmethod
    def close(self) -> None:
        """Finish what waits, and release everything. Calls fail from now on."""
