"""Log lines that are written in batches: a bounded buffer for a descriptor, and the form of a time. Pure.

A slow disk or a stopped reader of a pipe must not hold up requests. So callers only add lines, what does not fit is
dropped and counted, and the owner decides when to write, in which thread, and how the count is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final


class BatchWriter:
    """`add` lines, and `flush` now and then."""

    def __init__(self, descriptor: int, most: int) -> None:
        self.descriptor = descriptor
        #: Lines that were lost since the owner looked last; it sets this to 0.
        self.dropped = 0
        self._most = most
        self._lines: list[str] = []

    @property
    def empty(self) -> bool:
        return not self._lines

    def add(self, line: str) -> None:
        """Queue a line, with its line end. Drops it when the buffer is full."""
        if len(self._lines) >= self._most:
            self.dropped += 1
            return
        self._lines.append(line)

    def flush(self, run: Callable[[Callable[[int, bytes], str], int, bytes], str], note: str = "") -> str:
        """Write what waits, and a note behind it, by `run(write_all, descriptor, data)`. Returns what went wrong."""
        lines, self._lines = self._lines, []
        data = ("".join(lines) + note).encode(errors="backslashreplace")
        error = run(write_all, self.descriptor, data)
        if error:
            self.dropped += len(lines)
        return error


def write_all(descriptor: int, data: bytes) -> str:
    """All of it, waiting where need be. Returns what went wrong, as text."""
    view = memoryview(data)
    try:
        while view:
            written = os.write(descriptor, view)  # not inside the slice, which mypyc would evaluate twice
            view = view[written:]
    except OSError as exc:
        return exc.strerror or str(exc)
    return ""


class _Second:
    """The last second that was asked for."""

    __slots__ = ("number", "text")

    def __init__(self) -> None:
        self.number = 0
        self.text = "1970-01-01T00:00:00"


_LAST: Final = _Second()
_OF_A_SECOND: Final = tuple(f".{number:03d}Z" for number in range(1000))


def timestamp(now: float) -> str:
    """RFC 3339 in UTC with milliseconds. The text of a second is made once."""
    last, second = _LAST, int(now)
    if second != last.number:
        last.text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        last.number = second
    return last.text + _OF_A_SECOND[int((now - second) * 1000)]
