-- Tables of version 1, without rows.
PRAGMA page_size = 1024;
PRAGMA journal_mode = WAL;
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
PRAGMA user_version = 1;
