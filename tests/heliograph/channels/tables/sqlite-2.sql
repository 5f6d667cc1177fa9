-- A file of version 2, as an orderly end left it: channel a has five messages in two segments.
PRAGMA page_size = 1024;
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
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

CREATE TRIGGER segment_deleted BEFORE DELETE ON segments BEGIN
    UPDATE channels SET gone = gone + (SELECT coalesce(size, length(data) - 5 * (last - first + 1)) FROM segments WHERE id = OLD.id), deleted = max(deleted, OLD.last)
    WHERE id = OLD.channel; END;
CREATE TRIGGER segment_of_version_1 AFTER INSERT ON segments WHEN NEW.size IS NULL BEGIN
    UPDATE channels SET bytes = bytes + length(NEW.data) - 5 * (NEW.last - NEW.first + 1) WHERE id = NEW.channel; END;
PRAGMA user_version = 2;
INSERT INTO state VALUES (1, '0123456789', 'abcdefabcd', 2, '', 0, 0);
INSERT INTO channels (name, birth, top, time, bytes) VALUES ('a', 'abcdefabcd', 5, unixepoch(), 15);
INSERT INTO segments VALUES (1, 1, 1, 3, unixepoch(), X'020000000378787802000000037878780200000003787878', 9);
INSERT INTO segments VALUES (2, 1, 4, 5, unixepoch(), X'02000000037878780200000003787878', 6);
