"""A copy of the file as it is at one moment, made while instances use it. In a process of its own, without an event loop.

The copy is written beside its place, synced, and renamed: under its name there is the earlier file or the whole new one.
Publishers wait for none of it: all pages come from one snapshot of the write-ahead log, which grows meanwhile by what is published.
An instance that opens the copy begins another epoch, as for any file that may have gone back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from heliograph_proxy.files import FILE_MODE

from heliograph.channels.engines.sqlite.commands import require_file
from heliograph.channels.engines.sqlite.schema import OWN_TABLES
from heliograph.channels.engines.sqlite.transactions import is_expected, unavailable
from heliograph.channels.errors import LogUnavailable

#: Pages that are copied at once. Ctrl-C waits for them: Python looks for signals where it calls `progress`.
_PAGES = 16 << 10


def back_up(path: Path, target: Path) -> None:
    """Raises LogUnavailable, OSError; then `target` is what it was."""
    require_file(path)
    if str(target.resolve()) in {f"{path.resolve()}{suffix}" for suffix in ("", "-wal", "-shm", "-seen")}:
        raise LogUnavailable(f"{target} is the log itself, or belongs to it.")
    with _draft(target) as draft:
        try:
            _copy(path, draft)
        except sqlite3.Error as exc:
            if not is_expected(exc):
                raise
            raise unavailable(exc) from exc


def _copy(path: Path, draft: Path) -> None:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with (
        closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(draft, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA journal_mode = OFF")  # half a copy is of no use
        copy.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
        source.execute("BEGIN")  # one snapshot for all steps, else each change begins the copy again
        names = {name for (name,) in source.execute("SELECT name FROM sqlite_master")}
        if not names >= OWN_TABLES:
            raise LogUnavailable("The file of the channels is not of this program.")
        source.backup(copy, pages=_PAGES, progress=lambda *_: None)


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Where to write what becomes `target` at the end of the block. One that a killed process left is used again."""
    draft = target.with_name(target.name + ".part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        _lock(descriptor, draft)
        os.fchmod(descriptor, FILE_MODE)
        os.ftruncate(descriptor, 0)
        try:
            yield draft
            os.fsync(descriptor)
            os.rename(draft, target)
        except BaseException:
            os.unlink(draft)
            raise
        _sync_folder(target.absolute().parent)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, draft: Path) -> None:
    """Raises LogUnavailable if another process writes the draft, or just renamed it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(descriptor), os.stat(draft))
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        raise LogUnavailable(f"Another process writes {draft} now.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
