"""Morse as characters: three ways to write the same signals down, exact in both directions.

`text` is `... --- ...` with ` / ` between words; reading it, any white space parts letters, and `/` or a new
line parts words. `units` is the key's state unit by unit, `prefix` a prefix code of dot, dash and gap;
reading them, only gaps of exactly the right length count, and white space is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wirecodes.coder import Coder
from wirecodes.errors import DecodeError, EncodeError, quoted
from wirecodes.morse.alphabet import CODES, REPLACEMENT, SYMBOLS, codes_of
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
        self._held = ""
        self._position = 0
        self._gap = ""
        self._started = False

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._held + self._reader.read(piece)
        open_end = _OPEN.search(text, max(0, len(text) - _MAX_MARKS))
        cut = open_end.start() if open_end else len(text)
        self._held = text[cut:]
        yield self._write(text[:cut])

    def _flush(self) -> Iterator[bytes]:
        yield self._write(self._held + self._reader.read(b"", final=True))

    def _write(self, text: str) -> bytes:
        out: list[str] = []
        for match in _TOKEN.finditer(text):
            token = match.group()
            if token.isspace():
                self._gap = self._writing.word_gap if self._started else ""
                continue
            for code in self._codes(token, self._position + match.start()):
                out += (self._gap, self._written[code])
                self._gap = self._writing.letter_gap
                self._started = True
        self._position += len(text)
        return "".join(out).encode()

    def _codes(self, token: str, position: int) -> tuple[str, ...]:
        codes = codes_of(token)
        if codes is not None:
            return codes
        if self._unknown == "error":
            raise EncodeError(f"{quoted(token)} has no Morse code", position)
        return (CODES[REPLACEMENT],) if self._unknown == "replace" else ()


class _Letters:
    """Puts letters and words together; a word gap counts once, and only between letters."""

    def __init__(self, symbols: dict[str, str]) -> None:
        self._symbols = symbols
        self._gap = ""
        self._started = False

    def read(self, words: Iterable[list[str]]) -> str:
        """`words` as lists of letters, each word after the first following a gap; KeyError for what is no
        letter.
        """
        out: list[str] = []
        for index, letters in enumerate(words):
            if index:
                self._gap = " " if self._started else ""
            if letters:
                out.append(self._gap)
                out.extend(map(self._symbols.__getitem__, letters))
                self._gap = ""
                self._started = True
        return "".join(out)

    def unknown(self, words: Iterable[list[str]], text: str) -> int:
        """Where in `text`, from which `words` came, the first stands that is no letter."""
        start = 0
        for letter in (letter for letters in words for letter in letters):
            start = text.find(letter, start)
            if letter not in self._symbols:
                break
            start += len(letter)
        return start


class TextDecoder(Coder):
    """Reads dots and dashes."""

    _FOLDS = str.maketrans(
        {**dict.fromkeys("·•∙⋅", "."), **dict.fromkeys("‐‑‒–—−_", "-"), "\n": "/", "|": "/"}
    )
    _LONGEST = max(map(len, SYMBOLS))

    def __init__(self) -> None:
        self._reader = Utf8Reader(DecodeError)
        self._letters = _Letters(SYMBOLS)
        self._held = ""
        self._position = 0

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._held + self._reader.read(piece).translate(self._FOLDS)
        cut = len(text.rstrip(".-"))
        yield self._decoded(text[:cut])
        self._held = text[cut:]
        if len(self._held) > self._LONGEST:
            raise DecodeError("no Morse code is as long as this", self._position)

    def _flush(self) -> Iterator[bytes]:
        yield self._decoded(self._held + self._reader.read(b"", final=True))

    def _decoded(self, text: str) -> bytes:
        words = [word.split() for word in text.split("/")]
        try:
            decoded = self._letters.read(words)
        except KeyError as error:
            position = self._position + self._letters.unknown(words, text)
            raise DecodeError(f"{quoted(error.args[0])} is no Morse code", position) from None
        self._position += len(text)
        return decoded.encode()


class DigitsDecoder(Coder):
    """Reads `units` or `prefix`: in both a letter ends with a zero, so three zeros part letters and seven
    part words.
    """

    _LETTER_GAP = "000"
    _WORD_GAP = "0000000"
    #: Held at most: the longest letter in units (zero: five dashes; SOS is longer still), and a word gap.
    _LONGEST = 64

    def __init__(self, writing: Writing) -> None:
        symbols = {writing.write(code)[:-1]: symbol for code, symbol in SYMBOLS.items()}
        self._letters = _Letters(symbols)
        self._input = SpacelessReader()

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        digits = self._input.add(piece)
        invalid = re.search(b"[^01]", digits)
        if invalid:
            raise DecodeError(
                f"{quoted(chr(invalid.group()[0]))} is no 0 and no 1", self._input.offset(invalid.start())
            )
        text = digits.decode()
        boundary = text.rfind(self._LETTER_GAP + "1")
        cut = boundary + len(self._LETTER_GAP) if boundary >= 0 else 0
        yield self._decoded(text[:cut])
        if len(text) - cut > self._LONGEST:
            raise DecodeError("no Morse letter is as long as this", self._input.offset(cut))
        self._input.keep(cut)

    def _flush(self) -> Iterator[bytes]:
        text = self._input.add(b"").decode()
        if not text:
            return
        if not text.endswith("10"):
            raise DecodeError("the input ends inside a signal or with a gap", self._input.read)
        yield self._decoded(text[:-1])

    def _decoded(self, text: str) -> bytes:
        words = self._words(text)
        try:
            return self._letters.read(words).encode()
        except KeyError:
            offset = self._input.offset(self._letters.unknown(words, text))
            raise DecodeError("no Morse letter, or a gap of a wrong length", offset) from None

    def _words(self, text: str) -> list[list[str]]:
        """Gaps of a wrong length leave an empty letter or one that begins or ends with a zero, which no table
        has.
        """
        if not text:
            return []
        body, after = text.removesuffix(self._LETTER_GAP), list[list[str]]()
        if text.endswith(self._WORD_GAP):
            body, after = text.removesuffix(self._WORD_GAP), [[]]
        return [word.split(self._LETTER_GAP) for word in body.split(self._WORD_GAP)] + after
