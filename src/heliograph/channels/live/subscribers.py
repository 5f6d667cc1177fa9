"""The subscribers of one channel at this process, and where the channel's live stream stands.

One position for all of them: a notification that follows it is passed on, anything else is read from the log first. A subscriber
that joins has everything up to that position (`catching_up.py`), so subscribers have no positions of their own.

Sending never waits. To few subscribers it happens where the notification arrives; for many a greenlet sends in pieces, so that the
rest of the event loop is not delayed. What arrives while it runs is queued, and then goes out in larger batches.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import gevent
from gevent.event import AsyncResult, Event

from heliograph.channels.cursor import Cursor
from heliograph.channels.errors import ChannelError
from heliograph.channels.live.events import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, Batch, Lost, batches
from heliograph.channels.live.position import Arrival, classify
from heliograph.channels.live.recent import RecentMessages
from heliograph.channels.live.subscriber import AT_ONCE, Subscriber, SubscriberGroups
from heliograph.channels.log import Log
from heliograph.channels.message import StoredMessage
from heliograph.channels.records import Notification
from heliograph.request.pauses import pause

log = logging.getLogger("heliograph")

#: Bytes and number of notifications in the queue. What exceeds it is read from the log.
MAX_QUEUED_BYTES, MAX_QUEUED = 1 << 20, 1000

#: Seconds until the log is read again after a failure. Its engine tries to connect about as often.
RETRY_INTERVAL = 0.5


class DeliveryCounts(Protocol):
    """What is counted: subscribers that come and go, messages passed on to them, notices that messages were lost."""

    def subscribers(self, transport: str, change: int) -> None: ...

    def delivered(self, messages: int) -> None: ...

    def lost(self, subscribers: int) -> None: ...


class Subscribers:
    """`position` is known once `open` has returned. `users` are subscribers, and those that are about to join."""

    def __init__(self, channel: str, source: Log, counts: DeliveryCounts) -> None:
        self.channel = channel
        self.position = Cursor("", 0)
        self.users = 0
        self.opened: AsyncResult[None] = AsyncResult()
        self.closed: Event | None = None
        self._log, self._counts = source, counts
        self._groups = SubscriberGroups()
        self._queue: deque[Notification] = deque()
        self._queue_bytes = 0
        self._is_open = self._behind = False
        self._waiting: list[AsyncResult[None]] = []
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self._recent, self._recent_users = RecentMessages(), 0

    def open(self) -> None:
        """Follow the channel. Raises LogUnavailable, here and for all who wait for `opened`."""
        try:
            self._log.follow(self.channel)
            top = self._log.tops((self.channel,))[self.channel]
        except BaseException as exc:
            self.opened.set_exception(exc)
            raise
        self.position = top
        self._is_open = True
        self.opened.set(None)

    # Notifications.

    def on_notification(self, notification: Notification) -> None:
        """Pass messages on, or have that done. Called by the event loop."""
        if not self._is_open:
            self._behind = True  # `synchronize` comes after `open`, and reads
        elif self._greenlet is not None:
            self._enqueue(notification)
        else:
            arrival, messages = classify(self.position, notification)
            if arrival is Arrival.NEXT and self._is_quick(messages):
                for _ in self._advance(Batch(self.channel, notification.epoch, messages)):
                    pass  # few subscribers: a single piece for each form
            elif arrival is not Arrival.OLD:
                self._enqueue(notification)
                self._start()

    def check_log(self) -> None:
        """Read the log, which may have more than the notifications said."""
        self._behind = True
        self._start()

    def synchronize(self) -> None:
        """Wait until `position` is where the channel's top is now, or beyond. Raises LogUnavailable."""
        done: AsyncResult[None] = AsyncResult()
        self._waiting.append(done)
        self.check_log()
        done.get()

    # Subscribers.

    @contextmanager
    def keeping_recent(self) -> Iterator[None]:
        """Messages passed on meanwhile are kept for a subscriber that catches up (`join`), as far as there is room for them."""
        self._recent_users += 1
        try:
            yield
        finally:
            self._recent_users -= 1
            if not self._recent_users:
                self._recent.clear()

    def join(self, subscriber: Subscriber, position: Cursor) -> bool:
        """Add a subscriber that has everything up to `position`. False: the messages up to our position have to be read first."""
        if position.epoch != self.position.epoch:
            subscriber.report_loss(Lost(self.channel, self.position))
        else:
            missing = self._recent.after(position.offset, self.position.offset)
            if missing is None:
                return False
            for batch in batches(self.channel, position.epoch, missing):
                subscriber.offer(batch.made(subscriber.form))
            self._counts.delivered(len(missing))
        self._groups.add(subscriber)
        return True

    def remove(self, subscriber: Subscriber) -> None:
        self._groups.discard(subscriber)

    # The greenlet that passes on what cannot be sent at once.

    def _is_quick(self, messages: Sequence[StoredMessage]) -> bool:
        return (
            len(self._groups) <= AT_ONCE
            and len(messages) <= MAX_BATCH_MESSAGES
            and sum(len(message.data) for message in messages) <= MAX_BATCH_BYTES
        )

    def _enqueue(self, notification: Notification) -> None:
        size = sum(len(message.data) for message in notification.messages)
        if self._behind or len(self._queue) >= MAX_QUEUED or self._queue_bytes + size > MAX_QUEUED_BYTES:
            self._behind = True
            return
        self._queue.append(notification)
        self._queue_bytes += size

    def _start(self) -> None:
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        try:
            while self._behind or self._queue:
                self._run_once()
        finally:
            self._greenlet = None

    def _run_once(self) -> None:
        try:
            if self._behind:
                self._read_log()
            else:
                self._pass_on_queue()
        except ChannelError as exc:
            self._handle_failure(exc)
        except Exception as exc:
            log.exception("passing on the messages of %s failed", self.channel)
            self._handle_failure(exc)

    def _handle_failure(self, exc: Exception) -> None:
        """Tell those that wait, and try again while there are subscribers."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.set_exception(exc)
        self._behind = bool(self._groups)
        if self._behind:
            gevent.sleep(RETRY_INTERVAL)
            self._behind = True

    def _read_log(self) -> None:
        """Read what follows the position, or find out that it is gone."""
        self._behind = False
        self._clear_queue()
        waiting, self._waiting = self._waiting, []
        try:
            page = self._log.read(self.channel, self.position)
            if page.recovered:
                self._pass_on(page.epoch, page.messages)
            else:
                self._report_loss(Cursor(page.epoch, page.top))
        except BaseException:
            self._waiting += waiting
            raise
        if page.top > self.position.offset:
            self._behind = True
            self._waiting += waiting
            return
        for done in waiting:
            done.set(None)

    def _clear_queue(self) -> None:
        """Its messages are read from the log anyway."""
        self._queue.clear()
        self._queue_bytes = 0

    def _pass_on_queue(self) -> None:
        """All messages in the queue that follow the position, in batches as large as allowed."""
        following: list[StoredMessage] = []
        position = self.position
        while self._queue:
            arrival, messages = classify(position, self._queue[0])
            if arrival in (Arrival.GAP, Arrival.LOST):
                self._behind = True
                break
            self._queue.popleft()
            if messages:
                following += messages
                position = Cursor(position.epoch, messages[-1].offset)
        self._clear_queue()
        self._pass_on(position.epoch, following)

    def _pass_on(self, epoch: str, messages: Sequence[StoredMessage]) -> None:
        for batch in batches(self.channel, epoch, messages):
            for _ in self._advance(batch):
                pause()

    def _advance(self, batch: Batch) -> Iterator[None]:
        """Move the position after a batch: a subscriber that joins from now on has it. Iterating sends it to the others."""
        self.position = batch.end
        if self._recent_users:
            self._recent.add(batch.messages)
        self._counts.delivered(len(batch.messages) * len(self._groups))
        return self._groups.send(batch)

    def _report_loss(self, position: Cursor) -> None:
        self.position = position
        self._recent.clear()
        self._counts.lost(len(self._groups))
        for _ in self._groups.report_loss(Lost(self.channel, position)):
            pause()
