"""Makes the room of deleted rows free for new ones. Plain VACUUM: readers and publishers go on."""

from __future__ import annotations

from contextlib import closing

from psycopg import sql

from heliograph.channels.engines.postgres.connection import FAILURES, connect, unavailable
from heliograph.channels.errors import LogUnavailable

_TABLES = ("channels", "segments", "trimmed", "keys", "tokens", "members", "present", "state")


def vacuum(url: str) -> None:
    """Raises LogUnavailable: also for a table that the role may not vacuum, which the server only warns of."""
    warnings: list[str] = []
    try:
        with closing(connect(url)) as connection:
            connection.add_notice_handler(lambda told: warnings.append(told.message_primary or ""))
            for table in _TABLES:
                name = sql.Identifier(f"heliograph_{table}")
                connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(name))
    except FAILURES as exc:
        raise unavailable(exc) from exc
    if warnings:
        raise LogUnavailable(f"PostgreSQL: {warnings[0]}")
