"""The hub: what all subscribers and publishers of this process share.

For each channel that has subscribers here, one subscription to the log and one `Subscribers`, to which its messages are passed on;
the presence of this instance; and a regular check of all tops, so that a lost notification does no harm.
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
from heliograph.channels.errors import ChannelError, LogOverloaded, TooManyChannels
from heliograph.channels.live.catching_up import catch_up
from heliograph.channels.live.events import Event
from heliograph.channels.live.pages import Pages
from heliograph.channels.live.presence import LocalPresence
from heliograph.channels.live.start import Start
from heliograph.channels.live.subscriber import Subscriber
from heliograph.channels.live.subscribers import DeliveryCounts, Subscribers
from heliograph.channels.log import Log
from heliograph.channels.names import TICKETS
from heliograph.channels.records import Notification

log = logging.getLogger("heliograph")

#: Subscribers of one process: about as many as it takes connections.
MAX_SUBSCRIBERS = 20_000

#: Seconds between two checks of the tops of all followed channels, and how many are asked for at once.
CHECK_INTERVAL, CHECK_BATCH = 5.0, 500

#: Seconds for withdrawing the presence and closing the log when the process ends.
CLOSE_TIMEOUT = 2.0


class Hub:
    """`max_channels`: how many channels may be followed at once."""

    def __init__(self, source: Log, instance: str, max_channels: int, counts: DeliveryCounts) -> None:
        self.log = source
        self._max_channels, self._counts = max_channels, counts
        self._channels: dict[str, Subscribers] = {}
        self._presence = LocalPresence(source.presence, instance)
        self._pages = Pages(source)
        self._on_stop: set[Callable[[], None]] = set()
        self._subscriber_count = self._closing = 0
        self._checker: gevent.Greenlet[[], None] | None = None
        source.listen(self._on_notification)

    def follows(self, channel: str) -> bool:
        """Whether it has subscribers at this process."""
        return channel in self._channels

    def probe(self, channel: str) -> Cursor:
        """The top. Raises what a subscription would be refused with now: LogUnavailable, LogOverloaded, TooManyChannels."""
        self._check_room(channel)
        return self.log.tops((channel,))[channel]

    @contextlib.contextmanager
    def subscribed(
        self, channel: str, transport: str | None, subscriber: Subscriber, start: Start
    ) -> Iterator[Iterator[Event]]:
        """A subscription that lasts as long as the context. Raises like `probe`.

        Without a transport it is the service's own, which is neither counted nor announced. Gives what the subscriber has to be
        told until it has caught up, see `catching_up.catch_up`.
        """
        subscribers = self._acquire(channel)
        entry = None
        try:
            subscribers.opened.get()
            if transport is not None:
                self._counts.subscribers(transport, 1)
                entry = self._presence.add(channel, transport)
            with contextlib.closing(catch_up(subscribers, subscriber, start, self._pages)) as events:  # type: ignore[type-var]
                yield events
        finally:
            if entry is not None:
                self._presence.remove(channel, entry)
                self._counts.subscribers(entry.transport, -1)
            subscribers.remove(subscriber)
            self._release(subscribers)

    def remove_history(self, channel: str) -> None:
        """Tell subscribers of this process at once, those of others at the latest when positions are compared.

        Raises LogUnavailable.
        """
        top = self.log.remove(channel)
        self._pages.drop(channel)
        self._on_notification(Notification(channel, top.epoch, top.offset))

    def ready(self) -> str:
        """ "ok", or why the log does not take messages. See `Log.check`."""
        return self.log.check()

    # The end.

    def on_stop(self, end: Callable[[], None]) -> Callable[[], None]:
        """Call `end` when this process begins to stop; the function returned cancels that."""
        self._on_stop.add(end)
        return lambda: self._on_stop.discard(end)

    def stop(self) -> None:
        """Shutdown has begun: let streams end. Never waits."""
        for end in list(self._on_stop):
            end()

    def close(self) -> None:
        """The last call: withdraw the presence of this instance and close the log."""
        if self._checker is not None:
            self._checker.kill()
        with gevent.Timeout(CLOSE_TIMEOUT, False):  # type: ignore[arg-type]
            for subscribers in list(self._channels.values()):
                if subscribers.closed is not None:
                    subscribers.closed.wait()
            try:
                self._presence.close()
            except ChannelError as exc:
                log.warning("the presence of this instance was not withdrawn and expires later: %s", exc)
            self.log.close()

    # Channels.

    def _on_notification(self, notification: Notification) -> None:
        subscribers = self._channels.get(notification.channel)
        if subscribers is not None:
            subscribers.on_notification(notification)

    def _check_room(self, channel: str) -> None:
        if self._subscriber_count >= MAX_SUBSCRIBERS:
            raise LogOverloaded(f"This instance has {MAX_SUBSCRIBERS} subscribers, which is the limit.")
        followed = len(self._channels) - self._closing - (TICKETS in self._channels)
        if channel not in self._channels and channel != TICKETS and followed >= self._max_channels:
            raise TooManyChannels(
                "As many channels as HELIOGRAPH_MAX_CHANNELS allows have subscribers on this instance."
            )

    def _acquire(self, channel: str) -> Subscribers:
        """The subscribers of a channel with one user more. Raises what opening it raises."""
        while (subscribers := self._channels.get(channel)) is not None and subscribers.closed is not None:
            subscribers.closed.wait()
        self._check_room(channel)
        self._subscriber_count += 1
        if subscribers is not None:
            subscribers.users += 1
            return subscribers
        subscribers = self._channels[channel] = Subscribers(channel, self.log, self._counts)
        subscribers.users += 1
        if self._checker is None:
            self._checker = gevent.spawn(self._check)
        gevent.spawn(self._open, subscribers)
        return subscribers

    def _open(self, subscribers: Subscribers) -> None:
        with contextlib.suppress(ChannelError):  # those that wait for `opened` get it
            subscribers.open()

    def _release(self, subscribers: Subscribers) -> None:
        self._subscriber_count -= 1
        subscribers.users -= 1
        if not subscribers.users:
            self._closing += 1
            subscribers.closed = Signal()
            gevent.spawn(self._close, subscribers, subscribers.closed)

    def _close(self, subscribers: Subscribers, closed: Any) -> None:
        """The channel may be followed again only when it is not followed any more."""
        try:
            self.log.unfollow(subscribers.channel)
        except ChannelError as exc:
            log.debug("a channel could not be unfollowed: %s", exc)
        finally:
            self._closing -= 1
            del self._channels[subscribers.channel]
            closed.set()

    # Checking whether a notification was lost.

    def _check(self) -> None:
        while True:
            gevent.sleep(CHECK_INTERVAL)
            names = iter(list(self._channels))
            while some := list(islice(names, CHECK_BATCH)):
                try:
                    self._compare(some)
                except ChannelError as exc:
                    log.debug("the positions could not be checked: %s", exc)
                except Exception:
                    log.exception("the positions could not be checked")

    def _compare(self, channels: list[str]) -> None:
        """Read the log for the channels whose position was not the top and did not move meanwhile."""
        before = {
            name: subscribers.position for name in channels if (subscribers := self._channels.get(name))
        }
        for name, top in self.log.tops(before).items():
            subscribers = self._channels.get(name)
            if subscribers is not None and subscribers.position == before[name] != top:
                subscribers.check_log()
