"""Files that others may read while they are written, and that other users may not read at all. Pure.

Every file that this project keeps is written by `replace` or `keep_secret`: a reader finds the old content or the new one,
never a part of it. The modes are set explicitly, so the umask plays no part.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path

#: Others may neither read a file of ours nor enter a folder of ours.
FILE_MODE, FOLDER_MODE = 0o600, 0o700

#: Characters of a secret that is good: a shorter one can be guessed offline from one signature.
MIN_SECRET = 32

#: More than any secret needs; what is longer is some other file.
MAX_SECRET = 4096


def replace(path: Path, text: str) -> None:
    """Write a file aside, on the disk, and rename it. When that fails the old content stays."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, FILE_MODE)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone. One that is there stays as it is."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        path.mkdir(FOLDER_MODE)
    except FileExistsError:  # another process was quicker
        if not path.is_dir():
            raise
        return
    path.chmod(FOLDER_MODE)


def make_private(path: Path) -> None:
    """Take a file or folder of this user from the others. What belongs to somebody else is left alone, links too."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        wanted = FOLDER_MODE if stat.S_ISDIR(found.st_mode) else FILE_MODE
        ours = found.st_uid == os.geteuid() and (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode))
        if ours and stat.S_IMODE(found.st_mode) != wanted:
            path.chmod(wanted)


def keep_secret(path: Path, new: str) -> tuple[str, str]:
    """The secret in a file, and what was wrong with it if it had to be replaced by `new`.

    Processes that start at once get the same: the file is read and replaced under its lock.
    """
    make_folder(path.parent)
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_at(descriptor, path):  # it was replaced while we waited for the lock
                continue
            found = os.read(descriptor, MAX_SECRET + 1)
            wrong = _wrong(found)
            if not wrong:
                make_private(path)
                return found.decode().strip(), ""
            replace(path, new + "\n")
            return new, wrong
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _wrong(found: bytes) -> str:
    """What is wrong with the content of a secret's file. After a crash it may be empty or full of zero bytes."""
    text = found.decode("ascii", "replace").strip()
    if not text:
        return "is empty"
    if len(found) > MAX_SECRET or not text.isascii() or not text.isprintable():
        return "is not one line of text"
    return f"has fewer than {MIN_SECRET} characters" if len(text) < MIN_SECRET else ""
