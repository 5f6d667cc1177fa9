"""The log of a stack while it runs: what its parts write to their pipes, line by line, and what the manager says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable

from heliograph.stack.journal import Journal
from heliograph.stack.lines import LineForm
from heliograph.stack.outlet import Outlet

#: Read from a part at once; what a pipe holds.
PIECE = 1 << 16

#: A text without an end is a line after so many bytes.
LONGEST_LINE = 1 << 18

#: Bytes that are kept of a part that is not shown yet.
MOST_HELD = 1 << 18

#: Seconds that a reader has for what waits when the stack has ended.
PATIENCE = 0.5

OUT, ERR = 1, 2


class StackLog:
    """Lines go to standard output or standard error, as the part wrote them, and into the journal."""

    def __init__(self, form: LineForm) -> None:
        self.form = form
        self._outlets = {OUT: Outlet(OUT), ERR: Outlet(ERR)}
        self._journal: Journal | None = None

    def keep(self, journal: Journal) -> None:
        """Write the journal from now on."""
        self._journal = journal

    def say(self, message: str, **more: object) -> None:
        """Something happened. `more` stands in JSON only."""
        self._write(ERR, self.form.own(message, time.time(), **more))

    def show(self, text: str) -> None:
        """Text for a terminal, which is no line of the log."""
        self._outlets[OUT].write(text.encode(errors="replace"))

    def reopen(self) -> None:
        if self._journal:
            self._journal.reopen()

    def finish(self) -> None:
        for outlet in self._outlets.values():
            outlet.finish(PATIENCE)
        if self._journal:
            self._journal.close()

    def write_of(self, part: str, stream: int, lines: bytes, all_json: bool) -> None:
        self._write(stream, self.form.of_part(part, lines, time.time(), all_json=all_json))

    def _write(self, stream: int, lines: bytes) -> None:
        if self._journal:
            self._journal.write(lines)
        outlet = self._outlets[stream]
        outlet.write(lines)
        if dropped := outlet.take_dropped():
            outlet.write(
                self.form.own(f"{dropped} lines of the log were dropped: nobody read them", time.time())
            )


class PartOutput:
    """What one process of a part writes. It is held back until `release`, where that is wanted."""

    def __init__(self, log: StackLog, part: str, *, held: bool, requests: bool) -> None:
        """`requests`: its standard output has nothing but the lines of requests."""
        self._held: list[tuple[int, bytes]] | None = [] if held else None
        self._held_bytes = 0
        self._write: Callable[[int, bytes], None] = lambda stream, lines: log.write_of(
            part, stream, lines, requests and stream == OUT
        )
        self._pipes = {OUT: _Pipe(), ERR: _Pipe()}

    @property
    def descriptors(self) -> tuple[int, int]:
        """For the process: its standard output and standard error."""
        return self._pipes[OUT].write_end, self._pipes[ERR].write_end

    def started(self) -> None:
        """The process has its ends. From now on what it writes is read."""
        for stream, pipe in self._pipes.items():
            pipe.read_by(lambda stream=stream: self._read(stream))  # type: ignore[misc]

    def read_all(self) -> None:
        """What has been written so far, as when the process has ended."""
        for stream in self._pipes:
            while self._read(stream):
                pass
            self._emit(stream, self._pipes[stream].rest())

    def release(self) -> None:
        held, self._held = self._held or [], None
        for stream, lines in held:
            self._write(stream, lines)

    def close(self) -> None:
        for pipe in self._pipes.values():
            pipe.close()

    def _read(self, stream: int) -> bool:
        """Whether there was anything."""
        found = self._pipes[stream].read()
        if found:
            self._emit(stream, found)
        return found is not None

    def _emit(self, stream: int, lines: bytes) -> None:
        if not lines:
            return
        if self._held is None:
            self._write(stream, lines)
        elif self._held_bytes < MOST_HELD:
            self._held.append((stream, lines))
            self._held_bytes += len(lines)


class _Pipe:
    """Gives whole lines. Our end never waits."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._begun = b""
        self._open = True

    def read_by(self, read: Callable[[], object]) -> None:
        os.close(self.write_end)
        self.write_end = -1
        asyncio.get_running_loop().add_reader(self._read_end, read)

    def read(self) -> bytes | None:
        """Whole lines, none yet (b""), or None where there is nothing to be read."""
        if not self._open:
            return None
        try:
            piece = os.read(self._read_end, PIECE)
        except BlockingIOError:
            return None
        if not piece:
            self.close()
            return None
        text = self._begun + piece
        end = len(text) if len(text) > LONGEST_LINE else text.rfind(b"\n") + 1
        self._begun = text[end:]
        return text[:end] if not end or text[end - 1 : end] == b"\n" else text[:end] + b"\n"

    def rest(self) -> bytes:
        """A last line without an end."""
        rest, self._begun = self._begun, b""
        return rest and rest + b"\n"

    def close(self) -> None:
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1
        if self._open:
            self._open = False
            with contextlib.suppress(RuntimeError):  # no loop runs any more
                asyncio.get_running_loop().remove_reader(self._read_end)
            os.close(self._read_end)
