"""The hub: what all subscribers and publishers of this process share.

One subscription to the log for each channel that anybody here follows, an audience (`audience.py`) that its messages are passed on
to, the roster of who is there, and a look at the tops from time to time, so that a hint that was lost does no harm.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import gevent
from gevent.event import Event as Signal

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError, Overloaded, TooManyChannels
from heliograph.channels.live.catching_up import catch_up
from heliograph.channels.live.events import Event
from heliograph.channels.live.pages import Pages
from heliograph.channels.live.position import Position
from heliograph.channels.live.presence import Roster
from heliograph.channels.live.start import Start
from heliograph.channels.live.subscriber import Member
from heliograph.channels.live.subscribers import Audience, Counts
from heliograph.channels.log import Log, News

log = logging.getLogger("heliograph")

#: Subscribers of one process: about as many as it takes connections.
MAX_SUBSCRIBERS = 20_000

#: Seconds between two looks at the tops of all channels that are followed, and how many are asked for at once.
CHECK_INTERVAL, CHECKED_AT_ONCE = 5.0, 500

#: Seconds that the log may take to open, for who asks whether it is ready.
OPENING = 1.0

#: Seconds for the goodbye to the log when the process ends.
FAREWELL = 2.0


class Hub:
    """`max_channels`: so many channels may be followed at once."""

    def __init__(self, source: Log, instance: str, max_channels: int, counts: Counts) -> None:
        self.log = source
        self._max_channels, self._counts = max_channels, counts
        self._audiences: dict[str, Audience] = {}
        self._roster = Roster(source.shared, instance)
        self._pages = Pages(source)
        self._endings: set[Callable[[], None]] = set()
        self._subscribers = self._closing = 0
        self._checker: gevent.Greenlet[[], None] | None = None
        source.listen(self._hear)

    def probe(self, channel: str) -> Cursor:
        """The top. Raises what a subscription would be refused with now: Unavailable, Overloaded, TooManyChannels."""
        self._check_room(channel)
        return self.log.tops((channel,))[channel]

    @contextlib.contextmanager
    def subscribed(
        self, channel: str, transport: str, member: Member, start: Start
    ) -> Iterator[Iterator[Event]]:
        """A subscription that lasts as long as the context. Raises like `probe`.

        Gives what the member has to be told until it has caught up, see `catching_up.catch_up`.
        """
        audience = self._enter(channel)
        subscriber = None
        try:
            audience.opened.get()
            self._counts.subscribers(transport, 1)
            subscriber = self._roster.enter(channel, transport)
            with contextlib.closing(catch_up(audience, member, start, self._pages)) as events:  # type: ignore[type-var]
                yield events
        finally:
            if subscriber is not None:
                self._roster.leave(channel, subscriber)
                self._counts.subscribers(transport, -1)
            audience.dismiss(member)
            self._leave(audience)

    def ready(self) -> str:
        """ "ok", or why the log cannot be used. Waits a moment for a log that is just being opened."""
        if self.log.ready() != "ok":
            with gevent.Timeout(OPENING, False), contextlib.suppress(ChannelError):  # type: ignore[arg-type]
                self.log.tops(())
        return self.log.ready()

    # The end.

    def on_stop(self, end: Callable[[], None]) -> Callable[[], None]:
        """Have `end` called when this process begins to stop; what is returned takes that back."""
        self._endings.add(end)
        return lambda: self._endings.discard(end)

    def stop(self) -> None:
        """Shutdown has begun: let streams end. Never waits."""
        for end in list(self._endings):
            end()

    def close(self) -> None:
        """The last call: take leave of the other instances and close the log."""
        if self._checker is not None:
            self._checker.kill()
        with gevent.Timeout(FAREWELL, False):  # type: ignore[arg-type]
            for audience in list(self._audiences.values()):
                if audience.closed is not None:
                    audience.closed.wait()
            try:
                self._roster.close()
            except ChannelError as exc:
                log.warning("who subscribed here is forgotten by the others later: %s", exc)
            self.log.close()

    # Audiences.

    def _hear(self, news: News) -> None:
        audience = self._audiences.get(news.channel)
        if audience is not None:
            audience.hear(news)

    def _check_room(self, channel: str) -> None:
        if self._subscribers >= MAX_SUBSCRIBERS:
            raise Overloaded(f"This instance has {MAX_SUBSCRIBERS} subscribers, and takes no more.")
        if channel not in self._audiences and len(self._audiences) - self._closing >= self._max_channels:
            raise TooManyChannels("As many channels are subscribed to as are allowed.")

    def _enter(self, channel: str) -> Audience:
        """The audience of a channel with one user more. Raises what opening it raises."""
        while (audience := self._audiences.get(channel)) is not None and audience.closed is not None:
            audience.closed.wait()
        self._check_room(channel)
        self._subscribers += 1
        if audience is not None:
            audience.users += 1
            return audience
        audience = self._audiences[channel] = Audience(channel, self.log, self._counts)
        audience.users += 1
        if self._checker is None:
            self._checker = gevent.spawn(self._check)
        gevent.spawn(self._open, audience)
        return audience

    def _open(self, audience: Audience) -> None:
        with contextlib.suppress(ChannelError):  # whoever waits for it is told
            audience.open()

    def _leave(self, audience: Audience) -> None:
        self._subscribers -= 1
        audience.users -= 1
        if not audience.users:
            self._closing += 1
            audience.closed = Signal()
            gevent.spawn(self._close, audience, audience.closed)

    def _close(self, audience: Audience, closed: Any) -> None:
        """Nobody else may follow the channel before it is not followed any more."""
        try:
            self.log.unfollow(audience.channel)
        except ChannelError as exc:
            log.debug("a channel could not be left: %s", exc)
        finally:
            self._closing -= 1
            del self._audiences[audience.channel]
            closed.set()

    # Looking whether anything was missed.

    def _check(self) -> None:
        while True:
            gevent.sleep(CHECK_INTERVAL)
            names = iter(list(self._audiences))
            while some := list(islice(names, CHECKED_AT_ONCE)):
                try:
                    self._compare(some)
                except ChannelError as exc:
                    log.debug("the positions could not be checked: %s", exc)
                except Exception:
                    log.exception("the positions could not be checked")

    def _compare(self, channels: list[str]) -> None:
        """Have those audiences look again whose position was not the channel's top, and did not move meanwhile."""
        before = {name: audience.position for name in channels if (audience := self._audiences.get(name))}
        for name, top in self.log.tops(before).items():
            audience = self._audiences.get(name)
            if audience is not None and audience.position == before[name] != Position(top.epoch, top.offset):
                audience.look()
