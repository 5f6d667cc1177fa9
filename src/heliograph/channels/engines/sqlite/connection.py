"""Opens the file, and checks whether its epochs still hold.

An epoch may live on only while no offset can be given out twice. So the file gets a new era, and all channels new epochs, when
- it is new, or a copy: its inode is not the one written in it;
- it went back to an older state: the epoch guard, a small file next to it, has a higher segment or another era;
- the machine went down without an orderly end: commits reach the disk later than their acknowledgement, which a process may
  survive, but not the machine.
A copy of file and epoch guard together, written over both in place, is not noticed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heliograph_proxy.files import make_folder, make_private
from heliograph_proxy.sentences import because

from heliograph.channels.engines import clock
from heliograph.channels.engines.epochs import new_half
from heliograph.channels.engines.sqlite import damage
from heliograph.channels.engines.sqlite.schema import OWN_TABLES, VERSION, require_known, statements_from
from heliograph.channels.errors import LogUnavailable

#: Bytes of a page. A commit writes five of them for a single message; with the usual 4096 that is 19 KiB instead of 5.
_PAGE = 1024

#: Pages of the file that a connection keeps in memory, in KiB (negative, as SQLite has it).
_CACHE = -8192

#: Bytes that must be free on the disk: some messages of the longest kind, in the write-ahead log and in the file.
_ROOM = 1 << 20

#: Pages of a file of version 1 up to which it is written anew, so that it can shrink from then on. A larger one keeps its size, and
#: its free pages are used again; `VACUUM` by hand, with `auto_vacuum = INCREMENTAL`, does the same for it.
_SMALL_FILE = (64 << 20) // _PAGE

#: What belongs to the file, by the ends of the names.
_FILES = ("", "-wal", "-shm", "-seen")

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_GUARD = re.compile(rb"([0-9a-f]{10}) (\d{19})\n", re.ASCII)


@dataclass
class FileState:
    era: str
    birth: str
    last: int
    boot: str


class EpochGuard:
    """The last segment that the file had, noted in a small file next to it. Best effort: it can only cause a new epoch."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> tuple[str, int] | None:
        match = _GUARD.fullmatch(os.pread(self._file, 64, 0))
        return (match[1].decode(), int(match[2])) if match else None

    def write(self, era: str, last: int) -> None:
        """Instances may write out of order; the lower number must not win."""
        with contextlib.suppress(OSError):
            seen = self.read()
            if seen is None or seen[0] != era or seen[1] < last:
                written = os.pwrite(self._file, b"%s %019d\n" % (era.encode(), last), 0)
                if seen is None:
                    os.ftruncate(self._file, written)  # what stood there may have been longer

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        os.close(self._file)


class LogFile:
    """A connection to the file, in its own thread. `connection` is in autocommit mode."""

    def __init__(self, path: Path, wal_rest: int, *, checked_inode: int, sets_aside: bool = True) -> None:
        """`wal_rest`: bytes to which the write-ahead log is cut. Another file than `checked_inode` is checked for damage.

        Raises damage.Damaged, and what a disk causes.
        """
        self.path, self._wal_rest = path, wal_rest
        self.boot = _BOOT_ID.read_text().strip()
        self.inode = _create(path)
        self._unchecked = self.inode != checked_inode
        self.epoch_guard = EpochGuard(path.with_name(path.name + "-seen"))
        try:
            self.connection = sqlite3.connect(path, timeout=1.0, isolation_level=None, cached_statements=256)
        except BaseException:
            self.epoch_guard.close()
            raise
        try:
            self._prepare()
        except BaseException as exc:
            try:
                if sets_aside and isinstance(exc, damage.Damaged):
                    raise damage.Damaged(self.set_aside(exc)) from exc
                raise
            finally:
                self.close()

    def _prepare(self) -> None:
        run = self.connection.execute
        if self._examine():
            run(f"PRAGMA page_size = {_PAGE}")
            run("PRAGMA auto_vacuum = INCREMENTAL")
        if run("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            raise LogUnavailable("The file of the channels cannot be switched to write-ahead logging.")
        # The kernel has a commit when it is acknowledged: it survives this process, and the disk need not be waited for.
        run("PRAGMA synchronous = FULL")
        run("PRAGMA wal_autocheckpoint = 0")  # the worker does it after it answered
        run(f"PRAGMA journal_size_limit = {self._wal_rest}")
        run(f"PRAGMA cache_size = {_CACHE}")
        run("PRAGMA temp_store = MEMORY")
        run("PRAGMA secure_delete = OFF")  # Debian's SQLite overwrites what is deleted: twice the writing
        run("CREATE TEMP TABLE followed (name TEXT PRIMARY KEY) WITHOUT ROWID")
        run("BEGIN IMMEDIATE")
        before = self._create_tables()
        self._check_epoch()
        run("COMMIT")
        run("PRAGMA synchronous = NORMAL")
        if before == 1 and run("PRAGMA page_count").fetchone()[0] <= _SMALL_FILE:
            with contextlib.suppress(sqlite3.OperationalError):  # others use it; then it keeps its size
                run("PRAGMA auto_vacuum = INCREMENTAL")
                run("VACUUM")
        if self.replaced():
            raise LogUnavailable("The file of the channels was replaced while it was opened.")
        self._wal_inode = self._inode_of_wal()
        # From here on we wait for other writers ourselves: SQLite's own waits grow to 100 ms.
        run("PRAGMA busy_timeout = 0")

    def _examine(self) -> bool:
        """True if it is a new file. Raises damage.Damaged for a damaged file that is ours, LogUnavailable for one that is not."""
        version = 0
        try:
            version = self._version()
            require_known(version)
            names = {name for (name,) in self.connection.execute("SELECT name FROM sqlite_master")}
            if (version or names) and not (version and names >= OWN_TABLES):
                raise LogUnavailable("The file of the channels is not of this program.")
            found = damage.quick_check(self.connection) if names and self._unchecked else ""
        except sqlite3.DatabaseError as exc:
            if not damage.is_damage(exc) or (not version and self.epoch_guard.read() is None):
                raise
            found = str(exc)
        if found:
            raise damage.Damaged(because("The file of the channels is damaged", found))
        return not version

    def set_aside(self, error: Exception) -> str:
        """Rename the file, as it is damaged. What is said to the operator."""
        aside = damage.set_aside(self.path, self.inode, self.epoch_guard.fileno())
        where = f"It was set aside as {aside}" if aside else "Another instance set it aside"
        return f"{error} {where}, and a new one is begun, with another epoch."

    def _version(self) -> int:
        """Also of a file that is cut."""
        run = self.connection.execute
        run("PRAGMA writable_schema = ON")
        try:
            return int(run("PRAGMA user_version").fetchone()[0])
        finally:
            run("PRAGMA writable_schema = OFF")

    def _create_tables(self) -> int:
        """Or bring them from the version returned to ours."""
        run = self.connection.execute
        version = int(run("PRAGMA user_version").fetchone()[0])
        if version == VERSION:
            return version
        for statement in statements_from(version):
            run(statement)
        run(f"PRAGMA user_version = {VERSION}")
        if not version:
            run("INSERT INTO state VALUES (1, ?, ?, 0, '', 0, 0)", (new_half(), new_half()))
        return version

    def _check_epoch(self) -> None:
        """Give the file a new era if it may have gone back, and note this boot and inode in it."""
        state = self.state()
        seen = self.epoch_guard.read()
        (inode,) = self.connection.execute("SELECT inode FROM state").fetchone()
        went_back = (
            inode != self.inode
            or state.boot not in ("", self.boot)
            or (state.last > 0 and seen is None)
            or (seen is not None and (seen[0] != state.era or seen[1] > state.last))
        )
        era = new_half() if went_back else state.era
        self.connection.execute("UPDATE state SET era = ?, boot = ?, inode = ?", (era, self.boot, self.inode))
        self.epoch_guard.write(era, state.last)

    def state(self) -> FileState:
        return FileState(*self.connection.execute("SELECT era, birth, last, boot FROM state").fetchone())

    def replaced(self) -> bool:
        """Whether the path leads to another file now, or to none."""
        try:
            return os.stat(self.path).st_ino != self.inode
        except FileNotFoundError:
            return True

    def check_space(self) -> str:
        """ "ok", or why messages may not fit: a file can be opened, and a little written, on a full disk."""
        disk = os.statvfs(self.path)
        full = disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < _ROOM
        return "the disk is full" if full else "ok"

    def probe(self) -> None:
        """Write a value that changes, as SQLite does not write one that does not. Call it in a transaction."""
        self.connection.execute("UPDATE state SET probed = ?", (clock.now(),))

    def mark_unsynced(self) -> None:
        """Note, on the disk, that later commits may not have reached the disk."""
        self._mark(self.boot)

    def mark_synced(self) -> None:
        """Write everything to the disk and note that: an orderly end. Instances that still write mark the file unsynced again."""
        self._mark("")

    def _mark(self, boot: str) -> None:
        run = self.connection.execute
        run("PRAGMA synchronous = FULL")
        run("UPDATE state SET boot = ?", (boot,))
        run("PRAGMA synchronous = NORMAL")

    def wal_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except FileNotFoundError:
            return 0

    def _inode_of_wal(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_ino
        except FileNotFoundError:
            return 0

    def close(self) -> None:
        """SQLite notices that a file was moved, and does not touch the log of the new one."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()
        self.epoch_guard.close()

    def drop_stale_log(self) -> None:
        """Remove our write-ahead log after another file has replaced ours: it must not be applied to that one."""
        if self._wal_inode and self._inode_of_wal() == self._wal_inode:
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self.path}{suffix}")


def _create(path: Path) -> int:
    """The inode of the file, which is created, readable by this user only, if it is missing.

    Only a new one may be opened here: closing any descriptor of a database drops the locks that SQLite has on it.
    """
    try:
        make_folder(path.parent)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise LogUnavailable("What stands where the file of the channels should be is not a file.")
        for suffix in _FILES:  # one that an earlier version, or a copy, left open to others
            make_private(path.with_name(path.name + suffix))
        return found.st_ino
    except OSError as exc:
        raise LogUnavailable(f"The file of the channels cannot be opened ({exc.strerror}).") from exc


def open_file(path: Path, wal_rest: int, report: Callable[[str], None], *, checked_inode: int) -> LogFile:
    """Open it. A damaged one is set aside, which `report` is told, and begun anew."""
    damage.clear(path)
    try:
        return LogFile(path, wal_rest, checked_inode=checked_inode)
    except damage.Damaged as exc:
        report(str(exc))
    try:
        return LogFile(path, wal_rest, checked_inode=checked_inode)
    except damage.Damaged as exc:
        raise LogUnavailable("The file of the channels is damaged.") from exc
