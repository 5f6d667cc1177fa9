"""The codecs that others defined: descriptions of base encodings, text codes and compressions, ready for the
catalogue.
"""

from __future__ import annotations

from functools import partial

from wirecodes.bases import BASES, Base, BaseEncoder
from wirecodes.codec import BuiltCodec, Codec, Description
from wirecodes.compression import (
    FORMATS,
    MAX_WINDOW,
    TRAILING,
    CompressionDecoder,
    CompressionEncoder,
    Format,
)
from wirecodes.errors import DecodeError, EncodeError
from wirecodes.lenient_bases import LENIENT, base_decoder
from wirecodes.options import Direction, parse
from wirecodes.quoted_printable import QuotedPrintableDecoder, QuotedPrintableEncoder
from wirecodes.text_codes import PercentEncoder, Rot13, percent_decoder


def _base(name: str, base: Base) -> Codec:
    description = Description(
        name, base.title, "base encoding", "bytes", "text", base.description, (LENIENT,)
    )
    return BuiltCodec(description, partial(BaseEncoder, base), partial(base_decoder, base))


class CompressionCodec(BuiltCodec):
    """A compression, which needs memory for its tables and its window."""

    def __init__(self, name: str, format: Format) -> None:
        description = Description(
            name, format.title, "compression", "bytes", "bytes", format.description, (format.level, TRAILING)
        )
        super().__init__(
            description,
            partial(_compression_encoder, format),
            partial(CompressionDecoder, format),
        )
        self._format = format

    def memory(self, direction: Direction, /, **options: object) -> int:
        settings = parse(self.options, direction, options)
        return MAX_WINDOW if direction == "decode" else self._format.memory_of(settings["level"])


def _compression_encoder(format: Format, level: int) -> CompressionEncoder:
    return CompressionEncoder(format.compressor(level))


def _text_codes() -> list[Codec]:
    return [
        BuiltCodec(
            Description(
                "quoted-printable",
                "Quoted-printable",
                "text code",
                "bytes",
                "text",
                "RFC 2045: ASCII stays, other bytes become =XX. Line ends become all like the first one.",
            ),
            QuotedPrintableEncoder,
            QuotedPrintableDecoder,
        ),
        BuiltCodec(
            Description(
                "percent",
                "Percent-encoding",
                "text code",
                "bytes",
                "text",
                "RFC 3986: every byte but letters, digits and -._~ becomes %XX.",
            ),
            PercentEncoder,
            percent_decoder,
        ),
        BuiltCodec(
            Description(
                "rot13",
                "ROT13",
                "text code",
                "text",
                "text",
                "The letters A to Z moved on by thirteen; all else stays.",
            ),
            partial(Rot13, EncodeError),
            partial(Rot13, DecodeError),
        ),
    ]


def standard_codecs() -> list[Codec]:
    """In the order of the catalogue."""
    return [
        *(_base(name, base) for name, base in BASES.items()),
        *_text_codes(),
        *(CompressionCodec(name, format) for name, format in FORMATS.items()),
    ]
