"""Presence and tickets in the database."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar

from heliograph.channels.engines.postgres.connection import Connection
from heliograph.channels.engines.postgres.schema import NOW
from heliograph.channels.log import PresenceStore
from heliograph.channels.presence import Changes, Present, encode, gather
from heliograph.request.threads import in_thread

T = TypeVar("T")


class PostgresPresence(PresenceStore):
    """`run` gives a connection to a function, and raises LogUnavailable."""

    def __init__(self, run: Callable[[Callable[[Connection], object]], object], ttl: float) -> None:
        self._run, self._ttl = run, ttl
        self._instance = secrets.token_hex(8)

    def announce(self, changes: Changes) -> bool:
        rows = [(channel, *encode(subscribers)) for channel, subscribers in changes.items()]
        return bool(self._run(lambda connection: self._announce(connection, rows)))

    def _announce(self, connection: Connection, rows: list[tuple[str, int, str]]) -> bool:
        connection.execute("BEGIN")  # after an error the connection is closed, and with it the transaction
        known = connection.execute(
            f"UPDATE heliograph_members SET expires = {NOW} + %s WHERE member = %s AND expires > {NOW}".encode(),
            (self._ttl, self._instance),
        ).rowcount
        if not known:
            connection.execute("DELETE FROM heliograph_present WHERE member = %s", (self._instance,))
            connection.execute(
                f"INSERT INTO heliograph_members VALUES (%s, {NOW} + %s) "
                "ON CONFLICT (member) DO UPDATE SET expires = excluded.expires".encode(),
                (self._instance, self._ttl),
            )
        connection.execute(
            "DELETE FROM heliograph_present WHERE member = %s AND channel = ANY(%s)",
            (self._instance, [channel for channel, _, _ in rows]),
        )
        present = [row for row in rows if row[1]]
        connection.execute(
            "INSERT INTO heliograph_present SELECT channel, %s, count, who "
            "FROM unnest(%b::text[], %b::int4[], %b::text[]) AS n (channel, count, who)",
            (self._instance, *([row[i] for row in present] for i in range(3))),
        )
        connection.execute("COMMIT")
        return bool(known)

    def present(self, channel: str) -> Present:
        def look(connection: Connection) -> list[tuple[int, str]]:
            return connection.execute(
                "SELECT count, who FROM heliograph_present JOIN heliograph_members USING (member) "
                f"WHERE channel = %s AND expires > {NOW}".encode(),
                (channel,),
            ).fetchall()

        found = self._run(look)
        assert isinstance(found, list)
        return in_thread(gather, found)  # many instances name thousands

    def leave(self) -> None:
        def remove(connection: Connection) -> None:
            connection.execute("DELETE FROM heliograph_present WHERE member = %s", (self._instance,))
            connection.execute("DELETE FROM heliograph_members WHERE member = %s", (self._instance,))

        self._run(remove)

    def use_once(self, token: str, ttl: float) -> bool:
        def use(connection: Connection) -> int:
            return connection.execute(
                f"INSERT INTO heliograph_tokens AS t VALUES (%s, {NOW} + %s) ON CONFLICT (token) "
                f"DO UPDATE SET expires = excluded.expires WHERE t.expires <= {NOW}".encode(),
                (token, ttl),
            ).rowcount

        return bool(self._run(use))
