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

from gevent.event import AsyncResult

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.location import Location
from heliograph.channels.message import Append
from heliograph.channels.presence import Changes, Present
from heliograph.channels.readiness import ReadinessCheck
from heliograph.channels.records import (
    MAX_PAGE_MESSAGES,
    Appended,
    ChannelInfo,
    ChannelPage,
    Done,
    Limits,
    Notification,
    Outcome,
    Page,
)
from heliograph.channels.trim_watch import TrimWatch

#: The first page of all channels.
FIRST_CHANNELS = ChannelPage()


class PresenceStore(ABC):
    """What instances know of each other: subscribers, and tickets that were used. Each call may wait and raise LogUnavailable."""

    #: Tickets that are remembered at most, where there is a bound.
    max_tickets: int | None = None

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

    #: Idempotency keys that are remembered at most, where there is a bound.
    max_keys: int | None = None

    def __init__(self) -> None:
        self._readiness = ReadinessCheck(self.probe)
        self.trim_watch = TrimWatch()

    def check(self) -> str:
        """ "ok", or why a message would not be taken now: from the engine itself, at most a second old.

        Waits half a second at most.
        """
        return self._readiness()

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
    def remove(self, channel: str) -> Cursor:
        """Remove all messages: the channel begins anew, with another epoch. Gives its top. Raises LogUnavailable.

        Followers elsewhere find it at the latest when they compare positions; an engine may notify them sooner.
        """

    @abstractmethod
    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        """Epoch and top of each; an unused channel has top 0. Raises LogUnavailable."""

    @abstractmethod
    def channels(self, wanted: ChannelPage = FIRST_CHANNELS) -> list[ChannelInfo]:
        """A page of those that were used or are subscribed to, by name. Fewer than its limit: it is the last one.

        Raises LogUnavailable.
        """

    @abstractmethod
    def follow(self, channel: str) -> None:
        """After this returns, notifications of the channel arrive while the engine is available.

        After an interruption there is one in any case.
        """

    @abstractmethod
    def unfollow(self, channel: str) -> None: ...

    @abstractmethod
    def ready(self) -> str:
        """ "ok", or why the log cannot be used now, as far as that is known. Never waits."""

    @abstractmethod
    def probe(self) -> str:
        """Ask the engine whether it takes messages. "ok", or why not. For `check`: may wait, and raise LogUnavailable."""

    @property
    def reconnects(self) -> int:
        """How many times a connection, or the file, was opened again."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Finish what waits, and release everything. Calls fail from now on."""
