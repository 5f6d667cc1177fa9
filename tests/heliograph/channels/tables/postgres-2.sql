-- Tables of version 2: channel a has five messages in two segments.
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

INSERT INTO heliograph_state VALUES (1, 2, '0123456789', 'abcdefabcd', '');
INSERT INTO heliograph_channels (name, birth, top, time, bytes)
    VALUES ('a', 'abcdefabcd', 5, extract(epoch FROM clock_timestamp()), 15);
INSERT INTO heliograph_segments (channel, first, last, time, data, size) VALUES
    (1, 1, 3, extract(epoch FROM clock_timestamp()), '\x020000000378787802000000037878780200000003787878', 9),
    (1, 4, 5, extract(epoch FROM clock_timestamp()), '\x02000000037878780200000003787878', 6);
