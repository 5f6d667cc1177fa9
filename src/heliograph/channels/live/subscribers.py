"""The subscribers of one channel at this process, and where the channel's live stream stands.

One position for all of them: news that follow on it are passed on, anything else is read from the log first. Whoever joins has
everything up to that position (`catching_up.py` sees to it), so members have no positions of their own.

Members are told without waiting. While there are few, that happens where the news arrive; a runner passes on to many, in pieces,
so that nobody else on the event loop notices. What arrives while it runs waits, and then goes out in larger batches.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import gevent
from gevent.event import AsyncResult, Event

from heliograph.channels.errors import ChannelError
from heliograph.channels.live.events import MAX_BATCH_BYTES, MAX_BATCH_MESSAGES, Batch, Lost, batches
from heliograph.channels.live.position import Position, Step
from heliograph.channels.live.subscriber import AT_ONCE, Member, Members
from heliograph.channels.live.tail import Tail
from heliograph.channels.log import Log, News
from heliograph.channels.message import Message

log = logging.getLogger("heliograph")

#: Bytes and number of news that wait for the runner. What comes then is read from the log, which has it all.
MAX_WAITING_BYTES, MAX_WAITING = 1 << 20, 1000

#: Seconds until the log is read again after it could not be. Its engine looks for an end of the trouble about as often.
RETRY = 0.5


class Counts(Protocol):
    """What is counted: subscribers that come and go, messages passed on to members, notices that something was lost."""

    def subscribers(self, transport: str, change: int) -> None: ...

    def delivered(self, messages: int) -> None: ...

    def lost(self, members: int) -> None: ...


class Audience:
    """`position` is known once `open` has returned. `users` are those who are members or will be."""

    def __init__(self, channel: str, source: Log, counts: Counts) -> None:
        self.channel = channel
        self.position = Position("", 0)
        self.users = 0
        self.opened: AsyncResult[None] = AsyncResult()
        self.closed: Event | None = None
        self._log, self._counts = source, counts
        self._members = Members()
        self._inbox: deque[News] = deque()
        self._inbox_bytes = 0
        self._is_open = self._behind = False
        self._waiting: list[AsyncResult[None]] = []
        self._runner: gevent.Greenlet[[], None] | None = None
        self._tail, self._tail_users = Tail(), 0

    def open(self) -> None:
        """Follow the channel. Raises Unavailable, here and for all who wait for `opened`."""
        try:
            self._log.follow(self.channel)
            top = self._log.tops((self.channel,))[self.channel]
        except BaseException as exc:
            self.opened.set_exception(exc)
            raise
        self.position = Position(top.epoch, top.offset)
        self._is_open = True
        self.opened.set(None)

    # News.

    def hear(self, news: News) -> None:
        """Pass news on, or have it done. Called by the event loop."""
        if not self._is_open:
            self._behind = True  # `sync` comes after `open`, and reads
        elif self._runner is not None:
            self._keep(news)
        else:
            step, messages = self.position.step(news)
            if step is Step.NEXT and self._is_quick(messages):
                for _ in self._advance(Batch(self.channel, news.epoch, messages)):
                    pass  # so few are told in a single piece for each form
            elif step is not Step.OLD:
                self._keep(news)
                self._start()

    def look(self) -> None:
        """Read the log, for it may have more than was heard of."""
        self._behind = True
        self._start()

    def sync(self) -> None:
        """Wait until `position` is where the channel's top is now, or beyond. Raises Unavailable."""
        done: AsyncResult[None] = AsyncResult()
        self._waiting.append(done)
        self.look()
        done.get()

    # Members.

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """What is passed on meanwhile can be given to somebody who catches up (`admit`), as far as there is room for it."""
        self._tail_users += 1
        try:
            yield
        finally:
            self._tail_users -= 1
            if not self._tail_users:
                self._tail.clear()

    def admit(self, member: Member, position: Position) -> bool:
        """Make somebody a member who has everything up to `position`. False: what is missing up to our own has to be read."""
        if position.epoch != self.position.epoch:
            member.lose(Lost(self.channel, self.position))
        else:
            missing = self._tail.after(position.offset, self.position.offset)
            if missing is None:
                return False
            for batch in batches(self.channel, position.epoch, missing):
                member.offer(batch.made(member.form))
            self._counts.delivered(len(missing))
        self._members.add(member)
        return True

    def dismiss(self, member: Member) -> None:
        self._members.discard(member)

    # The runner.

    def _is_quick(self, messages: Sequence[Message]) -> bool:
        return (
            len(self._members) <= AT_ONCE
            and len(messages) <= MAX_BATCH_MESSAGES
            and sum(len(message.data) for message in messages) <= MAX_BATCH_BYTES
        )

    def _keep(self, news: News) -> None:
        size = sum(len(message.data) for message in news.messages)
        if self._behind or len(self._inbox) >= MAX_WAITING or self._inbox_bytes + size > MAX_WAITING_BYTES:
            self._behind = True
            return
        self._inbox.append(news)
        self._inbox_bytes += size

    def _start(self) -> None:
        if self._runner is None:
            self._runner = gevent.spawn(self._run)

    def _run(self) -> None:
        try:
            while self._behind or self._inbox:
                self._turn()
        finally:
            self._runner = None

    def _turn(self) -> None:
        try:
            if self._behind:
                self._read_on()
            else:
                self._pass_on_news()
        except ChannelError as exc:
            self._stumbled(exc)
        except Exception as exc:
            log.exception("passing on the messages of %s failed", self.channel)
            self._stumbled(exc)

    def _stumbled(self, exc: Exception) -> None:
        """Tell those who wait, and try again while there is anybody to try it for."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.set_exception(exc)
        self._behind = bool(self._members)
        if self._behind:
            gevent.sleep(RETRY)
            self._behind = True

    def _read_on(self) -> None:
        """Read what follows on the position, or find out that it is gone."""
        self._behind = False
        self._forget_news()
        waiting, self._waiting = self._waiting, []
        try:
            page = self._log.read(self.channel, self.position.cursor)
            if page.recovered:
                self._pass_on(page.epoch, page.messages)
            else:
                self._lose(Position(page.epoch, page.top))
        except BaseException:
            self._waiting += waiting
            raise
        if page.top > self.position.offset:
            self._behind = True
            self._waiting += waiting
            return
        for done in waiting:
            done.set(None)

    def _forget_news(self) -> None:
        """What the log is read for anyway."""
        self._inbox.clear()
        self._inbox_bytes = 0

    def _pass_on_news(self) -> None:
        """All that waits and follows on the position, in batches as large as they may be."""
        following: list[Message] = []
        position = self.position
        while self._inbox:
            step, messages = position.step(self._inbox[0])
            if step in (Step.GAP, Step.LOST):
                self._behind = True
                break
            self._inbox.popleft()
            if messages:
                following += messages
                position = Position(position.epoch, messages[-1].offset)
        self._forget_news()
        self._pass_on(position.epoch, following)

    def _pass_on(self, epoch: str, messages: Sequence[Message]) -> None:
        for batch in batches(self.channel, epoch, messages):
            for _ in self._advance(batch):
                gevent.sleep(0)

    def _advance(self, batch: Batch) -> Iterator[None]:
        """Move on behind a batch. Who joins from now on has it; the others are told while this is iterated over."""
        self.position = batch.end
        if self._tail_users:
            self._tail.add(batch.messages)
        self._counts.delivered(len(batch.messages) * len(self._members))
        return self._members.tell(batch)

    def _lose(self, position: Position) -> None:
        self.position = position
        self._tail.clear()
        self._counts.lost(len(self._members))
        for _ in self._members.lose(Lost(self.channel, position)):
            gevent.sleep(0)
