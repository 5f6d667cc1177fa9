"""Appending to the file: a group is one transaction, in the worker's thread.

Raises sqlite3.Error; the worker translates it. Statements are few and take whole groups, because each step of a statement releases
the interpreter to the event loop and has to get it back.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import clock, quota
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.plan import AppendPlan, ChannelState, StoredKey, StoredState, plan_appends
from heliograph.channels.engines.segment import pack
from heliograph.channels.engines.sqlite.connection import FileState, LogFile
from heliograph.channels.engines.sqlite.transactions import SHORT, writing
from heliograph.channels.message import Append
from heliograph.channels.names import TICKETS
from heliograph.channels.records import FORGET_INTERVAL, KEY_TTL, Appended, Limits, Notification, Outcome

#: Channels that are forgotten at once: as many as possible, as all names that are not used get another epoch then.
FORGET_ROWS = 10_000


@dataclass(frozen=True)
class Committed:
    """A group of appends that is in the log now, as the segments `first` to `last`."""

    plan: AppendPlan
    first: int
    last: int

    def notifications(self, followed: Container[str]) -> list[Notification]:
        return self.plan.notifications(followed)

    @property
    def outcomes(self) -> list[Outcome]:
        return self.plan.outcomes


@dataclass(frozen=True)
class _Row:
    id: int
    birth: str
    kept: int = 0  # bytes of its messages


class SqliteStore:
    def __init__(self, file: LogFile, limits: Limits) -> None:
        self._file, self._limits = file, limits
        self._connection = file.connection
        self._forget_again = 0.0
        self._segment_bytes = quota.segment_bytes(limits)
        #: Channels whose history may be longer than allowed: their ids and tops. At most as many as there are channels.
        self.grown: dict[int, int] = {}

    def commit(self, appends: Sequence[Append]) -> Committed:
        """Append a group. All of it is committed when this returns. Raises Locked soon."""
        with writing(self._file, SHORT) as state:
            rows, world = self._load_state(appends, state)
            done = plan_appends(appends, world)
            if done.changed:
                self._write(done, rows, state, world.now)
        last = state.last + len(done.segments)
        if done.segments:
            self._file.epoch_guard.write(state.era, last)
        return Committed(done, state.last + 1, last)

    def remove(self, name: str) -> Cursor:
        """Delete the messages of a channel, which begins anew. Raises Locked soon."""
        run = self._connection.execute
        with writing(self._file, SHORT) as state:
            found = run("SELECT id FROM channels WHERE name = ?", (name,)).fetchone()
            if found is None:
                return Cursor(state.era + state.birth, 0)
            birth = new_half()
            run("DELETE FROM segments WHERE channel = ?", found)
            run(
                "UPDATE channels SET birth = ?, top = 0, bytes = 0, gone = 0, deleted = 0 WHERE id = ?",
                (birth, *found),
            )
            self.grown.pop(found[0], None)
            return Cursor(state.era + birth, 0)

    def _load_state(self, appends: Sequence[Append], state: FileState) -> tuple[dict[str, _Row], StoredState]:
        """What is stored of the channels and keys of the group."""
        now = clock.now()
        names = json.dumps(list({append.channel for append in appends}))
        found = self._connection.execute(
            "SELECT name, id, birth, top, time, bytes - gone FROM channels WHERE name IN (SELECT value FROM json_each(?))",
            (names,),
        ).fetchall()
        rows = {name: _Row(row, birth, kept) for name, row, birth, _, _, kept in found}
        channels = {name: ChannelState(state.era + birth, top, at) for name, _, birth, top, at, _ in found}
        missing = any(append.channel not in rows and append.channel != TICKETS for append in appends)
        room = self._room(names, state, now) if missing else 0
        keys = self._keys(appends, now)
        return rows, StoredState(state.era + state.birth, room, now, channels, keys, self._segment_bytes)

    def _keys(self, appends: Sequence[Append], now: float) -> dict[tuple[str, bytes], StoredKey]:
        wanted = [[append.channel, append.key.id.hex()] for append in appends if append.key]
        if not wanted:
            return {}
        found = self._connection.execute(
            "SELECT k.channel, k.id, k.body, k.epoch, k.top, k.time FROM json_each(?) AS j JOIN keys AS k "
            "ON k.channel = j.value ->> 0 AND k.id = j.value ->> 1 WHERE k.expires > ?",
            (json.dumps(wanted), now),
        )
        return {
            (channel, bytes.fromhex(id_)): StoredKey(body, Appended(epoch, top, at))
            for channel, id_, body, epoch, top, at in found
        }

    def _room(self, names: str, state: FileState, now: float) -> int:
        """How many channels may be created. If none, channels without messages are forgotten first, except `names`.

        That of the tickets takes no room, so it is not forgotten.
        """
        room = self._limits.max_channels - self._count()
        if room <= 0 and now >= self._forget_again:
            self._forget_again = now + FORGET_INTERVAL
            forgotten = self._connection.execute(
                "DELETE FROM channels WHERE id IN (SELECT id FROM channels AS c WHERE time < ? "
                "AND NOT EXISTS (SELECT 1 FROM segments WHERE channel = c.id) "
                "AND name NOT IN (SELECT value FROM json_each(?)) AND name <> ? LIMIT ?)",
                (now - self._limits.history_ttl, names, TICKETS, FORGET_ROWS),
            ).rowcount
            if forgotten:
                # Their offsets start again when the names are used again, so the epoch has to be another one.
                state.birth = new_half()
                self._connection.execute("UPDATE state SET birth = ?", (state.birth,))
            room += forgotten
        return max(0, room)

    def _count(self) -> int:
        (count,) = self._connection.execute(
            "SELECT count(*) FROM channels WHERE name <> ?", (TICKETS,)
        ).fetchone()
        return int(count)

    def _write(self, done: AppendPlan, rows: dict[str, _Row], state: FileState, now: float) -> None:
        run, run_many = self._connection.execute, self._connection.executemany
        added = done.added()
        for name in done.new:
            channel = done.changed[name]
            (row,) = run(
                "INSERT INTO channels (name, birth, top, time, bytes) VALUES (?, ?, ?, ?, ?) RETURNING id",
                (name, state.birth, channel.top, channel.time, added[name]),
            ).fetchone()
            rows[name] = _Row(row, state.birth)
        run_many(
            "UPDATE channels SET top = ?, time = ?, bytes = bytes + ? WHERE id = ?",
            [
                (c.top, c.time, added[name], rows[name].id)
                for name, c in done.changed.items()
                if name not in done.new
            ],
        )
        run_many(
            "INSERT INTO segments (id, channel, first, last, time, data, size) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (id_, rows[s.channel].id, s.first, s.last, s.time, pack(s.messages), s.size)
                for id_, s in enumerate(done.segments, state.last + 1)
            ],
        )
        if done.keys:
            self._write_keys(done.keys, now)
        run("UPDATE state SET last = ?", (state.last + len(done.segments),))
        for name, channel in done.changed.items():
            too_long = rows[name].kept + added[name] > self._limits.history_bytes
            if too_long or channel.top > self._limits.history_size:
                self.grown[rows[name].id] = channel.top

    def _write_keys(self, keys: Mapping[tuple[str, bytes], StoredKey], now: float) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(channel, id_.hex(), kept.body, kept.answer.epoch, kept.answer.offset, kept.answer.time),
                    now + KEY_TTL,
                )
                for (channel, id_), kept in keys.items()
            ],
        )
