"""Reading the file: pages, tops, and what is new. In the worker's thread.

Raises sqlite3.Error, and ValueError for a damaged segment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import clock, quota, window
from heliograph.channels.engines.segment import unpack
from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.schema import SIZE
from heliograph.channels.message import StoredMessage
from heliograph.channels.records import ChannelInfo, ChannelPage, Limits, Notification, Page

#: Segments in one poll: at most 16 MiB.
MAX_NEW_SEGMENTS = 64


@dataclass(frozen=True)
class NewSegments:
    """Notifications of the followed channels after a segment, up to segment `last`; `more`: that is not the newest one."""

    notifications: list[Notification]
    last: int
    more: bool
    epochs: tuple[str, str]


class SqliteReader:
    def __init__(self, file: LogFile, limits: Limits) -> None:
        self._connection = file.connection
        self._file, self._limits = file, limits

    def page(self, channel: str, after: Cursor | None, limit: int) -> Page:
        run = self._connection.execute
        found = run(
            "SELECT c.id, s.era || c.birth, c.top, c.bytes - c.gone FROM state AS s JOIN channels AS c WHERE c.name = ?",
            (channel,),
        ).fetchone()
        row, epoch, top, kept = found or (None, *self._unused())
        if not window.known(after, epoch, top, self._limits):
            return window.lost(epoch, top)
        start = window.floor(after, top, self._limits)
        if row is not None and kept > self._limits.history_bytes:
            start = max(start, self._beyond_bytes(row, top, kept - self._limits.history_bytes))
        messages = self._messages(row, start) if row is not None and start < top else iter(())
        return window.page(epoch, top, after, messages, (self._limits, clock.now(), limit))

    def _unused(self) -> tuple[str, int, int]:
        state = self._file.state()
        return state.era + state.birth, 0, 0

    def _beyond_bytes(self, row: int, top: int, excess: int) -> int:
        """The offset up to which messages are not history any more, although trimming has not come to them yet."""
        run = self._connection.execute
        oldest = run(f"SELECT last, {SIZE} FROM segments WHERE channel = ? ORDER BY last", (row,))
        offset, excess = quota.whole_segments(oldest, excess)
        oldest.close()
        found = run(
            "SELECT first, time, data FROM segments WHERE channel = ? AND last > ? ORDER BY last LIMIT 1",
            (row, offset),
        ).fetchone()
        if found is not None:
            offset = max(offset, quota.offset_beyond(unpack(*found), excess))
        return min(offset, top - 1)

    def _messages(self, row: int, after: int) -> Iterator[StoredMessage]:
        """From the cursor on; the statement ends when the caller stops iterating."""
        found = self._connection.execute(
            "SELECT first, time, data FROM segments WHERE channel = ? AND last > ? ORDER BY last",
            (row, after),
        )
        try:
            for first, at, data in found:
                yield from unpack(first, at, data, after)
        finally:
            found.close()

    def tops(self, channels: Iterable[str]) -> dict[str, Cursor]:
        wanted = list(channels)
        state = self._file.state()
        found = {
            name: Cursor(state.era + birth, top)
            for name, birth, top in self._connection.execute(
                "SELECT name, birth, top FROM channels WHERE name IN (SELECT value FROM json_each(?))",
                (json.dumps(wanted),),
            )
        }
        unused = Cursor(state.era + state.birth, 0)
        return {name: found.get(name, unused) for name in wanted}

    def channels(self, wanted: ChannelPage) -> list[ChannelInfo]:
        state, run = self._file.state(), self._connection.execute
        page = (wanted.after, wanted.prefix, wanted.end, wanted.limit)
        used = run(
            "SELECT name, ? || birth, top, (SELECT coalesce(sum(count), 0) FROM present JOIN members USING (member) "
            "WHERE channel = name AND expires > ?) FROM channels "
            "WHERE name > ? AND name >= ? AND name < ? ORDER BY name LIMIT ?",
            (state.era, clock.now(), *page),
        ).fetchall()
        subscribed = run(
            "SELECT channel, ?, 0, sum(count) FROM present JOIN members USING (member) WHERE expires > ? "
            "AND channel > ? AND channel >= ? AND channel < ? "
            "AND NOT EXISTS (SELECT 1 FROM channels WHERE name = channel) GROUP BY channel ORDER BY channel LIMIT ?",
            (state.era + state.birth, clock.now(), *page),
        ).fetchall()
        rows = sorted((*used, *subscribed))[: wanted.limit]
        return [ChannelInfo(*row) for row in rows]

    def follow(self, channels: Iterable[str]) -> None:
        self._connection.executemany("INSERT OR IGNORE INTO followed VALUES (?)", [(c,) for c in channels])

    def unfollow(self, channel: str) -> None:
        self._connection.execute("DELETE FROM followed WHERE name = ?", (channel,))

    def changes(self) -> int:
        """A number that changes when another connection committed something."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)

    def new_segments(self, after: int, any_followed: bool) -> NewSegments:
        """What came after segment `after`; if no channel is followed, only how far the log is."""
        state = self._file.state()
        epochs = (state.era, state.birth)
        if not any_followed or after >= state.last:
            return NewSegments([], state.last, False, epochs)
        rows = self._connection.execute(
            "SELECT s.id, c.name, c.birth, s.first, s.last, s.time, s.data FROM segments AS s "
            "JOIN channels AS c ON c.id = s.channel "
            "WHERE s.id > ? AND s.id <= ? AND c.name IN (SELECT name FROM followed) ORDER BY s.id LIMIT ?",
            (after, state.last, MAX_NEW_SEGMENTS),
        ).fetchall()
        notifications = [
            Notification(name, state.era + birth, last, tuple(unpack(first, at, data)))
            for _, name, birth, first, last, at, data in rows
        ]
        more = len(rows) == MAX_NEW_SEGMENTS
        return NewSegments(notifications, rows[-1][0] if more else state.last, more, epochs)
