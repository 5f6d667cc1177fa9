"""An open file with everything that belongs to it, until something fails. In the worker's thread only."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from heliograph.channels.engines.sqlite.connection import open_file
from heliograph.channels.engines.sqlite.listener import SqliteListener
from heliograph.channels.engines.sqlite.presence import PresenceTable
from heliograph.channels.engines.sqlite.reader import SqliteReader
from heliograph.channels.engines.sqlite.store import Committed, SqliteStore
from heliograph.channels.engines.sqlite.transactions import SHORT, writing
from heliograph.channels.engines.sqlite.trimming import SqliteTrimmer
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.message import Append
from heliograph.channels.records import Limits, Notification

#: Bytes of the write-ahead log from which its contents are moved into the file, and from which other instances are made to wait
#: for that: the log can start again at its beginning only when no connection uses it. Both are parts of what the log may have: with
#: little room the write-ahead log must not take most of it.
CHECKPOINT, LEAST_CHECKPOINT, FORCED = 16 << 20, 1 << 20, 4

#: Milliseconds that a forced one may wait for the others.
_FORCED_WAIT = 1000


class SqliteSession:
    """Raises what opening a file raises: sqlite3.Error, OSError, LogUnavailable. `report` is told what operators have to know."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        instance: str,
        followed: Collection[str],
        report: Callable[[str], None],
        *,
        checked_inode: int,
    ) -> None:
        self._checkpoint = min(CHECKPOINT, max(LEAST_CHECKPOINT, limits.log_bytes // 8))
        self.file = open_file(path, self._checkpoint, report, checked_inode=checked_inode)
        self.store = SqliteStore(self.file, limits)
        self.trimmer = SqliteTrimmer(self.file, self.store, limits)
        self.reader = SqliteReader(self.file, limits)
        self.presence = PresenceTable(self.file, instance, limits.presence_ttl)
        self._folder = path.with_name(path.name + "-wake")
        self.listener: SqliteListener | None = None
        state = self.file.state()
        self._last_segment, self._epochs = state.last, (state.era, state.birth)
        self._changes = self.reader.changes()
        self.reader.follow(followed)
        self.ensure_listener()

    def ensure_listener(self) -> bool:
        """Create the listener if it is missing; without one the worker polls. True if there is a new one."""
        if self.listener is None or self.listener.is_removed():
            if self.listener is not None:
                self.listener.close()
                self.listener = None
            with contextlib.suppress(OSError):
                self.listener = SqliteListener(self._folder)
                return True
        return False

    def commit(self, appends: Sequence[Append]) -> Committed:
        committed = self.store.commit(appends)
        if committed.plan.segments and self.listener is not None:
            self.listener.notify()
        return committed

    def own_notifications(self, committed: Committed, followed: Collection[str]) -> list[Notification] | None:
        """The notifications of our own commit; None if others committed before it and have to be read first."""
        if self._last_segment != committed.first - 1:
            return None
        self._last_segment = committed.last
        return committed.notifications(followed)

    def changed(self) -> bool:
        """Whether others committed something since the last call."""
        before, self._changes = self._changes, self.reader.changes()
        return self._changes != before

    def poll(self, followed: Collection[str]) -> tuple[list[Notification], bool]:
        """What is new, and whether there is more. After a change of the epoch, a hint for each followed channel."""
        new_segments = self.reader.new_segments(self._last_segment, bool(followed))
        self._last_segment = new_segments.last
        if new_segments.epochs != self._epochs:
            self._epochs = new_segments.epochs
            return [*new_segments.notifications, *self.hints(followed)], new_segments.more
        return new_segments.notifications, new_segments.more

    def hints(self, followed: Collection[str]) -> list[Notification]:
        return [Notification(name, top.epoch, top.offset) for name, top in self.reader.tops(followed).items()]

    def probe(self) -> str:
        """A small commit: "ok", or why messages may not fit. Raises Locked soon, and what keeps messages from being stored."""
        with writing(self.file, SHORT):
            self.file.probe()
        return self.file.check_space()

    def checkpoint(self, *, now: bool = False) -> None:
        """Keep the write-ahead log short. `now`: also a short one, so that a file that was vacuumed becomes shorter."""
        size = self.file.wal_bytes()
        run = self.file.connection.execute
        if size >= FORCED * self._checkpoint:
            run(f"PRAGMA busy_timeout = {_FORCED_WAIT}")
            try:
                run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                run("PRAGMA busy_timeout = 0")
        elif now or size >= self._checkpoint:
            run("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def set_aside(self, error: Exception) -> str:
        """Set the file aside, as it is damaged. What is said to the operator."""
        try:
            return self.file.set_aside(error)
        except (OSError, LogUnavailable) as exc:
            return f"{error} It could not be set aside: {exc}"

    def close(self, before_close: Callable[[], None] = lambda: None) -> None:
        """`before_close` may still use the connection; it is closed even if that raises."""
        try:
            before_close()
        except sqlite3.Error:
            pass  # the file may be what failed; then the next opening gives it a new epoch, as it should
        finally:
            if self.listener is not None:
                self.listener.close()
            self.file.close()
