"""The spool: where bodies over 1 MiB wait, in files that have no name and end with their process.

`Spool.open` gives a file; every byte in it is reserved first, and returned when the file is closed. The bound
(`HELIOGRAPH_SPOOL_MAX`) holds for all instances that share a folder: each keeps its sum in its own cell of a small file, the
ledger. A cell is held by a lock that the kernel drops with the process, so a killed instance takes up no room. Of the room one
client has at most half, over all instances; but a body that began in an empty spool may fill it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from pathlib import Path
from types import TracebackType

from heliograph_proxy.files import make_folder

from heliograph.problems import SpoolFull
from heliograph.request.threads import in_thread

#: Bytes reserved at once. Large enough to make the ledger cheap, small beside any body that goes to the spool.
RESERVATION = 1 << 20

#: Spools that can share a folder. Eight bytes each; a machine has far fewer instances.
MAX_CELLS = 512

#: Sums of clients that a spool keeps for the others, by a hash of the client. Clients with the same hash share one share: with a
#: hundred busy ones two of them do by a chance of some hundredth each. A row of them takes 32 KiB.
CLIENT_SUMS = 4096

_CELL = struct.Struct("<q")
_ROW = CLIENT_SUMS * _CELL.size

#: struct flock (fcntl.h): type, whence, start, length, process id.
_LOCK = struct.Struct("hhqqi4x")


class Ledger:
    """The bytes that each spool has in a folder, in one file: first a cell for each, then a row of its clients' sums.

    Open-file-description locks (fcntl(2)), not the older ones of a process: these would let two spools of one process share a
    cell, and drop every lock when any descriptor of the file is closed.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._cell = self._claim()

    def _claim(self) -> int:
        """The first cell that no living process has locked. The lock lasts as long as this process."""
        for cell in range(MAX_CELLS):
            if self._lock(cell, fcntl.F_WRLCK):
                self._write(cell, 0)
                os.pwrite(self._file, bytes(_ROW), MAX_CELLS * _CELL.size + cell * _ROW)
                return cell
        raise SpoolFull(f"More than {MAX_CELLS} processes share one spool.")

    def set(self, amount: int, client_sum: int, client_amount: int) -> None:
        """What this spool has in all, and for the clients of one sum."""
        self._write(self._cell, amount)
        os.pwrite(self._file, _CELL.pack(client_amount), self._place(self._cell, client_sum))

    def close(self) -> None:
        os.close(self._file)

    def others(self, client_sum: int) -> tuple[int, int]:
        """What all other living processes have in the spool: in all, and for the clients of one sum."""
        used = self._used_by_others()
        rows = (os.pread(self._file, _CELL.size, self._place(cell, client_sum)) for cell, _ in used)
        of_client = sum(_CELL.unpack(row)[0] for row in rows if len(row) == _CELL.size)
        return sum(amount for _, amount in used), of_client

    def _used_by_others(self) -> list[tuple[int, int]]:
        """The cells of other living processes that have something, and how much."""
        cells = os.pread(self._file, MAX_CELLS * _CELL.size, 0)
        amounts = [amount for (amount,) in _CELL.iter_unpack(cells[: len(cells) // _CELL.size * _CELL.size])]
        used = [(cell, amount) for cell, amount in enumerate(amounts) if amount and cell != self._cell]
        return [(cell, amount) for cell, amount in used if not self._abandoned(cell)]

    @staticmethod
    def _place(cell: int, client_sum: int) -> int:
        return MAX_CELLS * _CELL.size + cell * _ROW + client_sum * _CELL.size

    def _abandoned(self, cell: int) -> bool:
        """Whether the owner of a cell is gone; its amount is set to zero then."""
        if not self._lock(cell, fcntl.F_WRLCK):
            return False
        self._write(cell, 0)
        self._lock(cell, fcntl.F_UNLCK)
        return True

    def _lock(self, cell: int, kind: int) -> bool:
        try:
            fcntl.fcntl(
                self._file, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, cell * _CELL.size, _CELL.size, 0)
            )
        except BlockingIOError:
            return False
        return True

    def _write(self, cell: int, amount: int) -> None:
        os.pwrite(self._file, _CELL.pack(amount), cell * _CELL.size)


class Spool:
    """The bounded room for bodies in one folder. `used` is what this process has reserved in it."""

    def __init__(self, folder: str, maximum: int) -> None:
        self._folder = Path(folder)
        self._maximum = maximum
        self._ledger: Ledger | None = None
        self._owner = 0
        self._of_clients: dict[int, int] = {}
        self.used = 0

    def open(self, client: str = "") -> SpoolFile:
        """An empty file for a body of `client`, or without one of the application itself.

        Raises SpoolFull when the folder cannot be used.
        """
        try:
            self._open_ledger()
            return SpoolFile(self, self._open_unlinked(), client)
        except OSError as exc:
            raise SpoolFull(f"The spool cannot be used: {exc.strerror}.") from exc

    def reserve(self, amount: int, client: str, alone: int = -1) -> bool:
        """Take `amount` bytes of room; returns whether the spool was empty. Raises SpoolFull when there is too little.

        `alone`: what a body has already that began in an empty spool.
        """
        ledger = self._open_ledger()
        # Counted before it is looked at: of two instances that want the last room at the same time never both have it.
        self._count(ledger, amount, client)
        try:
            others, of_client = ledger.others(_client_sum(client))
            is_first = self.used + others == amount
            self._require_room(others, of_client, client, amount if is_first else alone + amount)
        except BaseException:
            self._count(ledger, -amount, client)
            raise
        return is_first

    def _require_room(self, others: int, others_of_client: int, client: str, alone: int) -> None:
        """`alone`: what the body will have, if it began in an empty spool."""
        most = self._maximum
        if self.used + others > most:
            raise SpoolFull(f"Bodies of {most} bytes in all may wait here.", limit=most)
        of_client = self._of_clients[_client_sum(client)] + others_of_client
        if client and of_client > most // 2 and of_client != alone:
            raise SpoolFull(
                f"Bodies of one client may have {most // 2} of the {most} bytes that may wait here (HELIOGRAPH_SPOOL_MAX).",
                limit=most // 2,
            )

    def release(self, amount: int, client: str = "") -> None:
        if self._ledger is None:  # the spool was closed before the file
            self.used -= amount
        else:
            self._count(self._open_ledger(), -amount, client)

    def _count(self, ledger: Ledger, amount: int, client: str) -> None:
        self.used += amount
        of = _client_sum(client)
        total = self._of_clients.get(of, 0) + amount
        if total:
            self._of_clients[of] = total
        else:
            self._of_clients.pop(of, None)
        ledger.set(self.used, of, total)

    def check(self) -> str:
        """``ok``, or why nothing can be spooled."""
        try:
            os.close(self._open_unlinked())
        except OSError as exc:
            return f"{self._folder}: {exc.strerror}"
        return "ok"

    def close(self) -> None:
        """Give the ledger's cell back. Files that are still open can be used, and do not count any more."""
        if self._ledger is not None and self._owner == os.getpid():
            self._ledger.close()
        self._ledger = None

    def _open_unlinked(self) -> int:
        make_folder(self._folder)
        return os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)

    def _open_ledger(self) -> Ledger:
        """Opened in the process that uses it: a lock does not survive a fork."""
        if self._ledger is None or self._owner != os.getpid():
            make_folder(self._folder)
            self._ledger = Ledger(self._folder / "ledger")
            self._owner = os.getpid()
        return self._ledger


class SpoolFile:
    """An unlinked file with its room in the spool.

    Reads and writes go to a native thread, because a disk may make them wait; from within a native thread use the descriptor.
    """

    def __init__(self, spool: Spool, descriptor: int, client: str) -> None:
        self._spool, self._client = spool, client
        self.descriptor = descriptor
        self._reserved = 0
        self._began_alone = False
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append. Raises SpoolFull, also when the disk itself is full."""
        self.make_room(len(piece))
        in_thread(self.blocking_write, piece)

    def blocking_write(self, piece: bytes) -> None:
        """The same for native threads, of a piece that there is `room` for."""
        try:
            write_all(self.descriptor, piece)
        except OSError as exc:
            raise SpoolFull(f"The spool cannot be written: {exc.strerror}.") from exc
        self.size += len(piece)

    @property
    def room(self) -> int:
        """Bytes that are reserved and not written yet."""
        return self._reserved - self.size

    def make_room(self, amount: int) -> None:
        """Reserve room for `amount` more bytes, and some ahead where there is enough. Raises SpoolFull."""
        needed = amount - self.room
        if needed <= 0:
            return
        try:
            self._reserve(max(needed, RESERVATION))
        except SpoolFull:
            self._reserve(needed)

    def trim(self) -> None:
        """Give back what was reserved ahead: nothing more is written."""
        ahead, self._reserved = self.room, self.size
        if ahead:
            self._spool.release(ahead, self._client)

    def _reserve(self, amount: int) -> None:
        alone = self._reserved if self._began_alone else -1 - amount
        self._began_alone |= self._spool.reserve(amount, self._client, alone)
        self._reserved += amount

    def read(self, length: int, offset: int) -> bytes:
        return in_thread(os.pread, self.descriptor, length, offset)

    def close(self) -> None:
        if self.descriptor < 0:
            return
        descriptor, self.descriptor = self.descriptor, -1
        try:
            in_thread(os.close, descriptor)  # giving back the blocks of a gigabyte takes 50 ms
        finally:
            self._spool.release(self._reserved, self._client)

    def __enter__(self) -> SpoolFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _client_sum(client: str) -> int:
    return zlib.crc32(client.encode("utf-8", "surrogatepass")) % CLIENT_SUMS


def write_all(descriptor: int, piece: bytes) -> None:
    """Append all of `piece`, blocking: for native threads."""
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
