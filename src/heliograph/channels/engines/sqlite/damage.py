"""A damaged file: how it is found, and where it goes. In the worker's thread only.

It is found by SQLite's quick check when a process first opens the file, or by an error of a call. It is set aside, with its
write-ahead log, under a name with the time, and the next opening begins a new file with another epoch. Nothing is deleted.

The check may read the whole file, so it has a time: a file of a gigabyte is checked in part at each start. What it did not see is
found when it is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from heliograph.channels.engines.segment import DamagedSegment
from heliograph.channels.errors import LogUnavailable

#: Seconds that the check of a file may take.
CHECK_TIME = 2.0

#: Damaged files that are kept beside the one in use. With more, the disk is what has to be looked at.
MAX_SET_ASIDE = 5

#: Seconds after an error of a call within which a second one means that the file is damaged, and not only what was kept in memory.
SUSPECT_TIME = 60.0

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# Those of the standard library: the worker is a native thread.
_start_thread: Any = get_original("_thread", "start_new_thread")
_allocate_lock: Any = get_original("_thread", "allocate_lock")


class Damaged(LogUnavailable):
    """The file is damaged, and it is ours."""


def is_damage(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in _DAMAGED or isinstance(error, DamagedSegment)


def quick_check(connection: sqlite3.Connection, seconds: float = CHECK_TIME) -> str:
    """What is wrong with the file, or nothing, as far as it was seen in that time."""
    with _interrupted_after(connection, seconds):
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_INTERRUPT:
                raise
            return ""
    return "" if found == "ok" else str(found)


@contextlib.contextmanager
def _interrupted_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    over, ended = _allocate_lock(), _allocate_lock()
    over.acquire()
    ended.acquire()

    def watch() -> None:
        try:
            if not over.acquire(timeout=seconds):
                connection.interrupt()
        finally:
            ended.release()

    _start_thread(watch, ())
    try:
        yield
    finally:
        over.release()
        ended.acquire()  # later it would interrupt another statement


def set_aside(path: Path, inode: int, lock: int) -> Path | None:
    """Rename the file `inode`, unless another instance did. `lock`: a descriptor that all instances have.

    The write-ahead log goes first: a new file must never find an old one.
    """
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == inode:
                aside = _new_name(path)
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{path}-wal", f"{aside}-wal")
                with contextlib.suppress(OSError):
                    os.unlink(f"{path}-shm")
                os.rename(path, aside)
                return aside
        return None
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


def _new_name(path: Path) -> Path:
    kept = [name for name in os.listdir(path.parent) if name.startswith(f"{path.name}-damaged-")]
    if sum(not name.endswith("-wal") for name in kept) >= MAX_SET_ASIDE:
        raise LogUnavailable(
            f"The file of the channels is damaged, and {MAX_SET_ASIDE} damaged ones are kept beside it already."
        )
    name = f"{path.name}-damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    while name in kept:
        name += "x"
    return path.with_name(name)


def clear(path: Path) -> None:
    """Rename what stands where a file of SQLite or of ours has to be, and is none."""
    for suffix in ("-wal", "-shm", "-seen"):
        other = path.with_name(path.name + suffix)
        if other.is_dir():
            os.rename(other, f"{other}-not-a-file-{time.time_ns()}")


class Suspicion:
    """Whether an error of a call means that the file is damaged."""

    def __init__(self) -> None:
        self._until = 0.0

    def confirmed(self, error: Exception) -> bool:
        """The first error may come from memory, or from a file that was replaced in place: opening it again shows that."""
        now = time.monotonic()
        if not is_damage(error):
            return False
        again, self._until = now < self._until, now + SUSPECT_TIME
        return again
