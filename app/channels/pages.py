"""Pages of histories for those who catch up. Many who come back at once, as after a restart, ask for the same ones.

Who asks while the same page is being read gets that one, and a page with messages is kept for a moment with all that was made of
it. Messages never change, so only the top of such a page may be old, and whoever catches up does not rely on that.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from gevent.event import AsyncResult

from app.channels.cursor import Cursor
from app.channels.events import Batch, batches
from app.channels.log import Log, Page
from app.channels.position import Position

#: Seconds that a page is kept: as long as clients need to come back.
KEPT = 2.0

#: Bytes of messages of all pages kept. Encoded, each takes about as much again for every form that is asked for.
MAX_KEPT_BYTES = 8 << 20

_Key = tuple[str, Cursor | None]


@dataclass(frozen=True, slots=True)
class Replay:
    """A page in batches. `end` is the position behind it."""

    page: Page
    batches: tuple[Batch, ...]
    size: int
    until: float

    @property
    def start(self) -> Position:
        first = self.page.messages[0].offset - 1 if self.page.messages else self.page.top
        return Position(self.page.epoch, first)

    @property
    def end(self) -> Position:
        return self.batches[-1].end if self.batches else Position(self.page.epoch, self.page.top)


class Pages:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._reading: dict[_Key, AsyncResult[Replay]] = {}
        self._kept: OrderedDict[_Key, Replay] = OrderedDict()
        self._size = 0

    def read(self, channel: str, after: Cursor | None) -> Replay:
        """The page after a cursor, or the earliest one. Raises Unavailable."""
        key = channel, after
        self._drop_old()
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        reading = self._reading.get(key)
        if reading is not None:
            found: Replay = reading.get()  # type: ignore[assignment]
            return found
        reading = self._reading[key] = AsyncResult()
        try:
            replay = self._read(channel, after)
        except BaseException as exc:
            reading.set_exception(exc)
            raise
        finally:
            del self._reading[key]
        reading.set(replay)
        if replay.batches:
            self._keep(key, replay)
        return replay

    def _read(self, channel: str, after: Cursor | None) -> Replay:
        page = self._log.read(channel, after)
        size = sum(len(message.data) for message in page.messages)
        return Replay(page, tuple(batches(channel, page.epoch, page.messages)), size, time.monotonic() + KEPT)

    def _keep(self, key: _Key, replay: Replay) -> None:
        self._kept[key] = replay
        self._size += replay.size
        while self._size > MAX_KEPT_BYTES:
            self._drop_first()

    def _drop_old(self) -> None:
        now = time.monotonic()
        while self._kept and next(iter(self._kept.values())).until < now:
            self._drop_first()

    def _drop_first(self) -> None:
        _, replay = self._kept.popitem(last=False)
        self._size -= replay.size
