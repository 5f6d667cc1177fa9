"""Texts that need no second look, in Python: what `_texts.pyx` does faster. Pure.

A table has rows of WIDTH bytes: the length of an entry, and the entry. `gap` is what stands before the next letter: nothing,
a gap between letters, or one between words.
"""

from __future__ import annotations

WIDTH = 32

#: The first byte of a row of white space.
SPACE = 0xFF

#: Rows of `symbols`: a code is its elements in binary, a dash 1, behind a leading 1.
CODES = 1024

NO_GAP, LETTER_GAP, WORD_GAP = 0, 1, 2

#: Hexadecimal digits as h, all else that may stand in a text as itself.
_KINDS = bytes.maketrans(b"0123456789ABCDEFabcdef", b"h" * 22)
_TEXT = bytes([*b"\t\r\n", *range(ord(" "), ord("~") + 1)])


def is_plain_quoted_printable(text: bytes) -> bool:
    """Whether each `=` begins an escape or a soft line break without padding, and all else is a character."""
    if text.translate(None, _TEXT):
        return False
    kinds = text.translate(_KINDS)
    return kinds.count(b"=") == kinds.count(b"=hh") + kinds.count(b"=\n") + kinds.count(b"=\r\n")


def write_letters(
    text: bytes, table: bytes, letter_gap: bytes, word_gap: bytes, gap: int
) -> tuple[bytes, int] | None:
    """The codes of all characters, and the gap before the next one; None where one has no row."""
    gaps = (b"", letter_gap, word_gap)
    out: list[bytes] = []
    for character in text:
        start = character * WIDTH
        length = table[start]
        if length == SPACE:
            gap = WORD_GAP if gap else NO_GAP
            continue
        if not length:
            return None
        out += (gaps[gap], table[start + 1 : start + 1 + length])
        gap = LETTER_GAP
    return b"".join(out), gap


def read_letters(text: bytes, symbols: bytes, gap: int) -> tuple[bytes, int] | None:
    """The symbols of whole letters in dots and dashes, and the gap before the next one; None where something is none."""
    out: list[bytes] = []
    code = 1
    for character in text + b" ":
        if character in b".-_":
            code = code << 1 | (character != ord("."))
            if code >= CODES:
                return None
            continue
        if code > 1:
            start = code * WIDTH
            if not symbols[start]:
                return None
            out += (b" " if gap == WORD_GAP else b"", symbols[start + 1 : start + 1 + symbols[start]])
            gap, code = LETTER_GAP, 1
        if character in b"/\n|":
            gap = WORD_GAP if gap else NO_GAP
        elif character not in b" \t\r":
            return None
    return b"".join(out), gap


def read_digits(text: bytes, symbols: bytes, dash: int) -> bytes | None:
    """The symbols of whole letters in zeros and ones, each with the gap behind it; None where something is none.

    A dot is a one, a dash `dash` of them. One zero parts them, three part letters, seven part words.
    """
    out: list[bytes] = []
    code, ones, zeros = 1, 0, 0
    for digit in text + b"1":
        if digit == ord("0"):
            zeros += 1
            continue
        if digit != ord("1"):
            return None
        if zeros:
            if ones not in (1, dash):
                return None
            code = code << 1 | (ones == dash)
            if code >= CODES or zeros not in (1, 3, 7):
                return None
            if zeros > 1:
                start = code * WIDTH
                if not symbols[start]:
                    return None
                out += (symbols[start + 1 : start + 1 + symbols[start]], b" " if zeros == 7 else b"")
                code = 1
            ones = zeros = 0
        ones += 1
    return b"".join(out) if code == ones == 1 else None
