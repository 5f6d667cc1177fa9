"""Deleting what is no longer history, in short transactions. One instance trims at a time; publishers wait for none of it.

A channel is trimmed when it has grown; every `Limits.check_interval` the whole log is weighed from the sums of its channels, and
the largest are cut.
"""

from __future__ import annotations

import time

from heliograph.channels.engines import quota
from heliograph.channels.engines.postgres.connection import Connection
from heliograph.channels.engines.postgres.schema import NOW, TRIM_LOCK
from heliograph.channels.engines.postgres.store import PostgresStore
from heliograph.channels.engines.segment import MAX_SEGMENT_BYTES, MAX_SEGMENT_MESSAGES
from heliograph.channels.records import Limits

#: Rows that one statement deletes or counts at most, and of one channel.
ROWS, CHANNEL_ROWS = 1000, 100

#: Channels that one step trims.
CHANNELS = 200

_KEPT = "(c.bytes - coalesce(t.bytes, 0))"
_MESSAGES = "(c.top - coalesce(t.last, 0))"
_WEIGHT = f"({_KEPT} + {quota.OVERHEAD} * {_MESSAGES})"
_CHANNELS = "heliograph_channels AS c LEFT JOIN heliograph_trimmed AS t ON t.channel = c.id"
_OF_SEGMENT = f"(coalesce(size, 0) + {quota.OVERHEAD} * (last - first + 1))"

#: What version 1 wrote gets its size; in `heliograph_trimmed` that is as if less had been deleted.
_COUNT = b"""
WITH counted AS (
    UPDATE heliograph_segments SET size = octet_length(data) - 5 * (last - first + 1) WHERE (channel, last) IN
    (SELECT channel, last FROM heliograph_segments WHERE size IS NULL LIMIT %s FOR UPDATE SKIP LOCKED)
    RETURNING channel, size),
noted AS (
    INSERT INTO heliograph_trimmed AS t SELECT channel, -sum(size), 0 FROM counted GROUP BY channel
    ON CONFLICT (channel) DO UPDATE SET bytes = t.bytes + excluded.bytes)
SELECT count(*) FROM counted
"""

_TOO_MANY = b"""
DELETE FROM heliograph_segments WHERE (channel, last) IN (
    SELECT s.channel, s.last FROM unnest(%b::int8[], %b::int8[]) AS g (channel, floor)
    JOIN heliograph_segments AS s ON s.channel = g.channel AND s.last <= g.floor LIMIT %s FOR UPDATE OF s SKIP LOCKED)
"""

#: Whole segments only, and never the newest message.
_TOO_LONG = f"""
DELETE FROM heliograph_segments WHERE (channel, last) IN (
    SELECT channel, last FROM (
        SELECT s.channel, s.last, g.top, g.excess, sum(s.size) OVER (PARTITION BY s.channel ORDER BY s.last) AS ends
        FROM (SELECT c.id, c.top, {_KEPT} - %s AS excess FROM {_CHANNELS} WHERE c.id = ANY(%s)) AS g
        CROSS JOIN LATERAL (
            SELECT channel, last, coalesce(size, 0) AS size FROM heliograph_segments
            WHERE channel = g.id AND g.excess > 0 ORDER BY last LIMIT %s) AS s) AS q
    WHERE ends <= excess AND last < top)
""".encode()

_TOO_OLD = (
    "DELETE FROM heliograph_segments WHERE (channel, last) IN (SELECT channel, last FROM heliograph_segments "
    f"WHERE time < {NOW} - %s LIMIT %s FOR UPDATE SKIP LOCKED)"
).encode()

#: The oldest segments of a channel that begin within a weight.
_CUT = f"""
DELETE FROM heliograph_segments WHERE (channel, last) IN (
    SELECT channel, last FROM (
        SELECT channel, last, sum(weight) OVER (ORDER BY last) - weight AS starts FROM (
            SELECT channel, last, {_OF_SEGMENT} AS weight FROM heliograph_segments
            WHERE channel = %s ORDER BY last LIMIT %s) AS s) AS q
    WHERE starts < %s)
RETURNING {_OF_SEGMENT}
""".encode()


class PostgresTrimmer:
    def __init__(self, store: PostgresStore, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._weigh_at = 0.0

    def step(self, connection: Connection) -> bool | None:
        """One transaction, which ends with the connection after an error. True if there may be more to do.

        None if another instance trims now; the next step is soon.
        """
        connection.execute("BEGIN")
        row = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", (TRIM_LOCK,)).fetchone()
        if row is None or not row[0]:
            connection.execute("ROLLBACK")
            return None
        more = self._count(connection)
        more = self._trim_grown(connection) or more
        more = self._trim_expired(connection) or more
        more = self._weigh(connection) or more
        connection.execute("COMMIT")
        return more

    def _count(self, connection: Connection) -> bool:
        row = connection.execute(_COUNT, (ROWS,)).fetchone()
        return row is not None and row[0] >= ROWS

    def _trim_grown(self, connection: Connection) -> bool:
        grown = dict(list(self._store.grown.items())[:CHANNELS])
        if not grown:
            return False
        floors = [top - self._limits.history_size for top in grown.values()]
        deleted = connection.execute(_TOO_MANY, (list(grown), floors, ROWS)).rowcount
        too_long = (self._limits.history_bytes, list(grown), CHANNEL_ROWS)
        more = connection.execute(_TOO_LONG, too_long).rowcount
        if deleted >= ROWS or more >= CHANNEL_ROWS:
            return True
        for channel, top in grown.items():
            if self._store.grown.get(channel) == top:
                del self._store.grown[channel]
        return bool(self._store.grown)

    def _trim_expired(self, connection: Connection) -> bool:
        deleted = [connection.execute(_TOO_OLD, (self._limits.history_ttl, ROWS)).rowcount]
        for table, key in (("keys", "channel, id"), ("tokens", "token"), ("members", "member")):
            statement = (
                f"DELETE FROM heliograph_{table} WHERE ({key}) IN (SELECT {key} FROM heliograph_{table} "
                f"WHERE expires < {NOW} LIMIT %s FOR UPDATE SKIP LOCKED)"
            )
            deleted.append(connection.execute(statement.encode(), (ROWS,)).rowcount)
        connection.execute(
            "DELETE FROM heliograph_present WHERE member NOT IN (SELECT member FROM heliograph_members)"
        )
        return max(deleted) >= ROWS

    def _weigh(self, connection: Connection) -> bool:
        """Cut the largest channels if the whole log is too large. True if it still may be."""
        now = time.monotonic()
        if now < self._weigh_at:
            return False
        row = connection.execute(
            f"SELECT coalesce(sum({_WEIGHT}), 0)::bigint FROM {_CHANNELS}".encode()
        ).fetchone()
        excess = row[0] - self._limits.log_bytes if row is not None else 0
        if excess > 0 and self._cut(connection, excess):
            return True  # look again
        self._weigh_at = now + self._limits.check_interval
        self._find_grown(connection)
        connection.execute(
            "DELETE FROM heliograph_trimmed AS t WHERE NOT EXISTS (SELECT 1 FROM heliograph_channels WHERE id = t.channel)"
        )
        return False

    def _cut(self, connection: Connection, excess: int) -> bool:
        """True if something was deleted."""
        largest = connection.execute(
            f"SELECT c.id, {_WEIGHT}::bigint FROM {_CHANNELS} ORDER BY 2 DESC LIMIT %s".encode(),
            (quota.LARGEST + 1,),
        ).fetchall()
        following = largest[quota.LARGEST][1] if len(largest) > quota.LARGEST else 0
        largest = largest[: quota.LARGEST]
        lowest = quota.level((weight for _, weight in largest), excess, following)
        deleted = 0
        for channel, weight in largest:
            wanted = min(weight - lowest, excess - deleted)
            if wanted <= 0:
                break
            rows = connection.execute(_CUT, (channel, CHANNEL_ROWS, wanted)).fetchall()
            deleted += sum(of_segment for (of_segment,) in rows)
        return deleted > 0

    def _find_grown(self, connection: Connection) -> None:
        """Channels that are too long by more than the segment of which a part is needed: since the settings were changed."""
        found = connection.execute(
            f"SELECT c.id, c.top FROM {_CHANNELS} WHERE {_KEPT} > %s OR {_MESSAGES} > %s LIMIT %s".encode(),
            (
                self._limits.history_bytes + MAX_SEGMENT_BYTES,
                self._limits.history_size + MAX_SEGMENT_MESSAGES,
                CHANNELS,
            ),
        ).fetchall()
        self._store.grown.update(found)
