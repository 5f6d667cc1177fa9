"""What a codec is: two directions, whole or piece by piece, and a description of itself.

A codec says what it makes of what: `input` and `output` are "bytes" or "text" (UTF-8), seen from the encoder.
Another package's codec derives from Codec and writes `encoder` and `decoder`; the rest follows from these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from wirecodes.coder import OUTPUT_PIECE, Buffer, Coder, Limited, as_bytes, run
from wirecodes.errors import CodecError, DecodeError, EncodeError
from wirecodes.options import Direction, Option, parse

Medium = Literal["bytes", "text"]


#: What a run needs that holds a few pieces, and no window to look back in.
USUAL_MEMORY = 8 * OUTPUT_PIECE


class Codec(ABC):
    """A pair of encoder and decoder with a name."""

    name: str
    title: str = ""
    kind: str = ""
    input: Medium = "bytes"
    output: Medium = "bytes"
    description: str = ""
    options: tuple[Option, ...] = ()

    @abstractmethod
    def encoder(self, /, **options: object) -> Coder:
        """A new encoder for one run. Raises OptionError for an option that does not fit."""

    @abstractmethod
    def decoder(self, /, *, max_output: int | None = None, **options: object) -> Coder:
        """A new decoder for one run, which raises OutputLimitError instead of putting out more than `max_output`
        bytes. Raises OptionError for an option that does not fit.
        """

    def bounded_encoder(self, max_output: int | None, /, **options: object) -> Coder:
        """An encoder that raises OutputLimitError instead of putting out more than `max_output` bytes, at any stage."""
        coder = self.encoder(**options)
        return coder if max_output is None else Limited(coder, max_output)

    def encode(self, data: Buffer | str, /, **options: object) -> bytes:
        """`data` encoded; a text codec takes str too. Raises EncodeError, and OptionError."""
        return b"".join(self.encode_stream((self._as_bytes(data, EncodeError),), **options))

    def decode(self, data: Buffer | str, /, *, max_output: int | None = None, **options: object) -> bytes:
        """The decoded value. Raises DecodeError, OutputLimitError above `max_output` bytes, and OptionError."""
        pieces = (self._as_bytes(data, DecodeError),)
        return b"".join(self.decode_stream(pieces, max_output=max_output, **options))

    def encode_stream(self, pieces: Iterable[Buffer], /, **options: object) -> Iterator[bytes]:
        """`pieces` encoded, lazily, in pieces of at most OUTPUT_PIECE bytes. Options are checked at once."""
        return run(self.encoder(**options), pieces)

    def decode_stream(
        self, pieces: Iterable[Buffer], /, *, max_output: int | None = None, **options: object
    ) -> Iterator[bytes]:
        """`pieces` decoded, lazily, in pieces of at most OUTPUT_PIECE bytes. Options are checked at once."""
        return run(self.decoder(max_output=max_output, **options), pieces)

    def produces(self, direction: Direction, /, **options: object) -> Medium:
        """What comes out of this direction with these options.

        Call this first with names that come from outside: it has no keyword argument that such a name could meet.
        """
        parse(self.options, direction, options)
        return self.output if direction == "encode" else self.input

    def media_type(self, direction: Direction, /, **options: object) -> str:
        """The media type of what comes out of this direction with these options."""
        text = self.produces(direction, **options) == "text"
        return "text/plain; charset=utf-8" if text else "application/octet-stream"

    def memory(self, direction: Direction, /, **options: object) -> int:
        """Bytes of memory that one run may need, roughly, for callers that have many at once."""
        parse(self.options, direction, options)
        return USUAL_MEMORY

    def __repr__(self) -> str:
        return f"wirecodes.get({self.name!r})"

    def describe(self) -> dict[str, Any]:
        """For JSON: this codec's entry in the catalogue."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "input": self.input,
            "output": self.output,
            "options": [option.describe() for option in self.options],
            "description": self.description,
        }

    def _as_bytes(self, data: Buffer | str, error_type: type[CodecError]) -> Buffer:
        if not isinstance(data, str):
            return as_bytes(data)
        if "text" not in (self.input, self.output):
            raise TypeError(f"{self.name} takes bytes, not str")
        try:
            return data.encode()
        except UnicodeEncodeError as error:
            raise error_type("a lone surrogate is not a character", error.start) from error


@dataclass(frozen=True)
class Description:
    """What a built-in codec says about itself."""

    name: str
    title: str
    kind: str
    input: Medium
    output: Medium
    description: str
    options: tuple[Option, ...] = ()


class BuiltCodec(Codec):
    """A codec made of a description and two functions that make coders from checked options."""

    def __init__(
        self, description: Description, encoder: Callable[..., Coder], decoder: Callable[..., Coder]
    ) -> None:
        self.name = description.name
        self.title = description.title
        self.kind = description.kind
        self.input = description.input
        self.output = description.output
        self.description = description.description
        self.options = description.options
        self._make_encoder = encoder
        self._make_decoder = decoder

    def encoder(self, /, **options: object) -> Coder:
        return self._make_encoder(**parse(self.options, "encode", options))

    def decoder(self, /, *, max_output: int | None = None, **options: object) -> Coder:
        coder = self._make_decoder(**parse(self.options, "decode", options))
        return coder if max_output is None else Limited(coder, max_output)
