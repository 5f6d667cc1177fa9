"""What a code makes of data: its figures, its tree, and the table of Morse signs."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Literal

import wirecodes
from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field
from wirecodes import huffman, shannon_fano

from app.codec.conversion import BODY, PROBLEMS, read_input
from app.codec.models import CodeAnalysis, CodeTree, MorseTable
from app.codec.work import jobs_of_app
from app.problems import UnknownCodec
from heliograph.request import bodies
from heliograph.request.openapi import TEXT, Answer, operation

bp = Blueprint("analysis", __name__)

#: The codes that can be looked into.
CODES: dict[str, ModuleType] = {"huffman": huffman, "shannon-fano": shannon_fano}

MEDIA_TYPES = {"json": "application/json", "svg": "image/svg+xml", "dot": "text/vnd.graphviz"}

_NAME = {"name": {"enum": list(CODES)}}


class RadixQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    radix: int = Field(2, ge=2, le=10, description="Digits of the code")


class TreeQuery(RadixQuery):
    format: Literal["json", "svg", "dot"] | None = Field(None, description="Before the Accept header")


@bp.post("/codecs/<name>/analysis")
@operation(
    "The figures of a code",
    description="Its words, entropy and efficiency, beside the other code, a fixed-length code, gzip and zstd.",
    tag="Codecs",
    path=_NAME,
    query=RadixQuery,
    body=BODY,
    answers={200: Answer("Entropy and lengths are in code digits a symbol", model=CodeAnalysis)},
    problems=PROBLEMS,
)
def analysis(name: str, query: RadixQuery) -> Response:
    code = _code(name)
    return bodies.sandboxed(jsonify(_in_thread(lambda pieces: code.analyse_stream(pieces, query.radix))))


@bp.post("/codecs/<name>/tree")
@operation(
    "The tree of a code",
    description="As JSON, as an SVG picture, or for Graphviz; also by Accept.",
    tag="Codecs",
    path=_NAME,
    query=TreeQuery,
    body=BODY,
    answers={
        200: Answer(
            "The tree",
            model=CodeTree,
            headers={"Vary": "Accept"},
            others={MEDIA_TYPES["svg"]: TEXT, MEDIA_TYPES["dot"]: TEXT},
        )
    },
    problems=PROBLEMS,
)
def tree(name: str, query: TreeQuery) -> Response:
    code = _code(name)
    form = query.format or _accepted()

    def draw(pieces: Any) -> str:
        drawn: str = getattr(code.tree_stream(pieces, query.radix), f"to_{form}")()
        return drawn

    response = bodies.sandboxed(Response(_in_thread(draw), content_type=MEDIA_TYPES[form]))
    response.headers["Vary"] = "Accept"
    return response


@bp.get("/codecs/morse/table")
@operation(
    "The Morse signs",
    tag="Codecs",
    answers={200: Answer("Signs, their lengths in units, frequencies in text", model=MorseTable)},
)
def morse_table() -> Response:
    return jsonify(wirecodes.morse.table())


def _code(name: str) -> ModuleType:
    if name not in CODES:
        raise UnknownCodec("Only these codes can be looked into.", known=list(CODES))
    return CODES[name]


def _accepted() -> str:
    best = request.accept_mimetypes.best_match(list(MEDIA_TYPES.values()), default=MEDIA_TYPES["json"])
    return next(form for form, media_type in MEDIA_TYPES.items() if media_type == best)


def _in_thread(study: Callable[[Any], Any]) -> Any:
    """`study` of the request's body, in a native thread."""
    source = read_input()
    try:
        with jobs_of_app().job() as step:
            return step(study, source.blocking_pieces())
    finally:
        source.close()
