"""Codes that a client sends, as lists of code words: whether they can be read, and in how many ways a message can."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import wirecodes
from flask import Blueprint, Response
from pydantic import BaseModel, ValidationError
from wirecodes import prefix_codes

from app.codec.models import CodeCheck, CodeDocument, MessageDocument, MessageReadings
from app.codec.work import jobs_of_app
from app.problems import CodecsBusy
from heliograph.problems import BadDocument
from heliograph.request import bodies
from heliograph.request.openapi import Answer, operation
from heliograph.request.services import services

bp = Blueprint("codes", __name__)

M = TypeVar("M", bound=BaseModel)

#: Bytes of a JSON body: several times what the bounds on words and messages let through.
MAX_DOCUMENT = 1 << 20

#: JSON as every other answer has it: no spaces, and the keys as they come.
COMPACT = json.JSONEncoder(separators=(",", ":"))


@bp.post("/codes/check")
@operation(
    "Is a code prefix-free, and uniquely decodable?",
    tag="Codes",
    body={"application/json": CodeDocument},
    answers={200: Answer("With a counterexample where it is not", model=CodeCheck)},
    problems=(*bodies.PROBLEMS, BadDocument, CodecsBusy),
)
def check() -> Response:
    code = _document(CodeDocument)
    return _answer(lambda: prefix_codes.check(code.codewords))


@bp.post("/codes/split")
@operation(
    "All readings of a message",
    tag="Codes",
    body={"application/json": MessageDocument},
    answers={200: Answer("How many, exactly, and the first of them", model=MessageReadings)},
    problems=(*bodies.PROBLEMS, BadDocument, CodecsBusy),
)
def split() -> Response:
    given = _document(MessageDocument)
    return _answer(lambda: prefix_codes.split(given.codewords, given.message))


def _document(model: type[M]) -> M:
    body = bodies.read_request(services().spool, MAX_DOCUMENT)
    try:
        return model.model_validate_json(body.value())
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in error["loc"])
        raise BadDocument(f"{place}: {error['msg']}." if place else f"{error['msg']}.") from exc
    finally:
        body.close()


def _answer(study: Callable[[], dict[str, Any]]) -> Response:
    """What `study` finds, in a native thread: it may take a second."""
    try:
        with jobs_of_app().job() as step:
            text: str = step(lambda: _json(study()))
            return bodies.sandboxed(Response(text, mimetype="application/json"))
    except wirecodes.CodewordError as exc:
        raise BadDocument(f"{exc}.", position=exc.position) from exc


def _json(found: dict[str, Any]) -> str:
    """Megabytes of readings in pieces: made in one go they would keep Python's lock, and so the event loop."""
    return "".join(COMPACT.iterencode(found)) + "\n"
