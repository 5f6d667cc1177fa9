"""The file as a source or target of a copy: one transaction each. In a process of its own, without an event loop.

A target has segments in the order of its channels, and not of their times. So trimming by age gets to them late: at the latest when
all that was copied is too old. Reading decides exactly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from heliograph.channels.engines import clock
from heliograph.channels.engines.copied import CopiedChannel, CopiedKey, Source, Target, not_empty
from heliograph.channels.engines.plan import Segment, StoredKey
from heliograph.channels.engines.segment import pack, unpack
from heliograph.channels.engines.sqlite.commands import opened, require_file
from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.transactions import LONG, is_expected, unavailable, writing
from heliograph.channels.location import Location
from heliograph.channels.records import Appended

#: Bytes to which the write-ahead log is cut after it was written to the file.
_WAL_REST = 16 << 20


@contextmanager
def source(location: Location) -> Iterator[SqliteSource]:
    path = Path(location.path)
    require_file(path)
    with _translated(), opened(path, _WAL_REST) as file:
        file.connection.execute("BEGIN")
        yield SqliteSource(file)
        file.connection.execute("COMMIT")


@contextmanager
def target(location: Location, _history_ttl: float) -> Iterator[SqliteTarget]:
    with _translated(), opened(Path(location.path), _WAL_REST) as file:
        with writing(file, LONG) as state:
            if file.connection.execute("SELECT EXISTS (SELECT 1 FROM channels)").fetchone()[0]:
                raise not_empty(location.shown)
            made = SqliteTarget(file, state.last)
            yield made
            era = file.state().era
            # Before the commit: should that fail, the file gets another epoch, and it has no messages.
            file.epoch_guard.write(era, made.last)
        file.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError) as exc:
        if not is_expected(exc):
            raise
        raise unavailable(exc) from exc


class SqliteSource(Source):
    def __init__(self, file: LogFile) -> None:
        self._file, self._run = file, file.connection.execute

    def epochs(self) -> tuple[str, str]:
        state = self._file.state()
        return state.era, state.birth

    def channels(self) -> Iterator[CopiedChannel]:
        for row in self._run("SELECT name, birth, top, time FROM channels ORDER BY id"):
            yield CopiedChannel(*row)

    def segments(self, channel: CopiedChannel) -> Iterator[Segment]:
        rows = self._run(
            "SELECT first, time, data FROM segments WHERE channel = (SELECT id FROM channels WHERE name = ?) ORDER BY last",
            (channel.name,),
        )
        for first, at, data in rows:
            messages = [(message.kind, message.data) for message in unpack(first, at, data)]
            yield Segment(channel.name, first, at, messages, sum(len(data) for _, data in messages))

    def idempotency_keys(self) -> Iterator[CopiedKey]:
        now = clock.now()
        rows = self._run(
            "SELECT channel, id, body, epoch, top, time, expires FROM keys WHERE expires > ?", (now,)
        )
        for channel, id_, body, epoch, top, at, expires in rows:
            kept = StoredKey(body, Appended(epoch, top, at))
            yield CopiedKey(channel, bytes.fromhex(id_), kept, expires - now)

    def tickets(self) -> Iterator[tuple[str, float]]:
        now = clock.now()
        yield from self._run("SELECT token, expires - ?1 FROM tokens WHERE expires > ?1", (now,))


class SqliteTarget(Target):
    """`last` is the highest id of a segment."""

    def __init__(self, file: LogFile, last: int) -> None:
        self._run, self.last = file.connection.execute, last

    def begin(self, era: str, birth: str) -> None:
        self._run("UPDATE state SET era = ?, birth = ?", (era, birth))

    def add(self, channel: CopiedChannel, segments: Iterable[Segment]) -> None:
        (row,) = self._run(
            "INSERT INTO channels (name, birth, top, time) VALUES (?, ?, ?, ?) RETURNING id",
            (channel.name, channel.birth, channel.top, channel.time),
        ).fetchone()
        size, deleted = 0, channel.top
        for segment in segments:
            self.last += 1
            deleted, size = min(deleted, segment.first - 1), size + segment.size
            self._run(
                "INSERT INTO segments (id, channel, first, last, time, data, size) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(self.last, row, segment.first, segment.last, segment.time),
                    *(pack(segment.messages), segment.size),
                ),
            )
        self._run("UPDATE channels SET bytes = ?, deleted = ? WHERE id = ?", (size, deleted, row))
        self._run("UPDATE state SET last = ?", (self.last,))

    def add_key(self, key: CopiedKey) -> None:
        kept, answer = key.kept, key.kept.answer
        self._run(
            "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(key.channel, key.id.hex(), kept.body, answer.epoch, answer.offset, answer.time),
                clock.now() + key.left,
            ),
        )

    def add_ticket(self, token: str, left: float) -> None:
        self._run("INSERT OR REPLACE INTO tokens VALUES (?, ?)", (token, clock.now() + left))
