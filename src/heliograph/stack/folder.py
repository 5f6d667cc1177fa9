"""The folder of a running stack: var/ for the first that runs from a checkout, var/2/, var/3/ … for further ones.

A lock on the folder itself says that its stack runs; the kernel drops it with the process, so a stack.json without a
lock is stale, however the stack ended. stack.json tells script/rolling and others what runs where.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliograph_proxy.files import make_folder, make_private, replace

#: Stacks at once from one checkout. Each needs its own ports, so more than a few are a mistake.
MAX_STACKS = 64

STATE = "stack.json"

#: What must not stay behind; nginx removes its pid file itself unless it was killed.
_PASSING = (STATE, "nginx.pid")


class TooManyStacks(Exception):
    """All folders are taken."""


class Folder:
    """A locked folder. Free it with `release`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def write(self, name: str, text: str) -> None:
        """Whole or not at all, for those who read it meanwhile."""
        replace(self.path / name, text)

    def link(self, name: str, target: Path) -> None:
        draft = self.path / f".{name}"
        draft.unlink(missing_ok=True)
        draft.symlink_to(target)
        draft.replace(self.path / name)

    def keep_previous(self, name: str) -> None:
        """Start a new log and rename the one before, so that logs do not grow over many starts."""
        if (self.path / name).exists():
            (self.path / name).replace(self.path / f"{name}.1")

    def publish(self, state: Mapping[str, object]) -> None:
        self.write(STATE, json.dumps(state, indent=1) + "\n")

    def release(self) -> None:
        for name in _PASSING:
            (self.path / name).unlink(missing_ok=True)
        os.close(self._lock)


def claim(root: Path) -> Folder:
    """The first folder below `root` that no running stack has."""
    for number in range(1, MAX_STACKS + 1):
        path = root / "var" if number == 1 else root / "var" / str(number)
        make_folder(path)
        lock = _try_lock(path)
        if lock is not None:
            _make_private(path)
            return Folder(path, lock)
    raise TooManyStacks(f"{MAX_STACKS} stacks run from {root} already")


def _make_private(path: Path) -> None:
    """Take the folder and what lies in it from other users: it may be of an earlier version, or of another umask."""
    make_private(path)
    for entry in path.iterdir():
        make_private(entry)


def running(root: Path) -> list[Path]:
    """The folders of the stacks that run from this checkout, the first one first."""
    found = [root / "var", *sorted((root / "var").glob("[0-9]*"), key=lambda path: path.name.zfill(9))]
    return [path for path in found if (path / STATE).exists() and _is_locked(path)]


def read_state(path: Path) -> dict[str, Any]:
    """What the stack in this folder published."""
    state: dict[str, Any] = json.loads((path / STATE).read_text())
    return state


def _is_locked(path: Path) -> bool:
    lock = _try_lock(path)
    if lock is not None:
        os.close(lock)
    return lock is None


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
