"""Reading the database: pages, tops, channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import quota, window
from heliograph.channels.engines.postgres.connection import Connection
from heliograph.channels.engines.postgres.schema import NOW
from heliograph.channels.engines.segment import unpack
from heliograph.channels.records import MAX_PAGE_BYTES, ChannelInfo, ChannelPage, Limits, Page

#: Sizes of segments that are read at once: more than trimming leaves behind.
SIZES = 256


def page(connection: Connection, channel: str, after: Cursor | None, limit: int, limits: Limits) -> Page:
    found = connection.execute(
        f"SELECT c.id, s.era || coalesce(c.birth, s.birth), coalesce(c.top, 0), {NOW}, c.bytes - coalesce(t.bytes, 0) "
        "FROM heliograph_state AS s LEFT JOIN heliograph_channels AS c ON c.name = %s "
        "LEFT JOIN heliograph_trimmed AS t ON t.channel = c.id".encode(),
        (channel,),
    ).fetchone()
    assert found is not None
    row, epoch, top, now, kept = found
    if not window.known(after, epoch, top, limits):
        return window.lost(epoch, top)
    start = window.floor(after, top, limits)
    if row is not None and kept > limits.history_bytes:
        start = max(start, _beyond_bytes(connection, row, top, kept - limits.history_bytes))
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


def _beyond_bytes(connection: Connection, row: int, top: int, excess: int) -> int:
    """The offset up to which messages are not history any more, although trimming has not come to them yet."""
    offset, excess = quota.whole_segments(_sizes(connection, row), excess)
    found = connection.execute(
        "SELECT first, time, data FROM heliograph_segments WHERE channel = %s AND last > %s ORDER BY last LIMIT 1",
        (row, offset),
        binary=True,
    ).fetchone()
    if found is not None:
        offset = max(offset, quota.offset_beyond(unpack(*found), excess))
    return min(offset, top - 1)


def _sizes(connection: Connection, row: int) -> Iterator[tuple[int, int]]:
    """Last offsets and sizes of the segments, from the oldest on."""
    last = 0
    while True:
        found = connection.execute(
            "SELECT last, coalesce(size, 0) FROM heliograph_segments WHERE channel = %s AND last > %s ORDER BY last LIMIT %s",
            (row, last, SIZES),
        ).fetchall()
        yield from found
        if len(found) < SIZES:
            return
        last = found[-1][0]


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
