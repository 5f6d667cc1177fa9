"""Exceptions into answers: whatever a view, Flask or Werkzeug raised becomes a problem document."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from http.client import responses
from typing import Any, cast

from flask import Blueprint, Flask, Response, request
from heliograph_proxy.problem_document import MEDIA_TYPE
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound
from werkzeug.exceptions import RequestEntityTooLarge as WerkzeugTooLarge
from werkzeug.routing.exceptions import WebsocketMismatch

from heliograph.problems import (
    BadRequest,
    BodyTooLarge,
    HeadersTooLarge,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Problem,
    RequestTimeout,
    Unavailable,
    UpgradeRequired,
    UriTooLong,
)

log = logging.getLogger("heliograph")


def init_app(app: Flask) -> None:
    """Answer every exception of `app` with a problem."""
    app.register_error_handler(Exception, answer)


def register_errors(
    app: Flask | Blueprint, table: Mapping[type[Exception], Callable[[Any], Problem]]
) -> None:
    """Answer errors of features with problems: `table` has what makes one of each class. The nearest class counts."""
    for kind, problem_of in table.items():
        app.register_error_handler(kind, _answering(problem_of))


def _answering(problem_of: Callable[[Any], Problem]) -> Callable[[Any], Response]:
    return lambda error: response_of(problem_of(error))


def response_of(problem: Problem) -> Response:
    response = Response(problem.body(), problem.status, problem.headers)
    response.headers["Content-Type"] = MEDIA_TYPE
    return response


def answer(error: Exception) -> Response:
    """The response for any exception that a view, Flask or Werkzeug raised."""
    if isinstance(error, HTTPException) and error.response is not None:
        return cast(Response, error.response)  # a view's abort(response)
    return response_of(translate(error))


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
        if "HTTP_UPGRADE" in request.environ:  # the wrapper leaves it to requests for a WebSocket only
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
    problem.status, problem.title = status, phrase
    problem.name = re.sub(r"[^a-z]+", "-", phrase.lower()).strip("-")
    return problem
