-- Tables of version 1, without channels.
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
