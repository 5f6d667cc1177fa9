"""Every error the application answers with: exception class -> status and problem type (RFC 9457).

Views raise; the one handler installed by `init_app` answers `application/problem+json`. Statuses of errors stand here only.
The `type` of a problem is `/problems/<name>`; all of them are listed in /docs and served below /problems.

    Problem
    ├── BadRequest (400)      ├── BadOption, MissingMessage, DecodeProblem, EncodeProblem, BadDocument, BadMultipart, …
    ├── ForeignOrigin (403)   ├── NotFound (404) ── UnknownCodec        ├── MethodNotAllowed (405)
    ├── RequestTimeout (408)  ├── BodyTooLarge, OutputTooLarge (413)    ├── UriTooLong (414)
    ├── UnknownHost (421)     ├── UpgradeRequired (426)                 ├── HeadersTooLarge (431)
    └── InternalError (500)   ├── NotBuilt, WebSocketsUnavailable (501)           └── SpoolFull, CodecsBusy, Stopping (503)
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import responses
from typing import ClassVar, cast

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound
from werkzeug.exceptions import RequestEntityTooLarge as WerkzeugTooLarge
from werkzeug.routing.exceptions import WebsocketMismatch

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger("heliograph")


class Problem(Exception):
    """An error with an answer. `extra` are further members of the problem object, such as `position` or `known`."""

    status: ClassVar[int] = 500
    name: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.headers = dict(headers or {})
        self.extra = {key: value for key, value in extra.items() if value is not None}

    def document(self) -> dict[str, object]:
        return {
            "type": f"/problems/{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }

    def body(self) -> bytes:
        return json.dumps(self.document(), ensure_ascii=False).encode() + b"\n"

    def response(self) -> Response:
        response = Response(self.body(), self.status, self.headers)
        response.headers["Content-Type"] = MEDIA_TYPE
        return response


class BadRequest(Problem):
    status, name, title = 400, "bad-request", "Bad request"


class BadOption(BadRequest):
    name, title = "bad-option", "An option or parameter is unknown or has a value that is not allowed"


class MissingMessage(BadRequest):
    name, title = "missing-message", "The message is missing"


class DecodeProblem(BadRequest):
    name, title = "decode-error", "The input cannot be decoded"


class EncodeProblem(BadRequest):
    name, title = "encode-error", "The input cannot be encoded"


class BadDocument(BadRequest):
    name, title = "bad-document", "The JSON of the request is not what is wanted here"


class BadMultipart(BadRequest):
    name, title = "bad-multipart", "The multipart body cannot be read"


class IncompleteBody(BadRequest):
    name, title = "incomplete-body", "The request ended before its body was complete"


class BadHost(BadRequest):
    name, title = "bad-host", "The Host header is missing or malformed"


class ForeignOrigin(Problem):
    status, name, title = 403, "foreign-origin", "Requests of this origin are not allowed"


class NotFound(Problem):
    status, name, title = 404, "not-found", "There is nothing at this path"


class UnknownCodec(NotFound):
    name, title = "unknown-codec", "There is no codec of this name"


class MethodNotAllowed(Problem):
    status, name, title = 405, "method-not-allowed", "This path does not take this method"


class RequestTimeout(Problem):
    status, name, title = 408, "request-timeout", "The request took too long to arrive"


class BodyTooLarge(Problem):
    status, name, title = 413, "body-too-large", "The request's body is too large"


class OutputTooLarge(Problem):
    status, name, title = 413, "output-too-large", "What the input decodes to is too large"


class UriTooLong(Problem):
    status, name, title = 414, "uri-too-long", "The request line is too long"


class UnknownHost(Problem):
    status, name, title = 421, "unknown-host", "This service does not answer for this host"


class UpgradeRequired(Problem):
    status, name, title = 426, "upgrade-required", "This path speaks WebSocket only"


class HeadersTooLarge(Problem):
    status, name, title = 431, "headers-too-large", "The request's header fields are too large"


class InternalError(Problem):
    """Anything we did not expect. The log has the traceback under the same request id."""


class NotBuilt(Problem):
    """Part of the interface, but not of this version."""

    status, name, title = 501, "not-implemented", "The request needs something that is not implemented"


class WebSocketsUnavailable(Problem):
    status, name, title = 501, "websockets-unavailable", "This server offers no WebSockets"


class Unavailable(Problem):
    """Something that passes; `Retry-After` is in seconds."""

    status, name, title = 503, "unavailable", "The service cannot do this now"
    retry_after: ClassVar[int] = 1

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after)}, **extra)


class SpoolFull(Unavailable):
    name, title = "spool-full", "There is no room for this body now"


class CodecsBusy(Unavailable):
    name, title = "codecs-busy", "Too many codec jobs are waiting"


class Stopping(Unavailable):
    name, title = "stopping", "This instance is shutting down"


def problems() -> Iterator[type[Problem]]:
    """All problem types, by status."""
    pending: list[type[Problem]] = [Problem]
    found: dict[str, type[Problem]] = {}
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        found.setdefault(kind.name, kind)
    return iter(sorted(found.values(), key=lambda kind: (kind.status, kind.name)))


@dataclass(frozen=True)
class ProblemType:
    """What is documented of a problem type."""

    name: str
    status: int
    title: str


#: The types that only nginx and the proxy answer with. The layers share no code; a test compares their names with these.
IN_FRONT = (
    ProblemType("unauthorized", 401, "The admin listener wants a token"),
    ProblemType("forbidden", 403, "This is not allowed"),
    ProblemType("conflict", 409, "There is one of this name already"),
    ProblemType("length-required", 411, "The request lacks a Content-Length"),
    ProblemType("precondition-failed", 412, "A precondition of the request does not hold"),
    ProblemType("unsupported-media-type", 415, "This media type is not supported"),
    ProblemType("range-not-satisfiable", 416, "The range is outside of this file"),
    ProblemType("expectation-failed", 417, "The request expects something that is not done here"),
    ProblemType("too-many-requests", 429, "Too many requests"),
    ProblemType("bad-gateway", 502, "The service behind this server does not answer"),
    ProblemType("gateway-timeout", 504, "The service behind this server took too long"),
    ProblemType("http-version-not-supported", 505, "This version of HTTP is not supported"),
)


def catalogue() -> list[ProblemType]:
    """All problem types of all layers, by status."""
    own = [ProblemType(kind.name, kind.status, kind.title) for kind in problems()]
    return sorted([*own, *IN_FRONT], key=lambda kind: (kind.status, kind.name))


def init_app(app: Flask) -> None:
    """Answer every exception of `app` with a problem."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The response for any exception that a view, Flask or Werkzeug raised."""
    if isinstance(error, HTTPException) and error.response is not None:
        return cast(Response, error.response)  # a view's abort(response)
    return translate(error).response()


def translate(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _from_werkzeug(error)
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return InternalError("Something went wrong here; the log of the service has it under this request id.")


#: The problem for a status that Flask or Werkzeug raised.
_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        NotFound,
        RequestTimeout,
        UriTooLong,
        UpgradeRequired,
        HeadersTooLarge,
        InternalError,
        Unavailable,
    )
}


def _from_werkzeug(error: HTTPException) -> Problem:
    if isinstance(error, WebsocketMismatch):
        return BadRequest("This path does not speak WebSocket.")
    if isinstance(error, WerkzeugMethodNotAllowed):
        if "HTTP_UPGRADE" in request.environ:  # Edge leaves it to requests for a WebSocket only
            return BadRequest("This path does not speak WebSocket.")
        allowed = sorted(error.valid_methods or ())
        return MethodNotAllowed(headers={"Allow": ", ".join(allowed)}, allowed=allowed)
    if isinstance(error, WerkzeugTooLarge):
        return BodyTooLarge(headers={"Connection": "close"})
    if isinstance(error, WerkzeugNotFound):
        return NotFound()  # its own words are about a browser's address bar
    return _of_status(error)


def _of_status(error: HTTPException) -> Problem:
    """A problem of the status that a library or a view chose, with its own headers, such as WWW-Authenticate."""
    status = error.code or InternalError.status
    kind = _BY_STATUS.get(status)
    words = str(error.description or "")
    problem = kind(words) if kind else _improvised(status, words)
    problem.headers.update((name, value) for name, value in error.get_headers() if name != "Content-Type")
    return problem


def _improvised(status: int, detail: str) -> Problem:
    """A problem for a status that has no type of ours."""
    phrase = responses.get(status, "Error")
    problem = Problem(detail or f"{phrase}.")
    problem.status, problem.title = status, phrase  # type: ignore[misc]
    problem.name = re.sub(r"[^a-z]+", "-", phrase.lower()).strip("-")  # type: ignore[misc]
    return problem
