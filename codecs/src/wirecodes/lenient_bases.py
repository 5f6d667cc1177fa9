"""Base encodings as others write them, streaming: the decoders for lenient=1.

They take lower case (base16, base32), the other alphabet (base64 and base64url), missing or inner padding, and leave foreign
characters out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wirecodes.bases import Base, BaseDecoder
from wirecodes.coder import Coder
from wirecodes.errors import DecodeError
from wirecodes.options import Option

LENIENT = Option(
    "lenient",
    "integer",
    0,
    "1: take lower case, missing or inner padding, and leave foreign characters out.",
    "decode",
    minimum=0,
    maximum=1,
)

#: Padding, of which any number ends a group, and what stands between.
_PARTS = re.compile(b"=+|[^=]+")


def base_decoder(base: Base, lenient: int) -> Coder:
    return LenientBaseDecoder(base) if lenient else BaseDecoder(base)


class LenientBaseDecoder(Coder):
    """Reads what a strict decoder refuses: padding that is missing or stands between groups, characters that do not belong to the
    alphabet (left out), and the folds of the encoding. A padding character ends a group.
    """

    def __init__(self, base: Base) -> None:
        self._base = base
        self._known = base.alphabet + base.short
        self._foreign = bytes(byte for byte in range(256) if byte not in self._known)
        self._table = bytes.maketrans(*base.folds)
        self._dropped = self._foreign + base.short  # of these nothing is left in the rest
        self._group = re.compile(self._spread(base))
        self._groups = re.compile(b"(?:%b|%b)*+" % (self._group.pattern, re.escape(base.short) or b"(?!)"))
        self._rest = b""
        self._kept: list[int] = []  # where each character of the rest stands in the input
        self._read = 0

    @staticmethod
    def _spread(base: Base) -> bytes:
        """The regular expression of a group of characters: inside one, the character for a group of zeros stands for nothing."""
        if not base.short:
            return base.group
        one, short = b"[%b]" % re.escape(base.alphabet), re.escape(base.short)
        return b"(?:%b%b*+){%d}%b" % (one, short, base.width - 1, one)

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        parts = _PARTS.findall(piece) if self._base.padded else [piece]
        for part in parts:
            ends = self._base.padded and part.startswith(b"=")
            yield self._last_of_group() if ends else self._decoded(part)
            self._read += len(part)

    def _flush(self) -> Iterator[bytes]:
        yield self._last_of_group()

    def _decoded(self, part: bytes) -> bytes:
        part = part.translate(self._table)
        text = self._rest + part.translate(None, self._foreign)
        match = self._groups.match(text)
        whole = match.end() if match else 0
        try:
            value = self._base.decode(self._tidy(text[:whole])) if whole else b""
        except ValueError:
            raise self._too_large(text[:whole], part) from None
        self._rest = text[whole:].replace(self._base.short, b"") if self._base.short else text[whole:]
        self._keep(part)
        return value

    def _tidy(self, groups: bytes) -> bytes:
        """Without what stands for nothing inside groups."""
        short = self._base.short
        if not short or short not in groups:
            return groups
        return self._group.sub(lambda match: match.group().replace(short, b""), groups)

    def _too_large(self, groups: bytes, part: bytes) -> DecodeError:
        """Of the first group whose value has no place in its bytes, at its first character."""
        for match in self._group.finditer(groups):
            try:
                self._base.decode(self._tidy(match.group()))
            except ValueError:
                break
        places = [*self._kept, *(self._read + at for at, byte in enumerate(part) if byte in self._known)]
        return DecodeError("a group whose number is too large", places[match.start()])

    def _keep(self, part: bytes) -> None:
        """Note where the characters of the rest stand; from the end, because a part is long and the rest short."""
        places: list[int] = []
        end = len(part)
        while len(places) < len(self._rest) and (end := len(part[:end].rstrip(self._dropped)) - 1) >= 0:
            places.insert(0, self._read + end)
        earlier = len(self._rest) - len(places)
        self._kept = self._kept[:earlier] + places

    def _last_of_group(self) -> bytes:
        """What the characters of a group that is not complete stand for."""
        text, self._rest, self._kept = self._rest, b"", []
        if not text:
            return b""
        padding = b"=" * (self._base.width - len(text)) if self._base.padded else b""
        try:
            value = self._base.decode(text + padding)
        except ValueError:
            value = b""
        if not value:
            raise DecodeError("the input ends inside a group: characters are missing", self._read)
        return value
