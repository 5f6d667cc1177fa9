"""Text that arrives in pieces, cut anywhere: UTF-8, and ASCII in which white space does not count."""

from __future__ import annotations

import codecs
import re

from wirecodes.errors import CodecError

_WHITE_SPACE = b" \t\n\v\f\r"
_VISIBLE = re.compile(rb"[^ \t\n\v\f\r]")


class Utf8Reader:
    """Turns pieces of UTF-8 into text; bytes that are not UTF-8 raise the given error at their byte offset.

    They do so at the call after, so that what is wrong in the text before them is found first.
    """

    def __init__(self, error_type: type[CodecError]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._error_type = error_type
        self._read = 0
        self._error: CodecError | None = None

    def read(self, piece: bytes, final: bool = False) -> str:
        if self._error is not None:
            raise self._error
        held = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            self._error = self._error_type("not UTF-8 text", self._read - len(held) + error.start)
            if final:
                raise self._error from error
            text = (held + piece)[: error.start].decode()
        self._read += len(piece)
        return text


class SpacelessReader:
    """Joins what was kept of earlier pieces with the next one, white space left out, and knows where each
    byte stood.
    """

    def __init__(self) -> None:
        self.read = 0  #: bytes of input so far
        self._piece = b""
        self._text = b""
        self._kept: list[int] = []  # where in the input each byte of what was kept stood

    def add(self, piece: bytes) -> bytes:
        """What was kept, and `piece` without white space; the next `add` is to follow a `keep`."""
        self._piece = piece
        self._text += piece.translate(None, _WHITE_SPACE)
        self.read += len(piece)
        return self._text

    def offset(self, index: int) -> int:
        """The offset in the input of byte `index` of what `add` returned last."""
        if index < len(self._kept):
            return self._kept[index]
        offsets = [match.start() for match in _VISIBLE.finditer(self._piece)]
        return self.read - len(self._piece) + offsets[index - len(self._kept)]

    def keep(self, start: int) -> None:
        """What follows `start` comes again with the next piece."""
        count = len(self._text) - start
        offsets: list[int] = []
        # From the end, because a piece is long and what is kept of it is short.
        end = len(self._piece)
        while len(offsets) < count and (end := len(self._piece[:end].rstrip(_WHITE_SPACE)) - 1) >= 0:
            offsets.insert(0, self.read - len(self._piece) + end)
        earlier = count - len(offsets)
        self._kept = self._kept[len(self._kept) - earlier :] + offsets
        self._text = self._text[start:]
        self._piece = b""
