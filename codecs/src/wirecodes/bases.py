"""Base encodings: groups of bytes as groups of ASCII characters (RFC 4648, Ascii85 and base85), streaming.

The encoders give what Python's base64 module gives for the whole. The decoders ignore ASCII white space and
are strict about everything else: only the alphabet (base16 and base32 in capitals), complete padding at the
end only, nothing after it, and no value that the encoder would have written in another way (leftover bits
set, a last group that overflows). `lenient_bases` has the decoders for lenient=1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wirecodes.coder import Coder
from wirecodes.errors import DecodeError, quoted
from wirecodes.text import SpacelessReader


@dataclass(frozen=True)
class Base:
    """One encoding: `size` bytes become `width` characters of `alphabet`."""

    title: str
    description: str
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    size: int
    width: int
    alphabet: bytes
    padded: bool = False
    #: A character that stands for a whole group of zero bytes.
    short: bytes = b""
    #: For lenient reading: what is read as a character of the alphabet.
    folds: tuple[bytes, bytes] = (b"", b"")

    @property
    def group(self) -> bytes:
        """The regular expression of one whole group."""
        plain = b"[%b]{%d}" % (re.escape(self.alphabet), self.width)
        return plain + b"|" + re.escape(self.short) if self.short else plain


class BaseEncoder(Coder):
    def __init__(self, base: Base) -> None:
        self._base = base
        self._rest = b""

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        data = self._rest + piece
        whole = len(data) - len(data) % self._base.size
        self._rest = data[whole:]
        yield self._base.encode(data[:whole])

    def _flush(self) -> Iterator[bytes]:
        yield self._base.encode(self._rest)


class BaseDecoder(Coder):
    """Decodes whole groups as they come; the tail is what came of the next one, or a group with padding."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._input = SpacelessReader()
        self._groups = re.compile(b"(?:%b)*+" % base.group)

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        text = self._input.add(piece)
        whole = self._whole_groups(text)
        try:
            decoded = self._base.decode(text[:whole])
        except ValueError:
            offset = self._input.offset(self._overflowing(text[:whole]))
            raise DecodeError("a group whose number is too large", offset) from None
        self._check_tail(text, whole)
        self._input.keep(whole)
        yield decoded

    def _flush(self) -> Iterator[bytes]:
        tail = self._input.add(b"")
        if not tail:
            return
        if self._base.padded and len(tail) < self._base.width:
            raise DecodeError(
                "the input ends inside a group: characters or padding are missing", self._input.read
            )
        try:
            value = self._base.decode(tail)
        except ValueError:
            value = b""
        if self._base.encode(value) != tail:
            reason = "the last group is cut off, or is not how its value is written"
            raise DecodeError(reason, self._input.offset(0))
        yield value

    def _whole_groups(self, text: bytes) -> int:
        """How many characters at the start of `text` are whole groups."""
        if not text.translate(None, self._base.alphabet):
            return len(text) - len(text) % self._base.width
        match = self._groups.match(text)
        return match.end() if match else 0

    def _overflowing(self, groups: bytes) -> int:
        """Which of the groups, each written well, makes the decoder fail."""
        for match in re.finditer(self._base.group, groups):
            try:
                self._base.decode(match.group())
            except ValueError:
                return match.start()
        return 0

    def _check_tail(self, text: bytes, whole: int) -> None:
        """What follows the whole groups must be the beginning of one more, or one with padding."""
        padding = False
        for index in range(whole, len(text)):
            character = text[index : index + 1]
            if index - whole >= self._base.width:
                reason = "data after the padding"
            elif character == b"=" and self._base.padded:
                padding = True
                continue
            elif character not in self._base.alphabet:
                reason = f"{quoted(chr(character[0]))} does not belong here in {self._base.title}"
            elif padding:
                reason = "a character after padding"
            else:
                continue
            raise DecodeError(reason, self._input.offset(index))


_CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERS = _CAPITALS + _CAPITALS.lower()
_FIGURES = b"0123456789"

BASES: dict[str, Base] = {
    "base16": Base(
        "Base16",
        "RFC 4648: two hexadecimal digits, in capitals, for each byte.",
        base64.b16encode,
        base64.b16decode,
        size=1,
        width=2,
        alphabet=_FIGURES + b"ABCDEF",
        folds=(b"abcdef", b"ABCDEF"),
    ),
    "base32": Base(
        "Base32",
        "RFC 4648: A to Z and 2 to 7, eight characters for five bytes.",
        base64.b32encode,
        base64.b32decode,
        size=5,
        width=8,
        alphabet=_CAPITALS + b"234567",
        padded=True,
        folds=(_CAPITALS.lower(), _CAPITALS),
    ),
    "base64": Base(
        "Base64",
        "RFC 4648: four characters for three bytes.",
        base64.b64encode,
        base64.b64decode,
        size=3,
        width=4,
        alphabet=_LETTERS + _FIGURES + b"+/",
        padded=True,
        folds=(b"-_", b"+/"),
    ),
    "base64url": Base(
        "Base64 for URLs",
        "RFC 4648: Base64 with - and _ for + and /, with padding.",
        base64.urlsafe_b64encode,
        base64.urlsafe_b64decode,
        size=3,
        width=4,
        alphabet=_LETTERS + _FIGURES + b"-_",
        padded=True,
        folds=(b"+/", b"-_"),
    ),
    "ascii85": Base(
        "Ascii85",
        "Adobe's alphabet without its frame: five characters for four bytes, z for four zero bytes.",
        base64.a85encode,
        base64.a85decode,
        size=4,
        width=5,
        alphabet=bytes(range(ord("!"), ord("u") + 1)),
        short=b"z",
    ),
    "base85": Base(
        "Base85",
        "As git and Mercurial write it: five characters for four bytes.",
        base64.b85encode,
        base64.b85decode,
        size=4,
        width=5,
        alphabet=_FIGURES + _LETTERS + b"!#$%&()*+-;<=>?@^_`{|}~",
    ),
}
