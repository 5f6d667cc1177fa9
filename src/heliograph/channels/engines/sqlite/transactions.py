"""Write transactions, and what SQLite's errors mean to a client. In the worker's thread only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import random

from gevent.monkey import get_original
from heliograph_proxy.sentences import because

from heliograph.channels.engines.sqlite.connection import FileState, LogFile
from heliograph.channels.errors import LogUnavailable

#: Seconds to wait for other writers, whose transactions take about a millisecond: SHORT lets the thread serve
#: readers in between; LONG is for calls that are not repeated.
SHORT, LONG = 0.02, 1.0

#: Seconds between two tries, at most. SQLite's own waits grow to 0.1 s, which a subscriber would notice.
_PAUSE = 0.0005

# The worker is a native thread: gevent's sleep would create an event loop in it.
_sleep = get_original("time", "sleep")

_BUSY = sqlite3.SQLITE_BUSY

_REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "the file cannot be written to",
    sqlite3.SQLITE_IOERR: "the disk fails or is full",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the file is damaged",
    sqlite3.SQLITE_NOTADB: "the file is not a database",
    sqlite3.SQLITE_PERM: "the file may not be opened",
    sqlite3.SQLITE_BUSY: "another process holds a lock on the file",
    sqlite3.SQLITE_LOCKED: "another process holds a lock on the file",
}


class Replaced(LogUnavailable):
    """Another file has replaced ours. Nothing was written; it works again once that one is opened."""


class Locked(LogUnavailable):
    """Others are writing. Nothing is wrong with the file."""


def is_expected(error: Exception) -> bool:
    """Whether a disk, a file or its contents can cause this. Anything else is an error in this program."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _REASONS
    return isinstance(error, OSError | ValueError | LogUnavailable)


def unavailable(error: Exception) -> LogUnavailable:
    """Translate what SQLite, the file system or a damaged segment raised."""
    if isinstance(error, LogUnavailable):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    reason = _REASONS.get(code, getattr(error, "strerror", None) or str(error))
    return LogUnavailable(because("The log of the channels cannot be used now", reason))


def pause(seconds: float) -> None:
    """Sleep in the worker's thread; at once back if `seconds` is not positive."""
    if seconds > 0:
        _sleep(seconds)


@contextmanager
def writing(file: LogFile, patience: float = LONG) -> Iterator[FileState]:
    """A write transaction, with the state in which it found the file. Committed at the end of the block, or not at all.

    Raises Locked if others do not let us write for `patience` seconds.
    """
    run = file.connection.execute
    begin(file.connection, patience)
    try:
        if file.replaced():
            raise Replaced("The file of the channels was replaced.")
        state = file.state()
        if state.boot != file.boot:  # another instance ended in order and marked the file synced
            run("COMMIT")
            file.mark_unsynced()
            begin(file.connection, patience)
            state = file.state()
        yield state
        run("COMMIT")
    except BaseException:
        if file.connection.in_transaction:
            run("ROLLBACK")
        raise


def begin(connection: sqlite3.Connection, patience: float) -> None:
    """Start a write transaction as soon as no other connection has one. Raises Locked."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != _BUSY:
                raise
            if time.monotonic() > deadline:
                raise Locked("Another process holds a lock on the log of the channels.") from exc
        pause(_PAUSE * random())
