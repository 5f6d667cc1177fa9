"""The errors that any application may answer with: exception class -> status and problem type (RFC 9457). Pure.

Views raise; the handler that `answers.init_app` installs answers `application/problem+json`. A feature has a `problems.py` with
further classes below these; defining one is enough to have it in the catalogue. Statuses of errors stand in these modules only.
The `type` of a problem is `/problems/<name>`.

    Problem
    ├── BadRequest (400)        BadOption, BadDocument, IncompleteBody, BadText, BadHost
    ├── TokenNeeded (401)       Forbidden, ForeignOrigin (403)          NotFound (404)
    ├── MethodNotAllowed (405)  RequestTimeout (408)                    LengthRequired (411)
    ├── BodyTooLarge (413)      UriTooLong (414)                        UnsupportedMediaType (415)
    ├── ExpectationFailed (417) UnknownHost (421)
    ├── UpgradeRequired (426)   TooManyRequests (429)                   HeadersTooLarge (431)
    ├── InternalError (500)     Unavailable (503): SpoolFull, Stopping
    └── NotAvailable (501)      VersionNotSupported (505)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from heliograph_proxy import problem_document


class Problem(Exception):
    """An error with an answer. `extra` are further members of the problem object, such as `position` or `known`.

    Each class has its status, name and title; an instance whose status is known only at run time sets its own.
    """

    status: int = 500
    name: str = "internal-error"
    title: str = "Internal error"

    def __init__(
        self, detail: str = "", *, headers: Mapping[str, str] | None = None, **extra: object
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.headers = dict(headers or {})
        self.extra = {key: value for key, value in extra.items() if value is not None}

    def document(self) -> dict[str, object]:
        return problem_document.document(self.name, self.title, self.status, self.detail, self.extra)

    def body(self) -> bytes:
        return problem_document.encode(self.document())


class BadRequest(Problem):
    status, name, title = 400, "bad-request", "Bad request"


class BadOption(BadRequest):
    name, title = "bad-option", "An option or parameter is unknown or has a value that is not allowed"


class BadDocument(BadRequest):
    name, title = "bad-document", "The JSON of the request is not what is wanted here"


class IncompleteBody(BadRequest):
    name, title = "incomplete-body", "The request ended before its body was complete"


class BadText(BadRequest):
    name, title = "bad-text", "The text is not UTF-8"


class BadHost(BadRequest):
    name, title = "bad-host", "The Host header is missing or malformed"


class TokenNeeded(Problem):
    """`WWW-Authenticate` says how (RFC 6750)."""

    status, name, title = 401, "token-needed", "A valid token or ticket is needed"

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"}, **extra)


class Forbidden(Problem):
    status, name, title = 403, "forbidden", "This is not allowed"


class ForeignOrigin(Problem):
    status, name, title = 403, "foreign-origin", "Requests of this origin are not allowed"


class NotFound(Problem):
    status, name, title = 404, "not-found", "There is nothing at this path"


class MethodNotAllowed(Problem):
    status, name, title = 405, "method-not-allowed", "This path does not take this method"


class RequestTimeout(Problem):
    status, name, title = 408, "request-timeout", "The request took too long to arrive"


class LengthRequired(Problem):
    status, name, title = 411, "length-required", "The request lacks a Content-Length"


class BodyTooLarge(Problem):
    status, name, title = 413, "body-too-large", "The request's body is too large"


class UriTooLong(Problem):
    status, name, title = 414, "uri-too-long", "The request line is too long"


class UnsupportedMediaType(Problem):
    status, name, title = 415, "unsupported-media-type", "This media type is not supported"


class ExpectationFailed(Problem):
    status, name, title = 417, "expectation-failed", "The request expects something that is not done here"


class UnknownHost(Problem):
    status, name, title = 421, "unknown-host", "This service does not answer for this host"


class UpgradeRequired(Problem):
    status, name, title = 426, "upgrade-required", "This path speaks WebSocket only"


class TooManyRequests(Problem):
    status, name, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, headers={"Retry-After": "1"}, **extra)


class HeadersTooLarge(Problem):
    status, name, title = 431, "headers-too-large", "The request's header fields are too large"


class InternalError(Problem):
    """Anything we did not expect. The log has the traceback under the same request id."""


class Unavailable(Problem):
    """Something that passes; `Retry-After` is in seconds."""

    status, name, title = 503, "unavailable", "The service cannot do this now"
    retry_after: ClassVar[int] = 1

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, headers={"Retry-After": str(self.retry_after)}, **extra)


class SpoolFull(Unavailable):
    name, title = "spool-full", "There is no room for this body now"


class Stopping(Unavailable):
    name, title = "stopping", "This instance is shutting down"


class NotAvailable(Problem):
    status, name, title = 501, "not-implemented", "The request needs something that is not implemented"


class VersionNotSupported(Problem):
    status, name, title = 505, "http-version-not-supported", "This version of HTTP is not supported"


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


#: The types that only nginx and the proxy answer with. A test compares their names with these.
IN_FRONT = (
    ProblemType("unauthorized", 401, "The admin listener wants a token"),
    ProblemType("conflict", 409, "There is one of this name already"),
    ProblemType("precondition-failed", 412, "A precondition of the request does not hold"),
    ProblemType("range-not-satisfiable", 416, "The range is outside of this file"),
    ProblemType("bad-gateway", 502, "The service behind this server does not answer"),
    ProblemType("gateway-timeout", 504, "The service behind this server took too long"),
)


def catalogue() -> list[ProblemType]:
    """All problem types of all layers, by status."""
    own = [ProblemType(kind.name, kind.status, kind.title) for kind in problems()]
    return sorted([*own, *IN_FRONT], key=lambda kind: (kind.status, kind.name))
