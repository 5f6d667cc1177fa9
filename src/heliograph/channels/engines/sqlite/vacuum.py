"""Giving free pages of the file back to the disk, in steps that publishers do not notice.

Each step is one write transaction of a few milliseconds. The command pauses between two steps for longer than a step takes, so that
instances write in between.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from heliograph.channels.engines.sqlite.commands import opened, require_file
from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.engines.sqlite.transactions import (
    LONG,
    SHORT,
    Locked,
    is_expected,
    pause,
    unavailable,
    writing,
)
from heliograph.channels.errors import LogUnavailable

#: What `PRAGMA auto_vacuum` answers.
_INCREMENTAL = 2

#: Bytes of the write-ahead log from which its contents are moved into the file.
_CHECKPOINT = 16 << 20

#: Pages that one step gives back.
_PAGES = 512

#: Seconds between two steps at least, and how many times as long as the step.
_PAUSE, _SHARE = 0.005, 3.0

#: Seconds that a step waits in all for others that write.
_PATIENCE = 30.0


def give_back(file: LogFile, spare: int) -> bool:
    """One step, if more pages are free than `spare`. True if it gave some back: the file gets shorter when it is written."""
    run = file.connection.execute
    (free,) = run("PRAGMA freelist_count").fetchone()
    if free <= spare:
        return False
    with writing(file, SHORT):
        for _ in range(min(_PAGES, free - spare)):
            run("PRAGMA incremental_vacuum(1)").fetchall()  # sqlite3 takes one step of it, which is a page
    return True


def is_incremental(file: LogFile) -> bool:
    """Whether single pages can be given back."""
    return bool(file.connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL)


def vacuum(path: Path) -> None:
    """Make the file as short as it can be. Raises LogUnavailable, OSError."""
    require_file(path)
    try:
        with opened(path, _CHECKPOINT) as file:
            if not is_incremental(file):
                _write_anew(file)
            while _patiently(file):
                pass
            file.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except (sqlite3.Error, OSError, ValueError) as exc:
        if not is_expected(exc):
            raise
        raise unavailable(exc) from exc


def _patiently(file: LogFile) -> bool:
    """A step between those of others, and a pause."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        begun = time.monotonic()
        try:
            more = give_back(file, 0)
        except Locked:
            if begun >= deadline:
                raise
            pause(_PAUSE)
            continue
        if file.wal_bytes() >= _CHECKPOINT:
            file.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if more:
            pause(max(_PAUSE, _SHARE * (time.monotonic() - begun)))
        return more


def _write_anew(file: LogFile) -> None:
    """A large file of version 1 has to be written as a whole once; instances would wait for all of it."""
    run = file.connection.execute
    run("PRAGMA locking_mode = EXCLUSIVE")
    try:
        run(f"PRAGMA busy_timeout = {int(LONG * 1000)}")
        run("BEGIN EXCLUSIVE")
        run("COMMIT")
    except sqlite3.OperationalError as exc:
        raise LogUnavailable(
            "The file is one of the first version and has to be written anew once: stop the stack before."
        ) from exc
    run("PRAGMA auto_vacuum = INCREMENTAL")
    run("VACUUM")
    run("PRAGMA locking_mode = NORMAL")
