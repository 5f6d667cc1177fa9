"""A subscriber as the hub will be: it passes messages on in order, reads what is missing, and says when history was lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gevent
from gevent.queue import Queue

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import open_log
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.live.position import Arrival, classify
from heliograph.channels.location import parse_location
from heliograph.channels.log import Log
from heliograph.channels.message import Kind, StoredMessage, new_append
from heliograph.channels.records import Appended, Limits, Notification


@contextmanager
def opened(url: str, limits: Limits | None = None, count: int = 1) -> Iterator[list[Log]]:
    """So many instances on one log; memory:// has only one."""
    logs = [
        open_log(parse_location(url), limits or Limits()) for _ in range(1 if url == "memory://" else count)
    ]
    try:
        yield [logs[index % len(logs)] for index in range(count)]
    finally:
        for log in logs:
            log.close()


def publish(log: Log, text: str, channel: str = "a", key: str | None = None) -> Appended:
    return log.append(new_append(channel, Kind.TEXT, text.encode(), key=key))


def texts(messages: tuple[StoredMessage, ...] | list[StoredMessage]) -> list[str]:
    return [message.data.decode() for message in messages]


class Follower:
    """Follows a channel from its top on. `lost` counts the notices that history was lost."""

    def __init__(self, log: Log, channel: str = "a") -> None:
        self.messages: list[StoredMessage] = []
        self.lost = 0
        self._log, self._channel = log, channel
        self._notification: Queue[Notification] = Queue()
        log.listen(self._notification.put)
        log.follow(channel)
        top = log.tops([channel])[channel]
        self.position = top
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            notification = self._notification.get()
            if notification.channel != self._channel:
                continue
            arrival, messages = classify(self.position, notification)
            if arrival in (Arrival.GAP, Arrival.LOST):
                self._catch_up()
            else:
                self._pass(messages)

    def _pass(self, messages: object) -> None:
        for message in messages:  # type: ignore[attr-defined]
            assert message.offset == self.position.offset + 1, "the order is broken"
            self.messages.append(message)
            self.position = Cursor(self.position.epoch, message.offset)

    def _catch_up(self) -> None:
        while True:
            try:
                page = self._log.read(self._channel, self.position)
            except LogUnavailable:
                gevent.sleep(0.05)
                continue
            if not page.recovered:
                self.lost += 1
                self.position = Cursor(page.epoch, page.top)
                return
            self._pass(page.messages)
            if self.position.offset >= page.top:
                return

    def until(self, count: int, patience: float = 30.0) -> list[StoredMessage]:
        """The messages, once there are so many."""
        with gevent.Timeout(patience, AssertionError(f"{len(self.messages)} of {count} messages arrived")):
            while len(self.messages) < count:
                gevent.sleep(0.005)
        return self.messages

    def stop(self) -> None:
        self._greenlet.kill()


def eventually(condition: object, what: str, patience: float = 30.0) -> None:
    """Wait until `condition()` is true."""
    with gevent.Timeout(patience, AssertionError(f"still waiting for: {what}")):
        while not condition():  # type: ignore[operator]
            gevent.sleep(0.02)
