"""One conversion: a codec, a direction and checked options. What HTTP and WebSocket views share.

Steps of a conversion run in a native thread; whatever goes wrong is a Problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import wirecodes
from flask import request
from wirecodes.coder import run
from wirecodes.options import require_plain_names
from wirecodes.pipeline import MAX_STAGES

from app.codec import multipart
from app.codec.work import jobs_of_app
from app.options import CodecOptions
from app.problems import BadMultipart, CodecsBusy, DecodeProblem, EncodeProblem, OutputTooLarge, UnknownCodec
from heliograph.problems import BadOption, Problem
from heliograph.request import bodies
from heliograph.request.bodies import Body
from heliograph.request.openapi import BYTES, TEXT, Schema, single_values
from heliograph.request.options import RequestOptions
from heliograph.request.services import services

Direction = Literal["encode", "decode"]

#: Output of which the ratio to the input does not matter yet: small texts may expand as they like.
RATIO_COUNTS_FROM = 100 << 20

#: Bytes of memory that one conversion may take: every codec at any level, and any pipeline at the usual levels, takes less.
MAX_MEMORY = 1 << 30

#: What `read_input` takes, and what it and a job may raise.
BODY: dict[str, Schema] = {
    "application/octet-stream": BYTES,
    "text/plain": TEXT,
    "multipart/form-data": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]},
}
PROBLEMS = (*bodies.PROBLEMS, BadMultipart, BadOption, CodecsBusy, UnknownCodec)


@dataclass(frozen=True)
class Conversion:
    """`medium` is what comes out: "bytes" or "text", `media_type` for HTTP; `memory` what it takes meanwhile, in bytes."""

    codec: wirecodes.Codec
    direction: Direction
    options: dict[str, Any]
    medium: str
    memory: int
    media_type: str

    def stream(self, pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
        """The output, made as it is read, in pieces of bounded size. `limit` bounds what each stage gives, in bytes."""
        if self.direction == "encode":
            return run(self.codec.bounded_encoder(limit, **self.options), pieces)
        return self.codec.decode_stream(pieces, max_output=limit, **self.options)

    def of_body(self, source: Body) -> Body:
        """The whole output, for an answer starts only when nothing can fail any more.

        Raises EncodeProblem or DecodeProblem for input that does not fit, OutputTooLarge, CodecsBusy, SpoolFull.
        """
        try:
            with jobs_of_app().job(self.memory) as step:
                # In a thread too: there are compressors whose tables take 0.1 s to make.
                stream: Iterator[bytes] = step(
                    self.stream, source.blocking_pieces(), self._limit(source.size)
                )
                return bodies.produce(services().spool, step, stream)
        except wirecodes.CodecError as exc:
            raise problem_of(exc, self.direction) from exc

    def of_message(self, message: bytes, limit: int) -> bytes:
        """The output for a message in memory. Raises as `of_body` does, OutputTooLarge above `limit` bytes."""
        try:
            with jobs_of_app().job(self.memory) as step:
                return step(self._collect, message, min(limit, self._limit(len(message))))
        except wirecodes.CodecError as exc:
            raise problem_of(exc, self.direction) from exc

    def _limit(self, input_size: int) -> int:
        """Bytes that an input of this size may become."""
        most = services().settings[CodecOptions].max_output
        return most if self.direction == "encode" else min(most, output_limit(input_size))

    def _collect(self, message: bytes, limit: int) -> bytes:
        collected = bytearray()
        for piece in self.stream((message,), limit):
            collected += piece
            if len(collected) > limit:
                raise OutputTooLarge(f"An answer has at most {limit} bytes.", limit=limit)
        return bytes(collected)


def find_codec(name: str) -> wirecodes.Codec:
    """A codec or a pipeline. Raises UnknownCodec, and BadOption for a pipeline that is too long."""
    if name.count("+") >= MAX_STAGES:
        raise BadOption(f"A pipeline has at most {MAX_STAGES} stages.", option="name", limit=MAX_STAGES)
    try:
        return wirecodes.get(name)
    except wirecodes.UnknownCodecError as exc:
        raise UnknownCodec(f"{exc}.", known=list(exc.known)) from exc


def of_request(name: str, direction: Direction) -> Conversion:
    """The conversion that the current request asks for. Raises UnknownCodec, BadOption."""
    codec, options = find_codec(name), single_values()
    try:
        require_plain_names(options)
        medium = codec.produces(direction, **options)
        memory = codec.memory(direction, **options)
        media_type = codec.media_type(direction, **options)
    except wirecodes.CodecError as exc:
        raise problem_of(exc, direction) from exc
    if memory > MAX_MEMORY:
        raise BadOption(
            f"option 'level': this would take {memory} bytes of memory.", option="level", limit=MAX_MEMORY
        )
    return Conversion(codec, direction, options, medium, memory, media_type)


def problem_of(error: wirecodes.CodecError, direction: Direction) -> Problem:
    """The problem that answers an error of a codec."""
    if isinstance(error, wirecodes.OptionError):
        return BadOption(f"{error}.", option=error.option, known=list(error.known))
    if isinstance(error, wirecodes.OutputLimitError):
        return OutputTooLarge(f"{error}.", limit=error.limit)
    kind = EncodeProblem if direction == "encode" else DecodeProblem
    return kind(f"{error}.", position=error.position, stage=error.stage)


def read_input() -> Body:
    """The current request's body, or its first file where it is a form. The caller closes it.

    Raises BodyTooLarge, BadMultipart, SpoolFull.
    """
    own = services()
    boundary = multipart.boundary_of(request.headers.get("Content-Type", ""))
    limit = own.settings[RequestOptions].max_body
    if boundary is None:
        return bodies.read_request(own.spool, limit)
    bodies.check_announced(limit)
    pieces = multipart.first_file(bodies.limited(bodies.request_pieces(), limit), boundary)
    return bodies.collect(own.spool, pieces)


def output_limit(input_size: int) -> int:
    """Bytes that an input of this size may decode to."""
    options = services().settings[CodecOptions]
    return min(options.max_output, max(RATIO_COUNTS_FROM, options.max_ratio * input_size))
