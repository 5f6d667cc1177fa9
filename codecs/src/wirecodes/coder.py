"""One run of a codec in one direction: pieces in, pieces out, memory bounded whatever comes in.

`feed(piece)` and `flush()` are lazy and yield pieces of at most OUTPUT_PIECE bytes, so that a small input
that decodes to a huge output is never whole in memory; the iterator has to be used up before the next call.
`update(piece)` and `finish()` do the same and return the bytes joined. After an error, and after the end, a
coder takes nothing more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from wirecodes.errors import CodecError, OutputLimitError

Buffer = bytes | bytearray | memoryview

#: A longer piece is worked on in slices of this length, so that a coder's `_feed` knows how much it may get:
#: with the most that a character becomes (five dashes in units are 22 digits, a percent escape 3) this stays
#: below OUTPUT_PIECE.
INPUT_PIECE = 32 * 1024

#: What one piece of output has at most. Coders that multiply their input (a decompressor) stop there and go
#: on when asked.
OUTPUT_PIECE = 1024 * 1024


def as_bytes(data: object) -> Buffer:
    """`data` where it is bytes, or a view of them. Raises TypeError for anything else, such as a number or text."""
    if isinstance(data, bytes | bytearray):
        return data
    try:
        view = memoryview(data)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"bytes are needed, not {type(data).__name__}") from None
    if view.itemsize != 1:
        raise TypeError(f"bytes are needed, not items of {view.itemsize} bytes")
    return view.cast("B") if view.c_contiguous else view.tobytes()


class Coder(ABC):
    """An encoder or decoder at work. As a context manager it takes nothing more after the block."""

    #: What `_feed` gets at most in one call.
    input_piece = INPUT_PIECE

    #: Set while a piece is under way, and for good by an error, by the end, or by an iterator that was given
    #: up.
    _closed = False

    def feed(self, piece: Buffer) -> Iterator[bytes]:
        """Take `piece` in and yield what comes out of it. Raises CodecError, and ValueError after the end."""
        view = memoryview(as_bytes(piece))
        self._open()
        for start in range(0, len(view), self.input_piece):
            yield from self._feed(bytes(view[start : start + self.input_piece]))
        self._closed = False

    def flush(self) -> Iterator[bytes]:
        """The input has ended: yield the rest. Raises CodecError where the input is incomplete."""
        self._open()
        yield from self._flush()

    def update(self, piece: Buffer) -> bytes:
        """What `feed` yields, in one."""
        return b"".join(self.feed(piece))

    def finish(self) -> bytes:
        """What `flush` yields, in one."""
        return b"".join(self.flush())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise ValueError("this coder has ended")
        self._closed = True

    @abstractmethod
    def _feed(self, piece: bytes) -> Iterator[bytes]:
        """At most `input_piece` bytes come in."""

    @abstractmethod
    def _flush(self) -> Iterator[bytes]:
        """Called once, at the end."""


class Limited(Coder):
    """A coder that raises OutputLimitError instead of putting out more than `limit` bytes."""

    def __init__(self, coder: Coder, limit: int) -> None:
        self._coder = coder
        self._limit = limit
        self._left = limit

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        return self._counted(self._coder.feed(piece))

    def _flush(self) -> Iterator[bytes]:
        return self._counted(self._coder.flush())

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise OutputLimitError(self._limit)
            yield piece


class Chain(Coder):
    """Named coders one after another: what one yields is fed to the next at once, so nothing collects between
    them.
    """

    def __init__(self, stages: Sequence[tuple[str, Coder]]) -> None:
        self._stages = stages

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        return self._through(0, piece)

    def _flush(self) -> Iterator[bytes]:
        for index, (name, coder) in enumerate(self._stages):
            for piece in _naming_stage(name, coder.flush()):
                yield from self._through(index + 1, piece)

    def _through(self, index: int, piece: bytes) -> Iterator[bytes]:
        if index == len(self._stages):
            yield piece
            return
        name, coder = self._stages[index]
        for out in _naming_stage(name, coder.feed(piece)):
            yield from self._through(index + 1, out)


def _naming_stage(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except CodecError as error:
        error.stage = error.stage or name
        raise


def run(coder: Coder, pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """All of `pieces` through `coder`, to the end; empty pieces are left out."""
    for piece in pieces:
        yield from filter(None, coder.feed(piece))
    yield from filter(None, coder.flush())
