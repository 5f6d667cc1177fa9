"""Presence and tickets in the file: each method is one transaction, in the worker's thread. Raises sqlite3.Error."""

from __future__ import annotations

from collections.abc import Iterable

from heliograph.channels.engines import clock
from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.transactions import writing
from heliograph.channels.presence import Present, gather


class PresenceTable:
    def __init__(self, file: LogFile, instance: str, ttl: float) -> None:
        self._file, self._instance, self._ttl = file, instance, ttl
        self._connection = file.connection

    def announce(self, changes: Iterable[tuple[str, int, str]]) -> bool:
        """`changes`: channel, number of subscribers, who they are. See PresenceStore.announce."""
        now = clock.now()
        run_many = self._connection.executemany
        rows = list(changes)
        with writing(self._file):
            known = self._connection.execute(
                "UPDATE members SET expires = ? WHERE member = ? AND expires > ?",
                (now + self._ttl, self._instance, now),
            ).rowcount
            if not known:
                self._connection.execute("DELETE FROM present WHERE member = ?", (self._instance,))
                self._connection.execute(
                    "INSERT OR REPLACE INTO members VALUES (?, ?)", (self._instance, now + self._ttl)
                )
            run_many(
                "DELETE FROM present WHERE channel = ? AND member = ?",
                [(channel, self._instance) for channel, count, _ in rows if not count],
            )
            run_many(
                "INSERT OR REPLACE INTO present VALUES (?, ?, ?, ?)",
                [(channel, self._instance, count, who) for channel, count, who in rows if count],
            )
        return bool(known)

    def present(self, channel: str) -> Present:
        return gather(
            self._connection.execute(
                "SELECT count, who FROM present JOIN members USING (member) WHERE channel = ? AND expires > ?",
                (channel, clock.now()),
            ).fetchall()
        )

    def leave(self) -> None:
        with writing(self._file):
            self._connection.execute("DELETE FROM present WHERE member = ?", (self._instance,))
            self._connection.execute("DELETE FROM members WHERE member = ?", (self._instance,))

    def use_once(self, token: str, ttl: float) -> bool:
        now = clock.now()
        with writing(self._file):
            return bool(
                self._connection.execute(
                    "INSERT INTO tokens VALUES (?1, ?2) ON CONFLICT (token) DO UPDATE SET expires = ?2 "
                    "WHERE expires <= ?3",
                    (token, now + ttl, now),
                ).rowcount
            )
