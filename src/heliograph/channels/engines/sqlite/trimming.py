"""Deleting what is no longer history, in steps of a few milliseconds, in the worker's thread.

A channel is trimmed when it has grown; every `Limits.check_interval`, or when a part of the bound was published, the whole log is
weighed from the sums of its channels, and the largest are cut. Free pages of the file are given back to the disk.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from heliograph.channels.engines import clock, quota
from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES, MAX_SEGMENT_MESSAGES
from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.schema import SIZE
from heliograph.channels.engines.sqlite.store import SqliteStore
from heliograph.channels.engines.sqlite.transactions import SHORT, writing
from heliograph.channels.engines.sqlite.vacuum import give_back, is_incremental
from heliograph.channels.records import Limits

#: Rows that one statement deletes: at most 16 MiB, as a row has at most a segment.
ROWS = 64

#: Seconds after which a step begins no further statement, as publishers wait for it.
STEP_TIME = 0.01

#: Channels that one step trims, or that the look at all channels finds.
CHANNELS = 64

#: The part of the bound of the log after which it is weighed although it is not time yet.
_PART = 16

#: Pages that stay free for what comes next.
_SPARE_PAGES = 1024

_WEIGHT = f"(bytes - gone + {quota.OVERHEAD} * (top - deleted))"


class SqliteTrimmer:
    def __init__(self, file: LogFile, store: SqliteStore, limits: Limits) -> None:
        self._file, self._store, self._limits = file, store, limits
        self._connection = file.connection
        self._weigh_at = 0.0
        self._published = 0
        self._deadline = 0.0

    def step(self, published: int) -> bool:
        """One small step, after so many bytes were published. True if there may be more to do."""
        self._published += published
        self._deadline = time.monotonic() + STEP_TIME
        with writing(self._file, SHORT):
            grown = dict(list(self._store.grown.items())[:CHANNELS])
            more = self._trim_expired()
            for channel, top in grown.items():
                if self._is_late() or self._trim_channel(channel, top):
                    more = True
                    break
                if self._store.grown.get(channel) == top:
                    del self._store.grown[channel]
            more = self._weigh() or more
        return more or bool(self._store.grown)

    def _is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def _delete(self, statement: str, *arguments: object) -> bool:
        """Repeat a statement until it finds less than it may delete. True if there was no time for that."""
        while self._connection.execute(statement, (*arguments, ROWS)).rowcount >= ROWS:
            if self._is_late():
                return True
        return False

    def _trim_expired(self) -> bool:
        now = clock.now()
        more = self._delete(
            "DELETE FROM segments WHERE id IN "
            "(SELECT id FROM (SELECT id, time FROM segments ORDER BY id LIMIT ?2) WHERE time < ?1)",
            now - self._limits.history_ttl,
        )
        for table, key in (("keys", "channel, id"), ("tokens", "token"), ("members", "member")):
            more = (
                self._delete(
                    f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires < ? LIMIT ?)",
                    now,
                )
                or more
            )
        self._connection.execute("DELETE FROM present WHERE member NOT IN (SELECT member FROM members)")
        return more

    def _trim_channel(self, channel: int, top: int) -> bool:
        more = self._delete_until(channel, top - self._limits.history_size)
        excess = self._excess(channel)
        if excess > 0:
            last, _ = quota.whole_segments(self._oldest(channel), excess)
            more = self._delete_until(channel, min(last, top - 1)) or more
        return more

    def _delete_until(self, channel: int, last: int) -> bool:
        return self._delete(
            "DELETE FROM segments WHERE id IN "
            "(SELECT id FROM segments WHERE channel = ? AND last <= ? ORDER BY last LIMIT ?)",
            *(channel, last),
        )

    def _excess(self, channel: int) -> int:
        """Bytes that a channel has too many."""
        found = self._connection.execute(
            "SELECT bytes - gone FROM channels WHERE id = ?", (channel,)
        ).fetchone()
        return found[0] - self._limits.history_bytes if found else 0

    def _oldest(self, channel: int) -> Iterator[tuple[int, int]]:
        return iter(
            self._connection.execute(
                f"SELECT last, {SIZE} FROM segments WHERE channel = ? ORDER BY last", (channel,)
            )
        )

    def _weigh(self) -> bool:
        """Cut the largest channels if the whole log is too large. True if it still may be."""
        now = time.monotonic()
        if now < self._weigh_at and self._published < self._limits.log_bytes // _PART:
            return False
        run = self._connection.execute
        (weight,) = run(f"SELECT coalesce(sum({_WEIGHT}), 0) FROM channels").fetchone()
        if weight > self._limits.log_bytes:
            self._cut(weight - self._limits.log_bytes)
            return True  # look again
        self._weigh_at, self._published = now + self._limits.check_interval, 0
        self._find_grown()
        return False

    def _cut(self, excess: int) -> None:
        largest = self._connection.execute(
            f"SELECT id, {_WEIGHT} AS weight, top FROM channels ORDER BY weight DESC LIMIT ?",
            (quota.LARGEST + 1,),
        ).fetchall()
        following = largest[quota.LARGEST][1] if len(largest) > quota.LARGEST else 0
        largest = largest[: quota.LARGEST]
        lowest = quota.level((weight for _, weight, _ in largest), excess, following)
        for channel, weight, top in largest:
            wanted = min(weight - lowest, excess)
            if wanted <= 0 or (self._is_late() and channel != largest[0][0]):
                return
            excess -= self._cut_channel(channel, top, wanted)

    def _cut_channel(self, channel: int, top: int, wanted: int) -> int:
        """Delete the oldest segments until they weigh so much. What was deleted, which is less when there is no time."""
        deleted = 0
        rows = self._connection.execute(
            f"SELECT id, {SIZE}, last - first + 1 FROM segments WHERE channel = ? ORDER BY last LIMIT ?",
            (channel, ROWS),
        ).fetchall()
        gone = []
        for row, size, messages in rows:
            if deleted >= wanted:
                break
            gone.append((row,))
            deleted += quota.weight(size, messages)
        self._connection.executemany("DELETE FROM segments WHERE id = ?", gone)
        if (
            not rows
        ):  # its sums are wrong, as after a repair by hand: they must not cut other channels for ever
            self._connection.execute(
                "UPDATE channels SET gone = bytes, deleted = top WHERE id = ? AND top = ?", (channel, top)
            )
        return deleted

    def _find_grown(self) -> None:
        """Channels that are too long by more than the segment of which a part is needed: since the settings were changed."""
        self._store.grown.update(
            self._connection.execute(
                "SELECT id, top FROM channels WHERE bytes - gone > ? OR top - deleted > ? LIMIT ?",
                (
                    self._limits.history_bytes + MAX_SEGMENT_BYTES,
                    self._limits.history_size + MAX_SEGMENT_MESSAGES,
                    CHANNELS,
                ),
            ).fetchall()
        )

    def vacuum(self) -> bool:
        """Give some free pages back, if many are free. True if it did: then the file has to be written to get shorter."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        return is_incremental(self._file) and give_back(self._file, max(_SPARE_PAGES, pages // 4))
