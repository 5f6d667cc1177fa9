"""The tables. Names and columns are those of existing databases: a change needs a new VERSION and a step from the one before.

The bytes of a channel's messages are counted when they are written (`heliograph_channels.bytes`) and when they are deleted, in a
table that publishers do not touch (`heliograph_trimmed`). What version 1 wrote, also during a rolling restart, has no size yet and
is counted in steps (`trimming.py`).
"""

from __future__ import annotations

#: In heliograph_state. Tables of a newer version are refused, older ones are migrated.
VERSION = 2

#: Of advisory locks: two instances that start at once must not both create the tables, and one trims at a time.
LOCK, TRIM_LOCK = 7_350_127_316_441, 7_350_127_316_442

_TRIMMED = """
CREATE TABLE IF NOT EXISTS heliograph_trimmed (
    channel bigint PRIMARY KEY,
    bytes bigint NOT NULL,  -- of the messages that were deleted, less those that were never counted
    last bigint NOT NULL    -- the highest offset of those
);
CREATE INDEX IF NOT EXISTS heliograph_segments_uncounted ON heliograph_segments (channel) WHERE size IS NULL;
CREATE OR REPLACE FUNCTION heliograph_note_deleted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO heliograph_trimmed AS t SELECT channel, coalesce(sum(size), 0), max(last) FROM gone
    GROUP BY channel ORDER BY channel ON CONFLICT (channel) DO UPDATE
    SET bytes = t.bytes + excluded.bytes, last = greatest(t.last, excluded.last); RETURN NULL; END $$;
CREATE TRIGGER heliograph_segments_deleted AFTER DELETE ON heliograph_segments REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION heliograph_note_deleted();
"""

#: By the version that they start from.
MIGRATIONS = {
    1: """
ALTER TABLE heliograph_channels ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE heliograph_segments ADD COLUMN size integer;
"""
    + _TRIMMED
    + """
INSERT INTO heliograph_trimmed SELECT id, 0, coalesce(
    (SELECT first - 1 FROM heliograph_segments WHERE channel = c.id ORDER BY last LIMIT 1), top) FROM heliograph_channels AS c;
"""
}

TABLES = (
    """
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
    time double precision NOT NULL,
    bytes bigint NOT NULL DEFAULT 0  -- of all its messages, ever
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS heliograph_segments (
    channel bigint NOT NULL,
    last bigint NOT NULL,
    first bigint NOT NULL,
    time double precision NOT NULL,
    data bytea NOT NULL,
    size integer,  -- bytes of the messages; missing in what version 1 wrote
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
"""
    + _TRIMMED
    + f"""
INSERT INTO heliograph_state VALUES (1, {VERSION}, %s, %s, '') ON CONFLICT DO NOTHING;
"""
)

#: The database's clock, in seconds since 1970: the same for all instances.
NOW = "extract(epoch FROM clock_timestamp())::double precision"
