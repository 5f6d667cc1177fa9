"""A subscription of application code: an iterator over messages and losses, which reads no faster than its reader.

What arrives while the reader is busy waits here up to a bound; beyond it the rest is read from the log when the reader comes.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

from gevent.event import Event as Signal

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.events import Batch, Event, Form, Lost, Subscribed
from heliograph.channels.live.hub import Hub
from heliograph.channels.live.start import Start
from heliograph.channels.message import StoredMessage
from heliograph.channels.public import Message, message_of
from heliograph.request.homeloop import HomeLoop

#: Bytes and messages that wait for a reader in one subscription.
MAX_WAITING_BYTES, MAX_WAITING = 1 << 20, 1000


class MessageQueue:
    """What the hub sends. `behind`: there is more in the log than was kept."""

    def __init__(self) -> None:
        self.form: Form = _batch
        self._waiting: deque[tuple[str, tuple[StoredMessage, ...]] | Lost] = deque()
        self._bytes = self._count = 0
        self._signal = Signal()
        self.behind = self.ended = False

    # What a subscriber has.

    def offer(self, data: Any) -> None:
        self._count += len(data[1])
        self._bytes += sum(len(message.data) for message in data[1])
        if self.behind or self._count > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self.behind = True
        else:
            self._waiting.append(data)
        self._signal.set()

    def report_loss(self, event: Lost) -> None:
        self._clear()
        self.behind = False
        self._waiting.append(event)
        self._signal.set()

    # What the reader takes.

    def wait(self) -> None:
        self._signal.wait()

    def take(self) -> list[tuple[str, tuple[StoredMessage, ...]] | Lost]:
        taken = list(self._waiting)
        self._clear()
        self._signal.clear()
        return taken

    def end(self) -> None:
        self.ended = True
        self._signal.set()

    def _clear(self) -> None:
        self._waiting.clear()
        self._bytes = self._count = 0


class Subscription:
    """Give it to `for`. Ends when the process stops, by `close` or `with`, or when the program has dropped it.

    A `for` loop that was left has dropped it, whichever thread left it: what the loop of the channels holds, the reader, does not
    refer to it, so that no collection of garbage has to come first.
    """

    def __init__(self, hub: Hub, loop: HomeLoop, channel: str, start: Start) -> None:
        self._loop = loop
        self._reader = _Reader(hub, channel)
        loop.call(self._reader.begin, start)
        weakref.finalize(self, loop.post, self._reader.close).atexit = False

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message | Lost]:
        return self

    def __next__(self) -> Message | Lost:
        return self._loop.call(self._reader.next)

    def close(self) -> None:
        self._loop.call(self._reader.close)


class _Reader:
    """The part of a subscription that lives on the loop, on which all of it is called."""

    def __init__(self, hub: Hub, channel: str) -> None:
        self._hub, self._channel = hub, channel
        self._queue = MessageQueue()
        self._position = Cursor("", 0)
        self._ending = ExitStack()
        self._reading = False
        self._error: BaseException | None = None

    def begin(self, start: Start) -> None:
        """Raises ChannelError. From here on nothing is missed, whenever the first message is asked for."""
        self._begin = self._subscribe(start)
        self._events = self._run()

    def next(self) -> Message | Lost:
        """Raises StopIteration at the end, and what the log raises; after that the subscription cannot be read on."""
        self._reading = True
        try:
            while (event := self._advance()) is None:
                self._queue.wait()  # not in the generator, which would be over when a timeout ends the wait
            return event
        finally:
            self._reading = False
            if self._queue.ended:
                self._ending.close()

    def _advance(self) -> Message | Lost | None:
        if self._error:
            raise RuntimeError(
                "the subscription ended by an error; subscribe again, after the last message"
            ) from self._error
        try:
            return next(self._events)
        except StopIteration:
            self._queue.end()
            raise
        except BaseException as exc:
            self._error = exc
            self._queue.end()
            raise

    def close(self) -> None:
        """The one that reads, if any, closes the rest: a generator that runs cannot be closed."""
        self._queue.end()
        if not self._reading:
            self._ending.close()

    def _subscribe(self, start: Start) -> Iterator[Event]:
        with ExitStack() as stack:
            stack.callback(self._hub.on_stop(self.close))
            events = stack.enter_context(self._hub.subscribed(self._channel, None, self._queue, start))
            first = next(events)
            assert isinstance(first, Subscribed)
            self._position = first.cursor
            begin: list[Event] = [first]
            if first.recovered is not True:  # there is nothing to be replayed: it joins the live stream
                begin += events
                events = iter(())
            self._ending = stack.pop_all()
        return _chain(begin, events)

    def _run(self) -> Iterator[Message | Lost | None]:
        """None where nothing is there yet."""
        for event in self._begin:
            yield from self._told(event)
        while not self._queue.ended:
            for taken in self._queue.take():
                if isinstance(taken, Lost):
                    yield self._lost(taken)
                else:
                    yield from self._messages(*taken)
            if self._queue.behind:
                yield from self._read()
            elif not self._queue.ended:
                yield None

    def _told(self, event: Event) -> Iterator[Message | Lost]:
        if isinstance(event, Batch):
            yield from self._messages(event.epoch, tuple(event.messages))
        elif isinstance(event, Lost):
            yield self._lost(event)
        elif isinstance(event, Subscribed) and event.recovered is False:
            yield Lost(self._channel, event.cursor)

    def _messages(self, epoch: str, stored: tuple[StoredMessage, ...]) -> Iterator[Message]:
        for message in stored:
            if message.offset > self._position.offset or epoch != self._position.epoch:
                self._position = Cursor(epoch, message.offset)
                yield message_of(self._channel, epoch, message)

    def _lost(self, event: Lost) -> Lost:
        self._position = event.cursor
        return event

    def _read(self) -> Iterator[Message | Lost]:
        """What was not kept, page by page."""
        self._queue.behind = False
        while True:
            page = self._hub.log.read(self._channel, self._position)
            if not page.recovered:
                yield self._lost(Lost(self._channel, Cursor(page.epoch, page.top)))
                return
            yield from self._messages(page.epoch, page.messages)
            if self._position.offset >= page.top:
                return


def _batch(event: Event) -> bytes:
    """The hub passes on what this makes without looking at it."""
    assert isinstance(event, Batch)
    return cast(bytes, (event.epoch, tuple(event.messages)))


def _chain(begin: list[Event], events: Iterator[Event]) -> Iterator[Event]:
    yield from begin
    yield from events
