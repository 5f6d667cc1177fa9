"""Logs as the first version of the tables had them, to be brought to the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

ERA, BIRTH = "0123456789", "abcdefabcd"

TABLES = Path(__file__).parent / "tables"


def stored_text(version: int, engine: str) -> str:
    return (TABLES / f"{engine}-{version}.sql").read_text()


def segment(first: int, count: int, size: int) -> tuple[int, int, bytes]:
    """First and last offset, and the data."""
    head = b"\x02" + size.to_bytes(4, "big")  # bytes, and how many
    return first, first + count - 1, (head + b"x" * size) * count


def sqlite_file(path: Path, segments: int, count: int, size: int) -> None:
    """Channel `a` with so many segments of so many messages, as an orderly end left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(stored_text(1, "sqlite"))
    inode = path.stat().st_ino
    connection.execute("INSERT INTO state VALUES (1, ?, ?, ?, '', ?)", (ERA, BIRTH, segments, inode))
    path.with_name(path.name + "-seen").write_bytes(b"%s %019d\n" % (ERA.encode(), segments))
    connection.execute("INSERT INTO channels VALUES (1, 'a', ?, ?, unixepoch())", (BIRTH, segments * count))
    for number in range(segments):
        write_segment(connection, number + 1, number * count + 1, count, size)
    connection.close()


def write_segment(connection: sqlite3.Connection, row: int, start: int, count: int, size: int) -> None:
    """As version 1 does."""
    first, last, data = segment(start, count, size)
    connection.execute(
        "INSERT INTO segments (id, channel, first, last, time, data) VALUES (?, 1, ?, ?, unixepoch(), ?)",
        (row, first, last, data),
    )
    connection.execute("UPDATE channels SET top = ? WHERE id = 1", (last,))
    connection.execute("UPDATE state SET last = ?", (row,))


def postgres_tables(
    connection: psycopg.Connection[tuple[object, ...]], segments: int, count: int, size: int
) -> None:
    """Channel `a` as above."""
    connection.execute(stored_text(1, "postgres").encode())
    connection.execute(
        "INSERT INTO heliograph_channels (name, birth, top, time) "
        "VALUES ('a', %s, %s, extract(epoch FROM clock_timestamp()))",
        (BIRTH, segments * count),
    )
    for number in range(segments):
        first, last, data = segment(number * count + 1, count, size)
        connection.execute(
            "INSERT INTO heliograph_segments (channel, first, last, time, data) "
            "VALUES (1, %s, %s, extract(epoch FROM clock_timestamp()), %s)",
            (first, last, data),
        )
