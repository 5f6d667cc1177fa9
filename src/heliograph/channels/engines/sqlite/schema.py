"""The tables. Names and columns are those of stored files: a change needs a new VERSION and a step from the one before.

The bytes of a channel's messages are counted as they are written (`channels.bytes`) and as they are deleted (`channels.gone`), so
no sum has to be looked for. Triggers count what is deleted, whichever version of this program deletes it, and what version 1
writes: during a rolling restart both versions use the file.
"""

from __future__ import annotations

from heliograph.channels.errors import LogUnavailable

#: PRAGMA user_version. A file of a newer version is refused, an older one is migrated.
VERSION = 2

#: Of a row in `segments`: the bytes of its messages, without the five that `segment.pack` adds to each.
SIZE = "coalesce(size, length(data) - 5 * (last - first + 1))"

_TRIGGERS = f"""
CREATE TRIGGER segment_deleted BEFORE DELETE ON segments BEGIN
    UPDATE channels SET gone = gone + (SELECT {SIZE} FROM segments WHERE id = OLD.id), deleted = max(deleted, OLD.last)
    WHERE id = OLD.channel; END;
CREATE TRIGGER segment_of_version_1 AFTER INSERT ON segments WHEN NEW.size IS NULL BEGIN
    UPDATE channels SET bytes = bytes + length(NEW.data) - 5 * (NEW.last - NEW.first + 1) WHERE id = NEW.channel; END;
"""

TABLES = (
    """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    era TEXT NOT NULL,       -- the first half of all epochs; a new one whenever the file may have gone back
    birth TEXT NOT NULL,     -- the second half of the epochs of channels that do not exist yet
    last INTEGER NOT NULL,   -- the highest id of a segment that was ever given out
    boot TEXT NOT NULL,      -- the boot of the machine under which commits may not be on the disk yet; empty: all are
    inode INTEGER NOT NULL,  -- of the file: a copy has another one
    probed REAL NOT NULL DEFAULT 0  -- when an instance last wrote here to see whether it can
);
CREATE TABLE channels (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out twice
    name TEXT NOT NULL UNIQUE,
    birth TEXT NOT NULL,
    top INTEGER NOT NULL,
    time REAL NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,   -- of all its messages, ever
    gone INTEGER NOT NULL DEFAULT 0,    -- of those that were deleted
    deleted INTEGER NOT NULL DEFAULT 0  -- the highest offset of those
);
CREATE TABLE segments (
    id INTEGER PRIMARY KEY,  -- in the order of the commits
    channel INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    time REAL NOT NULL,
    data BLOB NOT NULL,
    size INTEGER             -- bytes of the messages; missing in what version 1 wrote
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
    + _TRIGGERS
)

#: A file that has user_version but not these is not ours.
OWN_TABLES = frozenset(("state", "channels", "segments"))

#: By the version that they start from. Nothing that is stored is written anew: the size of a row is found when it is needed.
MIGRATIONS = {
    1: """
ALTER TABLE state ADD COLUMN probed REAL NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE channels ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segments ADD COLUMN size INTEGER;
"""
    + f"""
UPDATE channels SET bytes = coalesce((SELECT sum({SIZE}) FROM segments WHERE channel = channels.id), 0), deleted =
    coalesce((SELECT first - 1 FROM segments WHERE channel = channels.id ORDER BY last LIMIT 1), top);
"""
    + _TRIGGERS
}


def require_known(version: int) -> None:
    """Raises LogUnavailable for a file of a newer version."""
    if version > VERSION:
        raise LogUnavailable(
            f"The file of the channels is of a newer version of this program ({version}; this one knows {VERSION})."
        )


def statements_from(version: int) -> list[str]:
    """What makes the tables, or brings them to ours from an older version. Raises LogUnavailable for a newer one."""
    require_known(version)
    script = "".join(MIGRATIONS[step] for step in range(version, VERSION)) if version else TABLES
    return [statement for statement in script.split(";\n") if statement.strip()]
