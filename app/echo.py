"""Echo: what a client sends, it gets back. For trying out clients, proxies and the stack itself."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import gevent
from flask import Blueprint, Response, jsonify, request
from flask.blueprints import BlueprintSetupState
from pydantic import BaseModel, Field

from app.models import EchoedRequest, Slept
from app.problems import MissingMessage
from heliograph.problems import BadOption
from heliograph.request import bodies
from heliograph.request.openapi import BYTES, TEXT, Answer, operation
from heliograph.request.options import RequestOptions
from heliograph.request.services import services

bp = Blueprint("echo", __name__)

#: What /echo/request shows of a body.
MAX_SHOWN_BODY = 1 << 20

#: Seconds that /echo/delay sleeps at most: well under the 60 s that proxies wait for an answer.
MAX_DELAY = 30

#: The largest answer of /echo/bytes.
MAX_BYTES = 10 << 30

#: Bytes made at once by /echo/bytes. Making them takes some 50 µs, little beside the 5 ms that may block the loop.
PIECE = 64 << 10

#: Pieces after which /echo/bytes lets others run, for a fast reader never makes a send wait.
PIECES_AT_ONCE = 8

#: Seconds. Not 0: that comes back up to fifty times before the loop looks at its sockets.
A_MOMENT = 1e-4

#: Header fields whose values are secrets.
MASKED = frozenset({"authorization", "cookie", "proxy-authorization"})

_DELAY = re.compile(r"\d{1,3}(\.\d{1,9})?", re.ASCII)
_COUNT = re.compile(r"\d{1,12}", re.ASCII)


class StreamQuery(BaseModel):
    count: int = Field(10, ge=1, le=10_000, description="Lines in all")
    interval: float = Field(0.1, ge=0.01, le=60, allow_inf_nan=False, description="Seconds between lines")


class BytesQuery(BaseModel):
    seed: int = Field(0, ge=0, lt=1 << 63, description="The same seed gives the same bytes")


@bp.route("/echo", methods=["POST", "PUT", "PATCH"])
@operation(
    "The same bytes back",
    description="Any body, with the Content-Type that it came with.",
    tag="Echo",
    body={"*/*": BYTES},
    answers={200: Answer("The body of the request", "*/*")},
    problems=bodies.PROBLEMS,
)
def echo() -> Response:
    own = services()
    body = bodies.read_request(own.spool, own.settings[RequestOptions].max_body)
    return bodies.answer(body, request.headers.get("Content-Type") or "application/octet-stream")


@bp.get("/echo")
@operation(
    "A message back",
    tag="Echo",
    parameters=lambda: [{"in": "query", "name": "message", "required": True, "schema": dict(TEXT)}],
    answers={200: Answer("The message", "text/plain", TEXT)},
    problems=(MissingMessage,),
)
def echo_message() -> Response:
    message = request.args.get("message")
    if message is None:
        raise MissingMessage("Give one: /echo?message=hello", option="message")
    return bodies.sandboxed(Response(message, mimetype="text/plain"))


def echo_request() -> Response:
    own = services()
    with_body = bodies.read_request(own.spool, MAX_SHOWN_BODY)
    return bodies.sandboxed(
        jsonify(
            method=request.environ["REQUEST_METHOD"],
            path=request.path,
            query=[list(pair) for pair in parse_qsl(request.query_string.decode(), keep_blank_values=True)],
            headers=[
                [name, "***" if name.lower() in MASKED else value] for name, value in request.headers.items()
            ],
            body=_shown(with_body.value()),
            remote_addr=request.remote_addr,
            scheme=request.scheme,
            host=request.host,
            instance=own.settings[RequestOptions].instance,
        )
    )


echo_request = operation(
    "What arrived",
    description="The request as the application sees it, by any method. Values of Authorization and Cookie are masked.",
    tag="Echo",
    body={"*/*": BYTES},
    answers={200: Answer("The request", model=EchoedRequest)},
    problems=bodies.PROBLEMS,
)(echo_request)


@bp.record
def _route_any_method(state: BlueprintSetupState) -> None:
    """/echo/request takes any method, also unknown ones, which the decorators of Flask cannot express."""
    state.app.url_map.add(state.app.url_rule_class("/echo/request", endpoint="echo.request", methods=None))
    state.app.view_functions["echo.request"] = echo_request


@bp.get("/echo/delay/<seconds>")
@operation(
    "An answer after a while",
    description=f"Sleeps 0 to {MAX_DELAY} seconds. A thousand at once take as long as one.",
    tag="Echo",
    path={"seconds": {"type": "number", "minimum": 0, "maximum": MAX_DELAY}},
    answers={200: Answer("Slept", model=Slept)},
    problems=(BadOption,),
)
def delay(seconds: str) -> Response:
    if not _DELAY.fullmatch(seconds) or float(seconds) > MAX_DELAY:
        raise BadOption(
            f"seconds: a number from 0 to {MAX_DELAY} is allowed.", option="seconds", limit=MAX_DELAY
        )
    gevent.sleep(float(seconds))
    return jsonify(slept=float(seconds))


@bp.get("/echo/stream")
@operation(
    "Lines at an interval",
    description="Newline-delimited JSON, each line sent as soon as it is made.",
    tag="Echo",
    query=StreamQuery,
    answers={
        200: Answer(
            'Lines `{"n", "time"}`: n from 1, time in seconds since 1970', "application/x-ndjson", TEXT
        )
    },
    problems=(BadOption,),
)
def stream(query: StreamQuery) -> Response:
    response = Response(_lines(query.count, query.interval), mimetype="application/x-ndjson")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx passes each line on at once
    return response


@bp.get("/echo/bytes/<n>")
@operation(
    "Reproducible bytes",
    description=f"n bytes, up to {MAX_BYTES}, streamed.",
    tag="Echo",
    path={"n": {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}},
    query=BytesQuery,
    answers={200: Answer("n bytes", "application/octet-stream")},
    problems=(BadOption,),
)
def some_bytes(n: str, query: BytesQuery) -> Response:
    if not _COUNT.fullmatch(n) or int(n) > MAX_BYTES:
        raise BadOption(f"n: a whole number from 0 to {MAX_BYTES} is allowed.", option="n", limit=MAX_BYTES)
    pieces = _random_bytes(int(n), query.seed) if request.method == "GET" else iter(())
    return Response(
        pieces, mimetype="application/octet-stream", headers={"Content-Length": n.lstrip("0") or "0"}
    )


def _shown(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _lines(count: int, interval: float) -> Iterator[str]:
    start = time.monotonic()
    for n in range(1, count + 1):
        yield json.dumps({"n": n, "time": round(time.time(), 6)}) + "\n"
        if n < count:
            gevent.sleep(max(0.0, start + n * interval - time.monotonic()))


def _random_bytes(n: int, seed: int) -> Iterator[bytes]:
    generator: Any = random.Random(seed)
    for number in itertools.count(1):
        if n <= 0:
            return
        yield generator.randbytes(PIECE)[:n]
        n -= PIECE
        if number % PIECES_AT_ONCE == 0:
            gevent.sleep(A_MOMENT)
