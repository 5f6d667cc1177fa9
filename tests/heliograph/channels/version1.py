"""Logs as the first version of the tables had them, to be brought to the present one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

ERA, BIRTH = "0123456789", "abcdefabcd"

SQLITE = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    era TEXT NOT NULL,       -- the first half of all epochs; a new one whenever the file may have gone back
    birth TEXT NOT NULL,     -- the second half of the epochs of channels that do not exist yet
    last INTEGER NOT NULL,   -- the highest id of a segment that was ever given out
    boot TEXT NOT NULL,      -- the boot of the machine under which commits may not be on the disk yet; empty: all are
    inode INTEGER NOT NULL   -- of the file: a copy has another one
);
CREATE TABLE channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out twice
    name TEXT NOT NULL UNIQUE,
    birth TEXT NOT NULL,
    top INTEGER NOT NULL,
    time REAL NOT NULL
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,  -- in the order of the commits
    channel INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    time REAL NOT NULL,
    data BLOB NOT NULL
);
CREATE UNIQUE INDEX segments_of_channel ON segments (channel, last);
CREATE TABLE keys (
    channel TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    epoch TEXT NOT NULL, top INTEGER NOT NULL, time REAL NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (channel, id)
) WITHOUT ROWID;
CREATE INDEX keys_by_end ON keys (expires);
CREATE TABLE tokens (token TEXT PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX tokens_by_end ON tokens (expires);
CREATE TABLE members (member TEXT PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE present (
    channel TEXT NOT NULL, member TEXT NOT NULL, count INTEGER NOT NULL, who TEXT NOT NULL,
    PRIMARY KEY (channel, member)
) WITHOUT ROWID;
CREATE INDEX present_by_member ON present (member);
"""

POSTGRES = """
CREATE TABLE IF NOT EXISTS heliograph_state (
    one integer PRIMARY KEY CHECK (one = 1),
    version integer NOT NULL,
    era text NOT NULL,     -- the first half of all epochs; a new one whenever the database may have gone back
    birth text NOT NULL,   -- the second half of the epochs of channels that do not exist yet
    server text NOT NULL   -- whose history this is: the cluster and its timeline
);
CREATE TABLE IF NOT EXISTS heliograph_channels (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    birth text NOT NULL,
    top bigint NOT NULL,
    time double precision NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS heliograph_segments (
    channel bigint NOT NULL,
    last bigint NOT NULL,
    first bigint NOT NULL,
    time double precision NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (channel, last)
);
CREATE INDEX IF NOT EXISTS heliograph_segments_time ON heliograph_segments USING brin (time);
CREATE TABLE IF NOT EXISTS heliograph_keys (
    channel text COLLATE "C" NOT NULL, id bytea NOT NULL, body bytea NOT NULL,
    epoch text NOT NULL, top bigint NOT NULL, time double precision NOT NULL, expires double precision NOT NULL,
    PRIMARY KEY (channel, id)
);
CREATE INDEX IF NOT EXISTS heliograph_keys_end ON heliograph_keys (expires);
CREATE TABLE IF NOT EXISTS heliograph_tokens (token text PRIMARY KEY, expires double precision NOT NULL);
CREATE TABLE IF NOT EXISTS heliograph_members (member text PRIMARY KEY, expires double precision NOT NULL);
CREATE TABLE IF NOT EXISTS heliograph_present (
    channel text COLLATE "C" NOT NULL, member text NOT NULL, count integer NOT NULL, who text NOT NULL,
    PRIMARY KEY (channel, member)
);
INSERT INTO heliograph_state VALUES (1, 1, '0123456789', 'abcdefabcd', '') ON CONFLICT DO NOTHING;
"""


def segment(first: int, count: int, size: int) -> tuple[int, int, bytes]:
    """First and last offset, and the data."""
    head = b"\x02" + size.to_bytes(4, "big")  # bytes, and how many
    return first, first + count - 1, (head + b"x" * size) * count


def sqlite_file(path: Path, segments: int, count: int, size: int) -> None:
    """Channel `a` with so many segments of so many messages, as an orderly end left it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SQLITE)
    connection.execute("PRAGMA user_version = 1")
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
    connection.execute(POSTGRES.encode())
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
