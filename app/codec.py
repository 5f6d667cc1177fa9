"""The codecs over HTTP: what there is, encode and decode. A raw body in, a raw body out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import wirecodes
from flask import Blueprint, Response, jsonify, request

from app import bodies, multipart
from app.bodies import Body
from app.errors import (
    BadMultipart,
    BadOption,
    BodyTooLarge,
    CodecsBusy,
    DecodeProblem,
    EncodeProblem,
    IncompleteBody,
    OutputTooLarge,
    Problem,
    RequestTimeout,
    SpoolFull,
    UnknownCodec,
)
from app.openapi import BYTES, TEXT, Answer, operation
from app.services import services
from app.settings import MIB

bp = Blueprint("codec", __name__)

Direction = Literal["encode", "decode"]

#: Output of which the ratio to the input does not matter yet: small texts may expand as they like.
RATIO_COUNTS_FROM = 100 * MIB

MEDIA_TYPES = {"bytes": "application/octet-stream", "text": "text/plain; charset=utf-8"}

_CODEC = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("name", "title", "kind", "input", "output", "description"), TEXT),
        "options": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["name", "title", "kind", "input", "output", "options", "description"],
}
_NAME = {
    "name": {"type": "string", "description": "A codec, or up to 8 joined by +", "example": "huffman+base64"}
}
_RUN_PROBLEMS = (
    BadOption,
    BadMultipart,
    BodyTooLarge,
    CodecsBusy,
    IncompleteBody,
    RequestTimeout,
    SpoolFull,
    UnknownCodec,
)
_BODY = {
    "application/octet-stream": BYTES,
    "text/plain": TEXT,
    "multipart/form-data": {"type": "object", "properties": {"file": BYTES}, "required": ["file"]},
}
_OUTPUT = {
    200: Answer("The output: application/octet-stream, or text/plain where the codec makes text", "*/*")
}


@bp.get("/codecs")
@operation(
    "All codecs",
    tag="Codecs",
    answers={
        200: Answer(
            "All codecs",
            schema={
                "type": "object",
                "properties": {"codecs": {"type": "array", "items": _CODEC}},
                "required": ["codecs"],
            },
        )
    },
)
def codecs() -> Response:
    return jsonify(codecs=[wirecodes.get(name).describe() for name in wirecodes.names()])


@bp.get("/codecs/<name>")
@operation(
    "One codec",
    tag="Codecs",
    path=_NAME,
    answers={200: Answer("The codec", schema=_CODEC)},
    problems=(UnknownCodec,),
)
def codec(name: str) -> Response:
    return jsonify(_find(name).describe())


def _parameters(direction: Direction) -> list[dict[str, Any]]:
    """The options of all codecs as OpenAPI parameters; one that several codecs have is described once."""
    seen: dict[str, dict[str, Any]] = {}
    for name in wirecodes.names():
        for option in wirecodes.get(name).options:
            if option.direction in (direction, "both"):
                described = f"{name}: {option.description} (default: {option.default})"
                parameter = seen.setdefault(
                    option.name,
                    {"in": "query", "name": option.name, "description": "", "schema": {"type": option.type}},
                )
                parameter["description"] = "; ".join(filter(None, (parameter["description"], described)))
    return list(seen.values())


@bp.post("/codecs/<name>/encode")
@operation(
    "Encode",
    tag="Codecs",
    path=_NAME,
    parameters=lambda: _parameters("encode"),
    body=_BODY,
    answers=_OUTPUT,
    problems=(*_RUN_PROBLEMS, EncodeProblem),
)
def encode(name: str) -> Response:
    return _convert(name, "encode")


@bp.post("/codecs/<name>/decode")
@operation(
    "Decode",
    tag="Codecs",
    path=_NAME,
    parameters=lambda: _parameters("decode"),
    body=_BODY,
    answers=_OUTPUT,
    problems=(*_RUN_PROBLEMS, DecodeProblem, OutputTooLarge),
)
def decode(name: str) -> Response:
    return _convert(name, "decode")


def _find(name: str) -> wirecodes.Codec:
    try:
        return wirecodes.get(name)
    except wirecodes.UnknownCodecError as exc:
        raise UnknownCodec(f"{exc}.", known=list(exc.known)) from exc


def _convert(name: str, direction: Direction) -> Response:
    found = _find(name)
    options = _options()
    try:
        medium = found.produces(direction, **options)
    except wirecodes.CodecError as exc:
        raise _problem(exc, direction) from exc
    source = _read_input()
    try:
        output = _run(found, direction, source, options)
    finally:
        source.close()
    return bodies.answer(output, MEDIA_TYPES[medium])


def _options() -> dict[str, str]:
    """The options in the query. Raises BadOption for one that is there twice: either value would be a guess."""
    for name, values in request.args.lists():
        if len(values) > 1:
            raise BadOption(f"option {name[:60]!a}: given more than once.", option=name)
    return request.args.to_dict()


def _read_input() -> Body:
    own = services()
    boundary = multipart.boundary_of(request.headers.get("Content-Type", ""))
    limit = own.settings.max_body
    if boundary is None:
        return bodies.read_request(own.spool, limit)
    bodies.check_announced(limit)
    pieces = multipart.first_file(bodies.limited(bodies.request_pieces(), limit), boundary)
    return bodies.collect(own.spool, pieces)


def _run(found: wirecodes.Codec, direction: Direction, source: Body, options: dict[str, str]) -> Body:
    """The whole output, made piece by piece in a native thread before the answer starts: it may still fail."""
    own = services()
    try:
        if direction == "encode":
            stream = found.encode_stream(source.blocking_pieces(), **options)
        else:
            stream = found.decode_stream(
                source.blocking_pieces(), max_output=_output_limit(source.size), **options
            )
        with own.jobs.job() as step:
            return bodies.collect(own.spool, _stepwise(step, stream))
    except wirecodes.CodecError as exc:
        raise _problem(exc, direction) from exc


def _stepwise(step: Any, stream: Iterator[bytes]) -> Iterator[bytes]:
    while (piece := step(next, stream, None)) is not None:
        yield piece


def _output_limit(input_size: int) -> int:
    settings = services().settings
    return min(settings.max_output, max(RATIO_COUNTS_FROM, settings.max_ratio * input_size))


def _problem(error: wirecodes.CodecError, direction: Direction) -> Problem:
    if isinstance(error, wirecodes.OptionError):
        return BadOption(f"{error}.", option=error.option, known=list(error.known))
    if isinstance(error, wirecodes.OutputLimitError):
        return OutputTooLarge(f"{error}.", limit=error.limit)
    kind = EncodeProblem if direction == "encode" else DecodeProblem
    return kind(f"{error}.", position=error.position, stage=error.stage)
