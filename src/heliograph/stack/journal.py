"""The log of a running stack in its state folder, for `heliograph logs`: what all parts wrote, bounded, for this user alone."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

#: In the state folder. The previous file has a number behind its name.
NAME = "stack.log"

#: Bytes of a file before the next one is begun. Two are kept, some fifty thousand lines.
MOST_BYTES = 8 << 20

#: Between two looks at what was added.
INTERVAL = 0.1

_PIECE = 1 << 16


class Journal:
    """Written by the manager. A full disk is no reason to stop serving: what cannot be written is left out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._descriptor = -1
        self._size = 0
        self.reopen(keep=True)

    def write(self, lines: bytes) -> None:
        try:
            if self._size > MOST_BYTES:
                self.reopen(keep=True)
            self._size += os.write(self._descriptor, lines)
        except OSError:
            return

    def reopen(self, keep: bool = False) -> None:
        """Go on in the file of this name, which may have been moved away; or in a new one, and keep the one before."""
        try:
            if keep and self.path.exists():
                self.path.replace(previous(self.path))
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            opened = os.open(self.path, flags, 0o600)
        except OSError:
            self._size = 0  # as if it were a new one, so that this is not tried with each line
            return
        self.close()
        self._descriptor, self._size = opened, os.fstat(opened).st_size

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.1")


def kept(folder: Path, since: float) -> Iterator[bytes]:
    """The lines of the stack that began at `since` (seconds since 1970), oldest first."""
    path = folder / NAME
    for file in (previous(path), path):
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime >= since:
                with file.open("rb") as opened:
                    yield from opened


def followed(folder: Path, since: float, running: Callable[[], bool]) -> Iterator[bytes]:
    """The same, and what is added until the stack does not run any more."""
    path = folder / NAME
    with contextlib.suppress(FileNotFoundError):
        if previous(path).stat().st_mtime >= since:
            yield from previous(path).open("rb")
    opened, line, over = path.open("rb"), b"", False
    while True:
        line += (added := opened.readline())
        if line.endswith(b"\n"):
            yield line
            line = b""
        elif added:
            continue
        elif _is_another(path, opened.fileno()):
            opened.close()
            opened = path.open("rb")
        elif over:
            return
        else:
            over = not running()
            time.sleep(INTERVAL)


def _is_another(path: Path, descriptor: int) -> bool:
    """Whether a new file was begun."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
