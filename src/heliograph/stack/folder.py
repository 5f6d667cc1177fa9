"""The state folder of a stack, HELIOGRAPH_STATE: all that it writes lies there.

A lock on the folder itself says that its stack runs; the kernel drops it with the process, so a stack.json without a
lock is stale, however the stack ended. stack.json tells `heliograph rolling` and others what runs where.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from heliograph_proxy.files import make_folder, make_private, replace

from heliograph.defaults import state_folder

STATE = "stack.json"

#: The socket on which the manager is asked for something (`control`).
CONTROL = "manager.sock"

#: Locked by who changes the running stack.
CHANGING = "changing.lock"

#: What must not stay behind; nginx removes its pid file itself unless it was killed.
_PASSING = (STATE, CONTROL, CHANGING, "nginx.pid")

#: What a stack writes into its folder. All else that lies there stays as it is.
_OURS = (
    *("*.json", "*.log", "*.log.?", "*.db", "*.db-*", "proxy.toml", "nginx.conf", "nginx.pid"),
    *("nginx", "spool", "pycache"),
)

_OTHER = "name another one by HELIOGRAPH_STATE"


#: How often a stack that starts tries to lock its folder, and seconds between.
ATTEMPTS, PAUSE = 20, 0.01


class StateError(Exception):
    """The state folder cannot be used. Its text is one line."""


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


def of(root: Path, environ: Mapping[str, str]) -> Path:
    """The state folder of the project in `root`."""
    return Path(os.path.abspath(root / state_folder(environ)))


def claim(path: Path) -> Folder:
    """Take a state folder, which is made where it is missing. Raises StateError."""
    try:
        make_folder(path)
        _refuse_shared(path)
        lock = _take_lock(path)
        if lock is None:
            raise _runs(path)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        _make_private(path)
    except OSError as exc:
        raise StateError(f"the state folder {path} cannot be used ({exc.strerror}); {_OTHER}") from exc
    return Folder(path, lock)


def _take_lock(path: Path) -> int | None:
    """Somebody may just be asking whether a stack runs, which takes a moment."""
    for _ in range(ATTEMPTS):
        lock = _try_lock(path, fcntl.LOCK_EX)
        if lock is not None:
            return lock
        time.sleep(PAUSE)
    return None


def _refuse_shared(path: Path) -> None:
    """What lies in a state folder is taken from other users, so it must be nobody else's."""
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise StateError(f"the state folder {path} belongs to another user, of id {found.st_uid}; {_OTHER}")
    if found.st_mode & stat.S_ISVTX:
        raise StateError(f"the state folder {path} is one that all users share; {_OTHER}")


def refuse_running(path: Path) -> None:
    """Raises StateError where a stack runs in this folder."""
    if running(path):
        raise _runs(path)


def _runs(path: Path) -> StateError:
    try:
        state = read_state(path)
        shown = f", process {state['pid']}, at {state['url']}"
    except (OSError, ValueError, KeyError):  # it is just starting
        shown = ""
    return StateError(f"a stack runs in the state folder {path} already{shown}; {_OTHER}")


def _make_private(path: Path) -> None:
    """Take the folder and what is ours in it from other users: it may be of an earlier version, or of another umask."""
    make_private(path)
    for pattern in _OURS:
        for entry in path.glob(pattern):
            make_private(entry)


def running(path: Path) -> bool:
    """Whether a stack runs in this state folder."""
    try:
        return _is_locked(path)
    except OSError:  # there is no such folder, or it is not for us
        return False


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Meanwhile nobody else changes the stack that runs in this folder. Raises StateError where somebody does."""
    lock = os.open(path / CHANGING, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _require_lock(lock, path)
        yield
    finally:
        os.close(lock)


def _require_lock(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told = f"a reload or a rolling restart of the stack in {path} is going on"
        raise StateError(f"{told}; try again when it has ended") from None


def read_state(path: Path) -> dict[str, Any]:
    """What the stack in this folder published."""
    state: dict[str, Any] = json.loads((path / STATE).read_text())
    return state


def _is_locked(path: Path) -> bool:
    """Those who ask do not exclude each other, and a stack that starts waits for them."""
    lock = _try_lock(path, fcntl.LOCK_SH)
    if lock is not None:
        os.close(lock)
    return lock is None


def _try_lock(path: Path, kind: int) -> int | None:
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
