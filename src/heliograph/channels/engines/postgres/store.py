"""Appending to the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import quota
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.plan import AppendPlan, ChannelState, StoredKey, StoredState, plan_appends
from heliograph.channels.engines.postgres.connection import Connection
from heliograph.channels.engines.postgres.schema import NOW
from heliograph.channels.engines.segment import pack
from heliograph.channels.message import Append
from heliograph.channels.names import TICKETS
from heliograph.channels.records import KEY_TTL, Appended, Limits

#: The notification channel, and the bytes that one notification may have (PostgreSQL: fewer than 8000).
CHANNEL, MAX_PAYLOAD = "heliograph", 7900

#: Channels that are forgotten at once: as many as possible, as all names that are not used get another epoch then.
FORGET_ROWS = 10_000


class _Conflict(Exception):
    """Another instance created the same channel at the same time. Nothing was written: begin again."""


class _Row(NamedTuple):
    """`bytes`: of all messages of the channel, ever."""

    id: int
    bytes: int


class PostgresStore:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._segment_bytes = quota.segment_bytes(limits)
        #: Channels whose history may be longer than allowed: their ids and tops.
        self.grown: dict[int, int] = {}

    def commit(self, connection: Connection, appends: Sequence[Append]) -> AppendPlan:
        """Append a group in one transaction. The rows of the channels are locked in the order of their names."""
        while True:
            try:
                done, rows = self._try(connection, appends)
                break
            except _Conflict:
                continue  # the channel exists now, so this ends
        added = done.added()
        for name, channel in done.changed.items():
            # How much of it was deleted only trimming knows.
            if (
                channel.top > self._limits.history_size
                or rows[name].bytes + added[name] > self._limits.history_bytes
            ):
                self.grown[rows[name].id] = channel.top
        return done

    def _try(self, connection: Connection, appends: Sequence[Append]) -> tuple[AppendPlan, dict[str, _Row]]:
        """Any other error than `_Conflict` leaves the transaction open: the connection must be closed then.

        psycopg's own contexts for transactions and pipelines would talk to a server again that has just failed.
        """
        connection.execute("BEGIN")
        rows, world = self._load_state(connection, appends)
        done = plan_appends(appends, world)
        try:
            if done.changed:
                self._create(connection, done, rows)
                self._write(connection, done, rows, world.now)
        except _Conflict:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return done, rows

    def _load_state(
        self, connection: Connection, appends: Sequence[Append]
    ) -> tuple[dict[str, _Row], StoredState]:
        names = sorted({append.channel for append in appends})
        found = connection.execute(
            "SELECT name, id, birth, top, time, bytes FROM heliograph_channels WHERE name = ANY(%s) ORDER BY name FOR UPDATE",
            (names,),
        ).fetchall()
        row = connection.execute(f"SELECT era, birth, {NOW} FROM heliograph_state".encode()).fetchone()
        assert row is not None
        era, birth, now = row
        room = 0
        if {*names} - {name for name, *_ in found} - {TICKETS}:
            birth, room = self._room(connection, names, now)
        rows = {name: _Row(id_, size) for name, id_, _, _, _, size in found}
        channels = {name: ChannelState(era + own, top, time) for name, _, own, top, time, _ in found}
        keys = self._keys(connection, appends, now)
        return rows, StoredState(era + birth, room, now, channels, keys, self._segment_bytes)

    def _keys(
        self, connection: Connection, appends: Sequence[Append], now: float
    ) -> dict[tuple[str, bytes], StoredKey]:
        wanted = [(append.channel, append.key.id) for append in appends if append.key]
        if not wanted:
            return {}
        found = connection.execute(
            "SELECT channel, id, body, epoch, top, time FROM heliograph_keys JOIN unnest(%b::text[], %b::bytea[]) "
            "AS wanted (channel, id) USING (channel, id) WHERE expires > %s",
            ([channel for channel, _ in wanted], [id_ for _, id_ in wanted], now),
        )
        return {
            (channel, id_): StoredKey(body, Appended(epoch, top, time))
            for channel, id_, body, epoch, top, time in found
        }

    def _room(self, connection: Connection, names: Sequence[str], now: float) -> tuple[str, int]:
        """The birth of new channels, and how many may be created. If none, channels without messages are forgotten first.

        The state is locked: no other instance may give an old birth to a name that was forgotten meanwhile. The channel of the
        tickets takes no room, so it is not forgotten.
        """
        row = connection.execute(
            "SELECT birth, (SELECT count(*) FROM heliograph_channels WHERE name <> %s) FROM heliograph_state FOR UPDATE",
            (TICKETS,),
        ).fetchone()
        assert row is not None
        birth, count = row
        if count < self._limits.max_channels:
            return str(birth), self._limits.max_channels - count
        forgotten = connection.execute(
            "DELETE FROM heliograph_channels WHERE id IN (SELECT id FROM heliograph_channels AS c WHERE time < %s "
            "AND NOT EXISTS (SELECT 1 FROM heliograph_segments WHERE channel = c.id) AND name <> ALL(%s) "
            "LIMIT %s FOR UPDATE SKIP LOCKED)",
            (now - self._limits.history_ttl, [*names, TICKETS], FORGET_ROWS),
        ).rowcount
        if forgotten:
            birth = new_half()
            connection.execute("UPDATE heliograph_state SET birth = %s", (birth,))
        return str(birth), max(0, self._limits.max_channels - count + forgotten)

    def _create(self, connection: Connection, done: AppendPlan, rows: dict[str, _Row]) -> None:
        """New channels, in the order of their names; their tops are written with the others'."""
        for name in sorted(done.new):
            channel = done.changed[name]
            made = connection.execute(
                "INSERT INTO heliograph_channels (name, birth, top, time) VALUES (%s, %s, 0, 0) "
                "ON CONFLICT DO NOTHING RETURNING id",
                (name, channel.epoch[len(channel.epoch) // 2 :]),
            ).fetchone()
            if made is None:
                raise _Conflict
            rows[name] = _Row(made[0], 0)

    def _write(self, connection: Connection, done: AppendPlan, rows: Mapping[str, _Row], now: float) -> None:
        changed, segments, added = done.changed, done.segments, done.added()
        connection.execute(
            "WITH s AS (INSERT INTO heliograph_segments (channel, first, last, time, data, size) "
            "SELECT * FROM unnest(%b::int8[], %b::int8[], %b::int8[], %b::float8[], %b::bytea[], %b::int4[])), "
            "c AS (UPDATE heliograph_channels AS c SET top = n.top, time = n.time, bytes = c.bytes + n.bytes "
            "FROM unnest(%b::int8[], %b::int8[], %b::float8[], %b::int8[]) AS n (id, top, time, bytes) WHERE c.id = n.id) "
            "SELECT pg_notify(%s, payload) FROM unnest(%b::text[]) AS payload",
            (
                [rows[s.channel].id for s in segments],
                [s.first for s in segments],
                [s.last for s in segments],
                [s.time for s in segments],
                [pack(s.messages) for s in segments],
                [s.size for s in segments],
                [rows[name].id for name in changed],
                [c.top for c in changed.values()],
                [c.time for c in changed.values()],
                [added[name] for name in changed],
                CHANNEL,
                _payloads(changed),
            ),
        )
        if done.keys:
            self._write_keys(connection, done.keys, now + KEY_TTL)

    def _write_keys(
        self, connection: Connection, keys: Mapping[tuple[str, bytes], StoredKey], expires: float
    ) -> None:
        kept = list(keys.values())
        connection.execute(
            "INSERT INTO heliograph_keys SELECT channel, id, body, epoch, top, time, %s "
            "FROM unnest(%b::text[], %b::bytea[], %b::bytea[], %b::text[], %b::int8[], %b::float8[]) "
            "AS n (channel, id, body, epoch, top, time) ORDER BY channel, id ON CONFLICT (channel, id) DO UPDATE "
            "SET body = excluded.body, epoch = excluded.epoch, top = excluded.top, time = excluded.time, "
            "expires = excluded.expires",
            (
                expires,
                [channel for channel, _ in keys],
                [id_ for _, id_ in keys],
                [k.body for k in kept],
                [k.answer.epoch for k in kept],
                [k.answer.offset for k in kept],
                [k.answer.time for k in kept],
            ),
        )


def remove(connection: Connection, name: str) -> Cursor:
    """Delete the messages of a channel, which begins anew. After an error the connection is closed, and with it the transaction."""
    run, birth = connection.execute, new_half()
    run("BEGIN")
    found = run(
        "UPDATE heliograph_channels SET birth = %s, top = 0, bytes = 0 WHERE name = %s RETURNING id",
        (birth, name),
    ).fetchone()
    row = run("SELECT era, birth FROM heliograph_state").fetchone()
    assert row is not None
    if found is not None:
        run("DELETE FROM heliograph_segments WHERE channel = %s", found)
        run("DELETE FROM heliograph_trimmed WHERE channel = %s", found)
        run("SELECT pg_notify(%s, %s)", (CHANNEL, f"{name} {row[0]}{birth} 0"))
    run("COMMIT")
    return Cursor(row[0] + (row[1] if found is None else birth), 0)


def _payloads(changed: Mapping[str, ChannelState]) -> list[str]:
    """A line `name epoch top` for each channel, in as many notifications as they need."""
    payloads: list[str] = []
    lines: list[str] = []
    size = 0
    for name, channel in changed.items():
        line = f"{name} {channel.epoch} {channel.top}"
        if size + len(line) + 1 > MAX_PAYLOAD:
            payloads.append("\n".join(lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    return [*payloads, "\n".join(lines)]
