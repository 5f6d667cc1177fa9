"""Who subscribes at this instance, and telling the others of it.

One greenlet announces what changed, all changes since the last time at once, and the heartbeat while there is anybody.
"""

from __future__ import annotations

import logging
import secrets
import time

import gevent
from gevent.event import Event

from heliograph.channels.errors import ChannelError
from heliograph.channels.log import Shared
from heliograph.channels.presence import HEARTBEAT, Subscriber

log = logging.getLogger("heliograph")

#: Seconds from one announcement to the next. The list of a channel is written anew with each change; when thousands come at once,
#: each announcement has many of them.
PACE = 0.05

#: Seconds until an announcement that failed is made again.
RETRY = 1.0

#: Seconds that a subscriber waits to be announced: who subscribed can be seen from then on. A log that hangs is no reason to wait
#: longer.
PATIENCE = 1.0


class Roster:
    def __init__(self, shared: Shared, instance: str) -> None:
        self._shared, self._instance = shared, instance
        self._present: dict[str, dict[str, Subscriber]] = {}
        self._changed: set[str] = set()
        self._wake, self._announced = Event(), Event()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._is_known = False

    def enter(self, channel: str, transport: str) -> Subscriber:
        """Announce a new subscriber, and wait until that is done or takes too long."""
        subscriber = Subscriber(secrets.token_hex(8), round(time.time(), 6), transport, self._instance)
        self._present.setdefault(channel, {})[subscriber.id] = subscriber
        self._change(channel).wait(PATIENCE)
        return subscriber

    def leave(self, channel: str, subscriber: Subscriber) -> None:
        """Never waits."""
        there = self._present.get(channel, {})
        there.pop(subscriber.id, None)
        if not there:
            self._present.pop(channel, None)
        self._change(channel)

    def close(self) -> None:
        """Take back what was announced. Raises Unavailable."""
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
        if self._is_known:
            self._shared.leave()

    def _change(self, channel: str) -> Event:
        """Set when what is there now has been announced, or that has failed."""
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
            try:
                self._announce(changed)
                pause = PACE
            except ChannelError as exc:
                log.debug("presence could not be announced: %s", exc)
                pause = RETRY
            except Exception:
                log.exception("presence could not be announced")
                pause = RETRY
            if pause is RETRY:
                self._changed |= changed
                self._wake.set()
            announced.set()
            gevent.sleep(pause)

    def _announce(self, changed: set[str]) -> None:
        if (
            not self._shared.announce({channel: self._there(channel) for channel in changed})
            and self._is_known
        ):
            self._shared.announce({channel: self._there(channel) for channel in self._present})
        self._is_known = True

    def _there(self, channel: str) -> list[Subscriber]:
        return list(self._present.get(channel, {}).values())
