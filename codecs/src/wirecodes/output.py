"""Writing a result to a file: whole or not at all, and where it can be done, aside and then renamed.

A link is followed to what it names. A device, a FIFO or a socket is written in place, as every other program does: renaming would
replace the node. An existing file keeps its mode and owner.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_file(pieces: Iterable[bytes], name: str) -> None:
    """Raises OSError; then, and where `pieces` raises, an earlier regular file is left as it was."""
    target = Path(os.path.realpath(name))
    try:
        found = os.stat(name)
    except FileNotFoundError:
        _replace(pieces, target, None)
        return
    if _is_standard_output(found):  # another name of it, such as /dev/stdout: other programs write there, too
        _write_to(pieces, sys.stdout.fileno())
    elif stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and os.access(target.parent, os.W_OK):
        _replace(pieces, target, found)
    else:
        _write_in_place(pieces, name, found)


def _replace(pieces: Iterable[bytes], target: Path, earlier: os.stat_result | None) -> None:
    if earlier is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(target))
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            for piece in pieces:
                file.write(piece)
            file.close()
            _give_mode(file.name, earlier)
            os.replace(file.name, target)
        except BaseException:
            os.unlink(file.name)
            raise


def _write_in_place(pieces: Iterable[bytes], name: str, found: os.stat_result) -> None:
    """A regular file with other names, or in a folder that cannot be written to, is written when all is known: a failed run leaves
    it as it was.
    """
    if not stat.S_ISREG(found.st_mode):
        with open(name, "wb", buffering=0) as node:
            _write_to(pieces, node.fileno())
        return
    with open(name, "r+b") as file, tempfile.TemporaryFile() as aside:
        for piece in pieces:
            aside.write(piece)
        aside.seek(0)
        while piece := aside.read(1 << 20):
            file.write(piece)
        file.truncate()


def _is_standard_output(found: os.stat_result) -> bool:
    try:
        return sys.stdout is not None and os.path.samestat(found, os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # it is no file of the system
        return False


def _write_to(pieces: Iterable[bytes], descriptor: int) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view) :]


def _give_mode(name: str, earlier: os.stat_result | None) -> None:
    """A temporary file is for its owner only; the result gets the mode of the file before it, or that of a new file."""
    if earlier is None:
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        return
    if (earlier.st_uid, earlier.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):  # only root may give a file away; the mode stays
            os.chown(name, earlier.st_uid, earlier.st_gid)
    os.chmod(name, stat.S_IMODE(earlier.st_mode))
