"""Quoted-printable (RFC 2045) as Python's quopri writes it, but streaming.

quopri looks at the first line end of the whole input and writes all line ends like it, LF or CRLF, so mixed
line ends do not survive; that is kept. A first line of more than FIRST_LINE bytes counts as ending with LF
until its end has come.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from wirecodes.coder import Coder
from wirecodes.kernel import is_plain_quoted_printable
from wirecodes.text_codes import EscapeDecoder

#: What the encoder holds back at most before it knows how lines end here.
FIRST_LINE = 64 * 1024

#: RFC 2045, 6.7 (5): "Encoded lines must be no longer than 76 characters"; the last one is for the `=` of a
#: soft line break.
_ROW = 75

#: White space that a mail relay may have added between the `=` and the end of a line.
_RELAY_PADDING = 76

_LINE_ENDS = (b"\n", b"\r\n")
_SAFE = bytes([*b"\t\r ", *range(ord("!"), ord("=")), *range(ord(">"), ord("~") + 1)])
_ESCAPES = [bytes((byte,)) if byte in _SAFE else b"=%02X" % byte for byte in range(256)]
_BLANK_ESCAPES = {b" ": b"=20", b"\t": b"=09"}

_BAD = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]{0,%d}\r?\n)[^\n]{0,2}|[^\t\r\n -~]" % _RELAY_PADDING)
_UNFINISHED = re.compile(rb"=(?:[0-9A-Fa-f]|[ \t]{0,%d}\r?)?\Z" % _RELAY_PADDING)
_PADDED_BREAK = re.compile(rb"=[ \t]+(?=\r?\n)")


#: A line under way is worked on when it is this long, and what may be left of it before the slower way is asked: it is
#: for lines of different ends, and for what is at the edge of a piece.
_LONG, _LEFT = 4096, 8192


class QuotedPrintableEncoder(Coder):
    """Holds what is not yet written of the line under way; what was written of it ended with a soft line
    break.
    """

    #: The largest whose output, all escaped, is below OUTPUT_PIECE.
    input_piece = 256 * 1024

    def __init__(self) -> None:
        self._held = bytearray()
        self._line_end: bytes | None = None
        self._at_start = True  # of a line, as opposed to one of its later rows

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        self._held += piece
        if self._line_end is None and b"\n" in piece:
            first = self._held.index(b"\n")
            self._line_end = _LINE_ENDS[self._held[:first].endswith(b"\r")]
        if self._line_end is not None or len(self._held) > FIRST_LINE:
            line_end = self._line_end or b"\n"
            yield self._alike(line_end) + self._long(line_end)
            if len(self._held) > _LEFT:
                yield b"".join(self._lines(line_end))

    def _flush(self) -> Iterator[bytes]:
        line_end = self._line_end or b"\n"
        yield b"".join(self._lines(line_end))
        yield b"".join(self._line(bytes(self._held), line_end, b"").rows())

    def _alike(self, line_end: bytes) -> bytes:
        """The whole lines held, by binascii, where all end alike and the first one does begin a line."""
        cut = self._held.rfind(b"\n") + 1
        if not cut or not (self._at_start or self._held[:1] != b"."):
            return b""
        lines = bytes(self._held[:cut])
        returns = lines.count(b"\r\n") if line_end == b"\r\n" else 0
        if lines.count(b"\r") != returns or (line_end == b"\r\n" and lines.count(b"\n") != returns):
            return b""
        del self._held[:cut]
        self._at_start = True
        return binascii.b2a_qp(lines)

    def _long(self, line_end: bytes) -> bytes:
        """The rows of a long line under way that cannot change any more, by binascii."""
        if len(self._held) < _LONG or b"\n" in self._held or b"\r" in self._held or self._held[:1] == b".":
            return b""
        rows = binascii.b2a_qp(bytes(self._held))
        rows = rows[: rows.rfind(b"=\n", 0, len(rows) - 2 * _ROW) + 2]
        del self._held[: len(rows) - 2 * rows.count(b"=\n") - 2 * (rows.count(b"=") - rows.count(b"=\n"))]
        self._at_start = False
        return rows if line_end == b"\n" else rows.replace(b"=\n", b"=\r\n")

    def _lines(self, line_end: bytes) -> Iterator[bytes]:
        """All the whole lines held, and of the last one what cannot change any more."""
        *lines, last = bytes(self._held).split(b"\n")
        for line in lines:
            terminator = _LINE_ENDS[line.endswith(b"\r")]
            yield from self._line(line.removesuffix(b"\r"), line_end, terminator).rows()
            self._at_start = True
        unfinished = self._line(last, line_end, None)
        yield from unfinished.rows()
        self._at_start = self._at_start and not unfinished.written
        del self._held[: len(self._held) - len(last) + unfinished.written]

    def _line(self, line: bytes, line_end: bytes, terminator: bytes | None) -> _Line:
        # A dot alone on a line would end an SMTP message; quopri takes it for alone before a zero byte too.
        if self._at_start and line[:1] == b"." and (line[1:2] in (b"\r", b"\0") or line[1:] == b""):
            return _Line(b"=2E" + _escaped(line[1:], terminator), line_end, terminator)
        return _Line(_escaped(line, terminator), line_end, terminator)


class _Line:
    """One line, escaped, on its way out as rows. `terminator` is what ends it in the input: b"" at the end, None: not
    seen yet.
    """

    def __init__(self, text: bytes, line_end: bytes, terminator: bytes | None) -> None:
        self._text = text
        self._line_end = line_end
        self._terminator = terminator
        self.written = 0  #: bytes of input

    def rows(self) -> Iterator[bytes]:
        text = self._text
        start = 0
        while not self._is_last_row(start):
            end = start + _ROW
            end -= 1 if text[end - 1] == ord("=") else 2 if text[end - 2] == ord("=") else 0
            row = text[start:end]
            yield row + b"=" + self._line_end
            self.written += len(row) - 2 * row.count(b"=")
            start = end
        if self._terminator is not None:
            yield self._last_row(text[start:])

    def _is_last_row(self, start: int) -> bool:
        """As quopri has it, a plain character at the very end may take the place of the soft line break."""
        left = len(self._text) - start
        if self._terminator is None:
            return left <= _ROW + len(b"=XX\r")
        ends_plain = self._text[-3:-2] != b"=" and self._terminator != b"\r\n"
        return left <= _ROW or (left == _ROW + 1 and ends_plain)

    def _last_row(self, row: bytes) -> bytes:
        if not self._terminator:
            return row
        blank = row[-1:]
        return row[:-1] + _BLANK_ESCAPES.get(blank, blank) + self._line_end


def _escaped(line: bytes, terminator: bytes | None) -> bytes:
    text = b"".join(map(_ESCAPES.__getitem__, line)) if line.translate(None, _SAFE) else line
    if terminator == b"" and line[-1:] in _BLANK_ESCAPES:
        return text[:-1] + _BLANK_ESCAPES[line[-1:]]
    return text


class QuotedPrintableDecoder(EscapeDecoder):
    input_piece = 256 * 1024

    def __init__(self) -> None:
        super().__init__(b"=", _BAD, _UNFINISHED, _decode)

    def _decoded(self, text: bytes) -> bytes:
        return binascii.a2b_qp(text) if is_plain_quoted_printable(text) else super()._decoded(text)


def _decode(text: bytes) -> bytes:
    return binascii.a2b_qp(_PADDED_BREAK.sub(b"=", text))
