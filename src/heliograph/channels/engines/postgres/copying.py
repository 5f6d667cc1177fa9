"""The tables as a source or target of a copy: one transaction each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from heliograph.channels.engines.copied import CopiedChannel, CopiedKey, Source, Target, not_empty
from heliograph.channels.engines.plan import Segment, StoredKey
from heliograph.channels.engines.postgres.connection import FAILURES, Connection, connect, unavailable
from heliograph.channels.engines.postgres.schema import NOW
from heliograph.channels.engines.segment import pack, unpack
from heliograph.channels.location import Location
from heliograph.channels.records import Appended

#: Rows, and segments, that are read at once: at most 16 MiB.
_ROWS, _SEGMENTS = 1000, 64

#: Milliseconds to wait for instances that use the tables of a target.
_LOCK_TIMEOUT = 5000

_ADD = b"INSERT INTO heliograph_segments (channel, first, last, time, data, size) VALUES (%s, %s, %s, %s, %s, %s)"


@contextmanager
def source(location: Location) -> Iterator[PostgresSource]:
    with _connected(location) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield PostgresSource(connection)
        connection.execute("COMMIT")


@contextmanager
def target(location: Location, _history_ttl: float) -> Iterator[PostgresTarget]:
    with _connected(location) as connection:
        connection.execute("BEGIN")
        connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}".encode())
        connection.execute("LOCK TABLE heliograph_channels, heliograph_segments IN EXCLUSIVE MODE")
        if connection.execute("SELECT 1 FROM heliograph_channels LIMIT 1").fetchone():
            raise not_empty(location.shown)
        yield PostgresTarget(connection)
        connection.execute("COMMIT")


@contextmanager
def _connected(location: Location) -> Iterator[Connection]:
    """After an error the connection is closed, and with it the transaction."""
    try:
        with closing(connect(location.url)) as connection:
            yield connection
    except FAILURES as exc:
        raise unavailable(exc) from exc


class PostgresSource(Source):
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def epochs(self) -> tuple[str, str]:
        row = self._connection.execute("SELECT era, birth FROM heliograph_state").fetchone()
        assert row is not None
        return row[0], row[1]

    def channels(self) -> Iterator[CopiedChannel]:
        for row in self._rows(
            "SELECT name, birth, top, time FROM heliograph_channels WHERE name > %s ORDER BY name"
        ):
            yield CopiedChannel(*row)

    def segments(self, channel: CopiedChannel) -> Iterator[Segment]:
        after = 0
        while True:
            rows = self._connection.execute(
                "SELECT first, last, time, data FROM heliograph_segments "
                "WHERE channel = (SELECT id FROM heliograph_channels WHERE name = %s) AND last > %s ORDER BY last LIMIT %s",
                (channel.name, after, _SEGMENTS),
            ).fetchall()
            for first, last, at, data in rows:
                messages = [(message.kind, message.data) for message in unpack(first, at, data)]
                yield Segment(channel.name, first, at, messages, sum(len(data) for _, data in messages))
                after = last
            if len(rows) < _SEGMENTS:
                return

    def idempotency_keys(self) -> Iterator[CopiedKey]:
        query = (
            f"SELECT channel, id, body, epoch, top, time, expires - {NOW} FROM heliograph_keys "
            f"WHERE expires > {NOW} AND (channel, id) > (%s, %s) ORDER BY channel, id"
        )
        for channel, id_, body, epoch, top, at, left in self._rows(query, ("", b"")):
            yield CopiedKey(channel, id_, StoredKey(body, Appended(epoch, top, at)), left)

    def tickets(self) -> Iterator[tuple[str, float]]:
        query = f"SELECT token, expires - {NOW} FROM heliograph_tokens WHERE expires > {NOW} AND token > %s ORDER BY token"
        for token, left in self._rows(query):  # noqa: UP028 (mypy knows two columns then)
            yield token, left

    def _rows(self, query: str, after: tuple[Any, ...] = ("",)) -> Iterator[tuple[Any, ...]]:
        """All of them, a page at a time; the first columns are the key."""
        while True:
            rows = self._connection.execute(f"{query} LIMIT {_ROWS}".encode(), after).fetchall()
            yield from rows
            if len(rows) < _ROWS:
                return
            after = rows[-1][: len(after)]


class PostgresTarget(Target):
    def __init__(self, connection: Connection) -> None:
        self._connection, self._run = connection, connection.execute

    def begin(self, era: str, birth: str) -> None:
        self._run("UPDATE heliograph_state SET era = %s, birth = %s", (era, birth))

    def add(self, channel: CopiedChannel, segments: Iterable[Segment]) -> None:
        row = self._run(
            "INSERT INTO heliograph_channels (name, birth, top, time) VALUES (%s, %s, %s, %s) RETURNING id",
            (channel.name, channel.birth, channel.top, channel.time),
        ).fetchone()
        assert row is not None
        size, deleted = 0, channel.top
        for segment in segments:
            deleted, size = min(deleted, segment.first - 1), size + segment.size
            data = (row[0], segment.first, segment.last, segment.time, pack(segment.messages), segment.size)
            self._run(_ADD, data)
        self._run("UPDATE heliograph_channels SET bytes = %s WHERE id = %s", (size, row[0]))
        self._run("INSERT INTO heliograph_trimmed VALUES (%s, 0, %s)", (row[0], deleted))

    def add_key(self, key: CopiedKey) -> None:
        kept, answer = key.kept, key.kept.answer
        self._run(
            f"INSERT INTO heliograph_keys VALUES (%s, %s, %s, %s, %s, %s, {NOW} + %s) "
            "ON CONFLICT DO NOTHING".encode(),
            (key.channel, key.id, kept.body, answer.epoch, answer.offset, answer.time, key.left),
        )

    def add_ticket(self, token: str, left: float) -> None:
        self._run(
            f"INSERT INTO heliograph_tokens VALUES (%s, {NOW} + %s) ON CONFLICT DO NOTHING".encode(),
            (token, left),
        )
