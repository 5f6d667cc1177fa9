"""Reading the database: pages, tops, channels."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import window
from heliograph.channels.engines.postgres.connection import Connection
from heliograph.channels.engines.postgres.schema import NOW
from heliograph.channels.engines.segment import unpack
from heliograph.channels.records import MAX_PAGE_BYTES, ChannelInfo, ChannelPage, Limits, Page


def page(connection: Connection, channel: str, after: Cursor | None, limit: int, limits: Limits) -> Page:
    found = connection.execute(
        f"SELECT c.id, s.era || coalesce(c.birth, s.birth), coalesce(c.top, 0), {NOW} "
        "FROM heliograph_state AS s LEFT JOIN heliograph_channels AS c ON c.name = %s".encode(),
        (channel,),
    ).fetchone()
    assert found is not None
    row, epoch, top, now = found
    if not window.known(after, epoch, top, limits):
        return window.lost(epoch, top)
    start = window.floor(after, top, limits)
    segments = []
    if row is not None and start < top:
        # As many segments as are needed at most, and no more than begin within the bytes of a page.
        segments = connection.execute(
            "SELECT first, time, data FROM (SELECT first, last, time, data, "
            "sum(octet_length(data)) OVER (ORDER BY last) - octet_length(data) AS before FROM heliograph_segments "
            "WHERE channel = %s AND last > %s AND time >= %s ORDER BY last LIMIT %s) AS q "
            "WHERE before <= %s ORDER BY last",
            (row, start, now - limits.history_ttl, limit, MAX_PAGE_BYTES),
            binary=True,
        ).fetchall()
    messages = (m for first, time, data in segments for m in unpack(first, time, data, start))
    return window.page(epoch, top, after, messages, (limits, now, limit))


def tops(connection: Connection, channels: Sequence[str]) -> dict[str, Cursor]:
    rows = connection.execute(
        "SELECT wanted.name, s.era || coalesce(c.birth, s.birth), coalesce(c.top, 0) FROM heliograph_state AS s, "
        "unnest(%b::text[]) AS wanted (name) LEFT JOIN heliograph_channels AS c ON c.name = wanted.name",
        (list(channels),),
    )
    return {name: Cursor(epoch, top) for name, epoch, top in rows}


def channels(connection: Connection, wanted: ChannelPage) -> list[ChannelInfo]:
    page = (wanted.after, wanted.prefix, wanted.end, wanted.limit)
    rows = connection.execute(
        "WITH counts AS (SELECT channel, sum(count)::bigint AS count FROM heliograph_present "
        f"JOIN heliograph_members USING (member) WHERE expires > {NOW} "
        "AND channel > %s AND channel >= %s AND channel < %s GROUP BY channel ORDER BY channel LIMIT %s), "
        "used AS (SELECT name, birth, top FROM heliograph_channels "
        "WHERE name > %s AND name >= %s AND name < %s ORDER BY name LIMIT %s) "
        "SELECT coalesce(c.name, n.channel), s.era || coalesce(c.birth, s.birth), coalesce(c.top, 0), "
        "coalesce(n.count, 0) FROM heliograph_state AS s, used AS c "
        "FULL JOIN counts AS n ON n.channel = c.name".encode(),
        (*page, *page),
    )
    return [ChannelInfo(*row) for row in sorted(rows)[: wanted.limit]]
