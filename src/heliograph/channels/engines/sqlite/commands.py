"""The file as a command of the operator opens it, also while instances use it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from heliograph.channels.engines.sqlite.connection import LogFile
from heliograph.channels.errors import LogUnavailable


def require_file(path: Path) -> None:
    """Raises LogUnavailable where there is no file: opening it would make one."""
    if not path.is_file():
        raise LogUnavailable(f"There is no log of the channels at {path}.")


@contextlib.contextmanager
def opened(path: Path, wal_rest: int) -> Iterator[LogFile]:
    """Without the check that an instance makes: what is damaged is told when it is read, and not set aside for that.

    In the end the file is marked as an orderly end leaves it, also after an error.
    """
    inode = os.stat(path).st_ino if path.exists() else 0
    with contextlib.closing(LogFile(path, wal_rest, checked_inode=inode, sets_aside=False)) as file:
        try:
            yield file
        finally:
            with contextlib.suppress(
                sqlite3.Error
            ):  # an instance writes, and marks it itself; or it is damaged
                if file.connection.in_transaction:
                    file.connection.execute("ROLLBACK")
                file.mark_synced()
