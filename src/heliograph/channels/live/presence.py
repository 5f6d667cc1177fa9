"""Who subscribes at this instance, and announcing it to the others.

One greenlet announces all changes since the last announcement at once, and sends the heartbeat while there are subscribers.
"""

from __future__ import annotations

import logging
import secrets
import time

import gevent
from gevent.event import Event

from heliograph.channels.errors import ChannelError
from heliograph.channels.log import PresenceStore
from heliograph.channels.presence import HEARTBEAT, SubscriberInfo

log = logging.getLogger("heliograph")

#: Seconds from one announcement to the next. The list of a channel is written anew with each change, so when thousands subscribe at
#: once, each announcement has many of them.
ANNOUNCE_INTERVAL = 0.05

#: Seconds until an announcement that failed is made again.
RETRY_INTERVAL = 1.0

#: Seconds that a subscriber waits until it is announced, so that others see it from then on. A log that hangs is no reason to wait
#: longer.
ANNOUNCE_TIMEOUT = 1.0


class LocalPresence:
    def __init__(self, store: PresenceStore, instance: str) -> None:
        self._store, self._instance = store, instance
        self._present: dict[str, dict[str, SubscriberInfo]] = {}
        self._changed: set[str] = set()
        self._wake, self._announced = Event(), Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._is_known = False

    def add(self, channel: str, transport: str) -> SubscriberInfo:
        """Announce a new subscriber, and wait until that is done or takes too long."""
        entry = SubscriberInfo(secrets.token_hex(8), round(time.time(), 6), transport, self._instance)
        self._present.setdefault(channel, {})[entry.id] = entry
        self._mark_changed(channel).wait(ANNOUNCE_TIMEOUT)
        return entry

    def remove(self, channel: str, entry: SubscriberInfo) -> None:
        """Never waits."""
        there = self._present.get(channel, {})
        there.pop(entry.id, None)
        if not there:
            self._present.pop(channel, None)
        self._mark_changed(channel)

    def close(self) -> None:
        """Take back what was announced. Raises LogUnavailable."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
        if self._is_known:
            self._store.leave()

    def _mark_changed(self, channel: str) -> Event:
        """The event that is set once this change was announced, or that has failed."""
        self._changed.add(channel)
        self._wake.set()
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)
        return self._announced

    def _run(self) -> None:
        while True:
            self._wake.wait(HEARTBEAT if self._present else None)
            self._wake.clear()
            changed, self._changed = self._changed, set()
            announced, self._announced = self._announced, Event()
            succeeded = self._try_to_announce(changed)
            if not succeeded:
                self._changed |= changed
                self._wake.set()
            announced.set()
            gevent.sleep(ANNOUNCE_INTERVAL if succeeded else RETRY_INTERVAL)

    def _try_to_announce(self, changed: set[str]) -> bool:
        try:
            self._announce(changed)
            return True
        except ChannelError as exc:
            log.debug("presence could not be announced: %s", exc)
        except Exception:
            log.exception("presence could not be announced")
        return False

    def _announce(self, changed: set[str]) -> None:
        if (
            not self._store.announce({channel: self._subscribers(channel) for channel in changed})
            and self._is_known
        ):
            self._store.announce({channel: self._subscribers(channel) for channel in self._present})
        self._is_known = True

    def _subscribers(self, channel: str) -> list[SubscriberInfo]:
        return list(self._present.get(channel, {}).values())
