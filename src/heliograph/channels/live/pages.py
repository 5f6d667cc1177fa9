"""Pages of histories for subscribers that catch up. Many that come back at once, as after a restart, ask for much the same ones.

A page with messages is kept for a moment together with its encodings. A subscriber that asks for messages in it, or in one that is
just being read, gets that page from its own cursor on. So the log is read a few times for each page, even if all subscribers come
back with different cursors. Messages never change, so only the top of a kept page may be old, and catching up does not rely on it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter

from gevent.event import AsyncResult

from heliograph.channels.cursor import Cursor
from heliograph.channels.live.events import Batch, batches
from heliograph.channels.log import Log
from heliograph.channels.records import MAX_PAGE_MESSAGES, Page

#: Seconds that a page is kept: as long as clients need to come back.
KEEP_TIME = 2.0

#: Bytes of the messages of all pages kept. Their encodings take about as much again for each form that is asked for.
MAX_KEPT_BYTES = 8 << 20

#: Pages of a channel, the newest first, in which a cursor is searched. A reconnect storm has a few pages; many pages come from
#: readers at the end of a busy channel, each with another one, and searching all of them would cost more than reading.
MAX_SEARCHED = 16


@dataclass(frozen=True, slots=True)
class Replay:
    """A page in batches. `end` is the position after it."""

    page: Page
    batches: tuple[Batch, ...]
    size: int
    until: float

    @property
    def start(self) -> Cursor:
        first = self.page.messages[0].offset - 1 if self.page.messages else self.page.top
        return Cursor(self.page.epoch, first)

    @property
    def end(self) -> Cursor:
        return self.batches[-1].end if self.batches else Cursor(self.page.epoch, self.page.top)

    def after(self, cursor: Cursor) -> Replay | None:
        """What follows a cursor, with the same batches as far as possible; None if that is not in this page."""
        skipped = cursor.offset - self.start.offset
        if cursor.epoch != self.page.epoch or not 0 <= skipped < len(self.page.messages):
            return None
        if not skipped:
            return self
        kept: list[Batch] = []
        for batch in self.batches:
            if batch.end.offset > cursor.offset:
                first = batch.messages[0].offset
                kept.append(batch if first > cursor.offset else _rest(batch, cursor.offset + 1 - first))
        page = replace(self.page, messages=self.page.messages[skipped:])
        return Replay(page, tuple(kept), self.size, self.until)


def _rest(batch: Batch, start: int) -> Batch:
    return Batch(batch.channel, batch.epoch, batch.messages[start:])


_Start = Cursor | None


class Pages:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._reading: dict[str, dict[_Start, AsyncResult[Replay]]] = {}
        self._kept: dict[str, OrderedDict[_Start, Replay]] = {}
        self._order: OrderedDict[tuple[str, _Start], Replay] = OrderedDict()
        self._size = 0

    def read(self, channel: str, after: Cursor | None) -> Replay:
        """The page after a cursor, or the earliest one. Raises LogUnavailable."""
        self._drop_old()
        found, waited_for = self._find(channel, after), -1
        while found is None and after is not None:
            start, other = self._overlapping(channel, after)
            if other is None or start <= waited_for:
                break
            replay: Replay = other.get()  # type: ignore[assignment]
            # A page that is full by bytes may end before the cursor; then another one may begin nearer to it.
            found, waited_for = replay.after(after) or self._find(channel, after), start
        return found or self._read_once(channel, after)

    def drop(self, channel: str) -> None:
        """Forget what was read of a channel whose history was removed."""
        for start in list(self._kept.pop(channel, ())):
            self._size -= self._order.pop((channel, start)).size

    def _find(self, channel: str, after: _Start) -> Replay | None:
        kept = self._kept.get(channel)
        if kept is None:
            return None
        if (same := kept.get(after)) is not None or after is None:
            return same
        newest = islice(reversed(kept.values()), MAX_SEARCHED)
        return next((found for replay in newest if (found := replay.after(after))), None)

    def _overlapping(self, channel: str, after: Cursor) -> tuple[int, AsyncResult[Replay] | None]:
        """A page being read that may have what follows the cursor, and its start: of those that begin before it, the last one."""
        begun = {
            start.offset: reading
            for start, reading in self._reading.get(channel, {}).items()
            if start and start.epoch == after.epoch and 0 < after.offset - start.offset < MAX_PAGE_MESSAGES
        }
        return max(begun.items(), key=itemgetter(0)) if begun else (0, None)

    def _read_once(self, channel: str, after: _Start) -> Replay:
        """Read; callers that ask for the same page meanwhile wait for this one."""
        reading = self._reading.setdefault(channel, {})
        if after in reading:
            same: Replay = reading[after].get()  # type: ignore[assignment]
            return same
        result = reading[after] = AsyncResult()
        try:
            replay = self._read(channel, after)
        except BaseException as exc:
            result.set_exception(exc)
            raise
        finally:
            del reading[after]
            if not reading:
                del self._reading[channel]
        result.set(replay)
        if replay.batches:
            self._keep(channel, after, replay)
        return replay

    def _read(self, channel: str, after: _Start) -> Replay:
        page = self._log.read(channel, after)
        size = sum(len(message.data) for message in page.messages)
        return Replay(
            page, tuple(batches(channel, page.epoch, page.messages)), size, time.monotonic() + KEEP_TIME
        )

    def _keep(self, channel: str, after: _Start, replay: Replay) -> None:
        self._kept.setdefault(channel, OrderedDict())[after] = replay
        self._order[channel, after] = replay
        self._size += replay.size
        while self._order and self._size > MAX_KEPT_BYTES:
            self._drop_first()

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._order and next(iter(self._order.values())).until < now:
            self._drop_first()

    def _drop_first(self) -> None:
        (channel, after), replay = self._order.popitem(last=False)
        self._size -= replay.size
        del self._kept[channel][after]
        if not self._kept[channel]:
            del self._kept[channel]
