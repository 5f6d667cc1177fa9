"""The codecs over HTTP: what there is, encode and decode. A raw body in, a raw body out."""

from __future__ import annotations

from typing import Any

import wirecodes
from flask import Blueprint, Response, jsonify

from app.codec.conversion import BODY, PROBLEMS, Direction, find_codec, of_request, read_input
from app.codec.models import CodecEntry, CodecList
from app.problems import DecodeProblem, EncodeProblem, OutputTooLarge, UnknownCodec
from heliograph.request import bodies
from heliograph.request.openapi import Answer, operation

bp = Blueprint("codec", __name__)

_NAME = {
    "name": {"type": "string", "description": "A codec, or up to 8 joined by +", "example": "huffman+base64"}
}
_OUTPUT = {
    200: Answer(
        "The output: application/octet-stream, text/plain where the codec makes text, or audio/wav", "*/*"
    )
}


@bp.get("/codecs")
@operation(
    "All codecs",
    tag="Codecs",
    answers={200: Answer("All codecs", model=CodecList)},
)
def codecs() -> Response:
    return jsonify(codecs=[wirecodes.get(name).describe() for name in wirecodes.names()])


@bp.get("/codecs/<name>")
@operation(
    "One codec",
    tag="Codecs",
    path=_NAME,
    answers={200: Answer("The codec", model=CodecEntry)},
    problems=(UnknownCodec,),
)
def codec(name: str) -> Response:
    return jsonify(find_codec(name).describe())


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
    body=BODY,
    answers=_OUTPUT,
    problems=(*PROBLEMS, EncodeProblem, OutputTooLarge),
)
def encode(name: str) -> Response:
    return _convert(name, "encode")


@bp.post("/codecs/<name>/decode")
@operation(
    "Decode",
    tag="Codecs",
    path=_NAME,
    parameters=lambda: _parameters("decode"),
    body=BODY,
    answers=_OUTPUT,
    problems=(*PROBLEMS, DecodeProblem, OutputTooLarge),
)
def decode(name: str) -> Response:
    return _convert(name, "decode")


def _convert(name: str, direction: Direction) -> Response:
    conversion = of_request(name, direction)
    source = read_input()
    try:
        output = conversion.of_body(source)
    finally:
        source.close()
    return bodies.answer(output, conversion.media_type)
