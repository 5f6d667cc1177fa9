"""An open file with everything that belongs to it, from when it was opened until something failed. In the worker's thread only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.listener import WakeUps
from heliograph.channels.engines.sqlite.presence import Sharing
from heliograph.channels.engines.sqlite.reading import Reading
from heliograph.channels.engines.sqlite.store import Committed, Store
from heliograph.channels.log import Limits, News
from heliograph.channels.message import Append

#: Bytes of the write-ahead log from which its contents are moved into the file, and from which others are made to wait for it:
#: it can start again at its beginning only when nobody uses it.
CHECKPOINT, FORCED_CHECKPOINT = 16 << 20, 64 << 20

#: Milliseconds that a forced one may wait for the others.
_FORCED_WAIT = 1000


class Session:
    """Raises what opening a file raises: sqlite3.Error, OSError, Unavailable."""

    def __init__(self, path: Path, limits: Limits, member: str, followed: Collection[str]) -> None:
        self.file = LogFile(path)
        self.store = Store(self.file, limits)
        self.reading = Reading(self.file, limits)
        self.sharing = Sharing(self.file, member, limits.presence_ttl)
        self._folder = path.with_name(path.name + "-wake")
        self.wakeups: WakeUps | None = None
        state = self.file.state()
        self._tail, self._epochs = state.last, (state.era, state.birth)
        self._changes = self.reading.changes()
        self.reading.follow(followed)
        self.hear()

    def hear(self) -> bool:
        """Make the socket for wake-ups if it is missing; without one we find out by looking. True if there is a new one."""
        if self.wakeups is None or self.wakeups.lost():
            if self.wakeups is not None:
                self.wakeups.close()
                self.wakeups = None
            with contextlib.suppress(OSError):
                self.wakeups = WakeUps(self._folder)
                return True
        return False

    def commit(self, appends: Sequence[Append]) -> Committed:
        committed = self.store.commit(appends)
        if committed.plan.segments and self.wakeups is not None:
            self.wakeups.ring()
        return committed

    def own_news(self, committed: Committed, followed: Collection[str]) -> list[News] | None:
        """The news of our own commit; None if others committed before it and have to be read first."""
        if self._tail != committed.first - 1:
            return None
        self._tail = committed.last
        return committed.news(followed)

    def changed(self) -> bool:
        """Whether others committed something since the last call."""
        before, self._changes = self._changes, self.reading.changes()
        return self._changes != before

    def look(self, followed: Collection[str]) -> tuple[list[News], bool]:
        """What is new, and whether there is more. After an epoch changed, a hint for every channel that is followed."""
        tail = self.reading.tail(self._tail, bool(followed))
        self._tail = tail.last
        if tail.epochs != self._epochs:
            self._epochs = tail.epochs
            return [*tail.news, *self.hints(followed)], tail.more
        return tail.news, tail.more

    def hints(self, followed: Collection[str]) -> list[News]:
        return [News(name, top.epoch, top.offset) for name, top in self.reading.tops(followed).items()]

    def checkpoint(self) -> None:
        """Keep the write-ahead log short. Whether it worked does not matter now: it is tried again."""
        size = self.file.wal_bytes()
        run = self.file.connection.execute
        if size >= FORCED_CHECKPOINT:
            run(f"PRAGMA busy_timeout = {_FORCED_WAIT}")
            try:
                run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                run("PRAGMA busy_timeout = 0")
        elif size >= CHECKPOINT:
            run("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self, last_words: Callable[[], None] = lambda: None) -> None:
        """`last_words` may still use the connection; it is closed whatever they raise."""
        try:
            last_words()
        except sqlite3.Error:
            pass  # the file may be what failed; then there will be doubt about it, as there should be
        finally:
            if self.wakeups is not None:
                self.wakeups.close()
            self.file.close()
