"""Morse as characters: three ways to write the same signals down, exact in both directions.

`text` is `... --- ...` with ` / ` between words; reading it, any white space parts letters, and `/` or a new
line parts words. `units` is the key's state unit by unit, `prefix` a prefix code of dot, dash and gap;
reading them, only gaps of exactly the right length count, and white space is ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from wirecodes._reference_texts import CODES as CODES_OF_LETTERS
from wirecodes._reference_texts import LETTER_GAP, NO_GAP, SPACE, WIDTH, WORD_GAP
from wirecodes.coder import Coder
from wirecodes.errors import DecodeError, EncodeError, quoted
from wirecodes.kernel import read_digits, read_letters, write_letters
from wirecodes.morse.alphabet import CODES, REPLACEMENT, SIGNAL_FOLDS, SYMBOLS, codes_of
from wirecodes.text import SpacelessReader, Utf8Reader


@dataclass(frozen=True)
class Writing:
    """How signals are written: `letter_gap` and `word_gap` stand between letters and words and nowhere
    else.
    """

    dot: str
    dash: str
    letter_gap: str
    word_gap: str

    def write(self, code: str) -> str:
        return "".join(self.dot if element == "." else self.dash for element in code)


WRITINGS = {
    "text": Writing(".", "-", " ", " / "),
    "units": Writing("10", "1110", "00", "000000"),
    "prefix": Writing("10", "110", "00", "000000"),
}

#: A prosign, white space, or a character with its combining marks.
_TOKEN = re.compile(r"<[A-Za-z]{1,3}>|\s+|\S[\u0300-\u036f]*")
#: What a later piece may still change: a last character (marks may follow) or a prosign.
_OPEN = re.compile(r"(?:<[A-Za-z]{0,3}>?|[^\s<][\u0300-\u036f]*)\Z")
#: No character has more marks than this; a longer row of them does not wait for its end.
_MAX_MARKS = 64


class MorseEncoder(Coder):
    """Text in; `_gap` is what stands before the next letter."""

    def __init__(self, to: str, unknown: str) -> None:
        self._writing = WRITINGS[to]
        self._unknown = unknown
        self._reader = Utf8Reader(EncodeError)
        self._written = {code: self._writing.write(code) for code in CODES.values()}
        self._table = _table(self._writing)
        self._held = ""
        self._position = 0
        self._gap = NO_GAP

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._held + self._reader.read(piece)
        open_end = _OPEN.search(text, max(0, len(text) - _MAX_MARKS))
        cut = open_end.start() if open_end else len(text)
        self._held = text[cut:]
        yield self._write(text[:cut])

    def _flush(self) -> Iterator[bytes]:
        yield self._write(self._held + self._reader.read(b"", final=True))

    def _write(self, text: str) -> bytes:
        if text.isascii() and "<" not in text:
            gaps = (self._writing.letter_gap.encode(), self._writing.word_gap.encode())
            written = write_letters(text.encode(), self._table, *gaps, self._gap)
            if written is not None:
                self._position += len(text)
                data, self._gap = written
                return data
        return self._write_tokens(text)

    def _write_tokens(self, text: str) -> bytes:
        gaps = ("", self._writing.letter_gap, self._writing.word_gap)
        out: list[str] = []
        for match in _TOKEN.finditer(text):
            token = match.group()
            if token.isspace():
                self._gap = WORD_GAP if self._gap else NO_GAP
                continue
            for code in self._codes(token, self._position + match.start()):
                out += (gaps[self._gap], self._written[code])
                self._gap = LETTER_GAP
        self._position += len(text)
        return "".join(out).encode()

    def _codes(self, token: str, position: int) -> tuple[str, ...]:
        codes = codes_of(token)
        if codes is not None:
            return codes
        if self._unknown == "error":
            raise EncodeError(f"{quoted(token)} has no Morse code", position)
        return (CODES[REPLACEMENT],) if self._unknown == "replace" else ()


@functools.cache
def _table(writing: Writing) -> bytes:
    """For `write_letters`: each ASCII character with what it is written as."""
    rows = bytearray(256 * WIDTH)
    for byte in range(128):
        character = chr(byte)
        codes = codes_of(character) if character.isprintable() else None
        if character.isspace():
            rows[byte * WIDTH] = SPACE
        elif codes is not None and len(codes) == 1:
            _set_row(rows, byte, writing.write(codes[0]).encode())
    return bytes(rows)


@functools.cache
def _symbols() -> bytes:
    """For `read_letters` and `read_digits`: each code with its symbol."""
    rows = bytearray(CODES_OF_LETTERS * WIDTH)
    for code, symbol in SYMBOLS.items():
        _set_row(rows, int("1" + code.translate(_BINARY), 2), symbol.encode())
    return bytes(rows)


_BINARY = str.maketrans(".-", "01")


def _set_row(rows: bytearray, number: int, entry: bytes) -> None:
    rows[number * WIDTH : number * WIDTH + 1 + len(entry)] = bytes((len(entry),)) + entry


class TextDecoder(Coder):
    """Reads dots and dashes."""

    _FOLDS = str.maketrans(SIGNAL_FOLDS)
    #: What a letter is written with, before it is folded.
    _SIGNALS = ".-" + "".join(written for written, read in SIGNAL_FOLDS.items() if read != "/")
    _LONGEST = max(map(len, SYMBOLS))

    def __init__(self) -> None:
        self._reader = Utf8Reader(DecodeError)
        self._gap = NO_GAP
        self._held = ""
        self._position = 0

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._held + self._reader.read(piece)
        cut = len(text.rstrip(self._SIGNALS))
        yield self._decoded(text[:cut])
        self._held = text[cut:]
        if len(self._held.translate(self._FOLDS)) > self._LONGEST:
            raise DecodeError(_LONG_CODE, self._position)

    def _flush(self) -> Iterator[bytes]:
        yield self._decoded(self._held + self._reader.read(b"", final=True))

    def _decoded(self, text: str) -> bytes:
        folded = text.translate(self._FOLDS) if not text.isascii() else text
        read = (
            read_letters(folded.encode(errors="replace"), _symbols(), self._gap) if folded.isascii() else None
        )
        if read is None:
            read = self._read_words(text, text.translate(self._FOLDS))
        self._position += len(text)
        decoded, self._gap = read
        return decoded

    def _read_words(self, text: str, folded: str) -> tuple[bytes, int]:
        """What `read_letters` reads, and other white space; raises DecodeError where something is no letter."""
        out: list[str] = []
        gap = self._gap
        for index, word in enumerate(folded.split("/")):
            if index and gap:
                gap = WORD_GAP
            for letter in word.split():
                if letter not in SYMBOLS:
                    raise self._wrong(letter, text, _place(letter, folded))
                out += (" " if gap == WORD_GAP else "", SYMBOLS[letter])
                gap = LETTER_GAP
        return "".join(out).encode(), gap

    def _wrong(self, letter: str, text: str, place: int) -> DecodeError:
        """Of `letter`, which stands at `place` of what `text` folds to."""
        signals = len(letter) - len(letter.lstrip(".-"))
        if signals > self._LONGEST:
            reason = _LONG_CODE
        elif signals < len(letter):
            reason, place = f"{quoted(letter[signals])} is no dot and no dash", place + signals
        else:
            reason = f"{quoted(letter)} is no Morse code"
        return DecodeError(reason, self._position + self._written(text, place))

    def _written(self, text: str, offset: int) -> int:
        """Where in `text` character `offset` of what it folds to stands."""
        folded = 0
        for index, character in enumerate(text):
            folded += len(character.translate(self._FOLDS))
            if folded > offset:
                return index
        return len(text)


_LONG_CODE = "no Morse code is as long as this"


def _place(letter: str, text: str) -> int:
    """Where the first word of `text` stands that is this letter."""
    return next(match.start() for match in re.finditer(r"[^\s/]+", text) if match.group() == letter)


class DigitsDecoder(Coder):
    """Reads `units` or `prefix`: in both a letter ends with a zero, so three zeros part letters and seven
    part words. What is wrong is found in order, letter by letter, however the input is cut.
    """

    #: A letter from its first one to its last, and the zeros behind it, which belong to the gap.
    _LETTER = re.compile(r"((?:1|0{1,2}(?=1))*)(0*)")
    #: Held at most: the longest letter in units (zero: five dashes; SOS is longer still), and a word gap.
    _LONGEST = 64

    def __init__(self, writing: Writing) -> None:
        self._symbols = {writing.write(code)[:-1]: symbol for code, symbol in SYMBOLS.items()}
        self._dash = writing.dash.count("1")
        self._input = SpacelessReader()

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        digits = self._input.add(piece)
        invalid = re.search(b"[^01]", digits) if digits.translate(None, b"01") else None
        text = digits[: invalid.start() if invalid else None].decode()
        cut = text.rfind("0001") + 3 if "0001" in text else 0
        yield self._decoded(text[:cut])
        if len(text) - cut > self._LONGEST:
            raise DecodeError(_TOO_LONG, self._input.offset(cut))
        if invalid:
            reason = f"{quoted(chr(invalid.group()[0]))} is no 0 and no 1"
            raise DecodeError(reason, self._input.offset(invalid.start()))
        self._input.keep(cut)

    def _flush(self) -> Iterator[bytes]:
        text = self._input.add(b"").decode()
        if not text:
            return
        if not text.endswith("10"):
            raise DecodeError("the input ends inside a signal or with a gap", self._input.read)
        yield self._decoded(text + "00")

    def _decoded(self, text: str) -> bytes:
        """`text` is whole letters, each with the gap behind it."""
        read = read_digits(text.encode(), _symbols(), self._dash)
        return self._read_letters(text) if read is None else read

    def _read_letters(self, text: str) -> bytes:
        """What `read_digits` reads; raises DecodeError where something is no letter."""
        out: list[str] = []
        start = 0
        while start < len(text):
            match = self._LETTER.match(text, start)
            assert match is not None
            letter, zeros = match.groups()
            symbol, gap = self._symbols.get(letter), _GAPS.get(len(zeros))
            if symbol is None or gap is None or match.end() - start > self._LONGEST:
                raise self._wrong(match)
            out += (symbol, gap)
            start = match.end()
        return "".join(out).encode()

    def _wrong(self, match: re.Match[str]) -> DecodeError:
        long = match.end() - match.start() > self._LONGEST
        reason = _TOO_LONG if long else "no Morse letter, or a gap of a wrong length"
        return DecodeError(reason, self._input.offset(match.start()))


#: What zeros behind a letter part: letters and words.
_GAPS = {3: "", 7: " "}

_TOO_LONG = "no Morse letter is as long as this"
