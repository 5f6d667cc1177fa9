"""Every error the application answers with: exception class -> status and problem type (RFC 9457).

Views raise; the one handler that `answers.init_app` installs answers `application/problem+json`. Statuses of errors stand here
only, those of the log of the channels, too (`of_channels`).
The `type` of a problem is `/problems/<name>`; all of them are listed in /docs and served below /problems.

    Problem
    ├── BadRequest (400)      ├── BadOption, MissingMessage, DecodeProblem, BadDocument, BadText, BadChannel, BadCursor, …
    ├── TokenNeeded (401)     ├── Forbidden, ForeignOrigin (403)        ├── NotFound (404) ── UnknownCodec
    ├── MethodNotAllowed (405)  RequestTimeout (408)                    ├── BodyTooLarge, OutputTooLarge, MessageTooLong (413)
    ├── UriTooLong (414)      ├── UnsupportedMediaType (415)            ├── UnknownHost (421)  KeyReused (422)
    ├── UpgradeRequired (426) ├── TooManyRequests, TooManyChannels (429)  HeadersTooLarge (431)
    └── InternalError (500)   ├── WebSocketsUnavailable (501)           └── SpoolFull, CodecsBusy, ChannelsUnavailable, … (503)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from flask import Response

from heliograph.channels import errors as channels

MEDIA_TYPE = "application/problem+json"


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


class BadText(BadRequest):
    name, title = "bad-text", "The text is not UTF-8"


class BadChannel(BadRequest):
    name, title = "bad-channel", "This cannot be the name of a channel"


class BadCursor(BadRequest):
    name, title = "bad-cursor", "This is not a cursor"


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


class MessageTooLong(Problem):
    status, name, title = 413, "message-too-long", "The message is too long"


class UriTooLong(Problem):
    status, name, title = 414, "uri-too-long", "The request line is too long"


class UnsupportedMediaType(Problem):
    status, name, title = 415, "unsupported-media-type", "This media type is not supported"


class UnknownHost(Problem):
    status, name, title = 421, "unknown-host", "This service does not answer for this host"


class KeyReused(Problem):
    status, name, title = 422, "key-reused", "This idempotency key was used with another message"


class UpgradeRequired(Problem):
    status, name, title = 426, "upgrade-required", "This path speaks WebSocket only"


class TooManyRequests(Problem):
    status, name, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str = "", **extra: object) -> None:
        super().__init__(detail, headers={"Retry-After": "1"}, **extra)


class TooManyChannels(Problem):
    status, name, title = 429, "too-many-channels", "There are as many channels as are allowed"


class HeadersTooLarge(Problem):
    status, name, title = 431, "headers-too-large", "The request's header fields are too large"


class InternalError(Problem):
    """Anything we did not expect. The log has the traceback under the same request id."""


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


class ChannelsUnavailable(Unavailable):
    """`uncertain`: the message may have been published all the same."""

    name, title = "channels-unavailable", "The log of the channels cannot be used now"


class ChannelsOverloaded(Unavailable):
    name, title = "channels-overloaded", "Too much waits for the log of the channels"


class Stopping(Unavailable):
    name, title = "stopping", "This instance is shutting down"


#: What is answered for an error of the log. The first that fits counts, so a class stands before the one it is made from.
_OF_CHANNELS: tuple[tuple[type[channels.ChannelError], type[Problem]], ...] = (
    (channels.BadName, BadChannel),
    (channels.BadCursor, BadCursor),
    (channels.MessageTooLong, MessageTooLong),
    (channels.KeyReused, KeyReused),
    (channels.TooManyChannels, TooManyChannels),
    (channels.Overloaded, ChannelsOverloaded),
    (channels.ChannelError, ChannelsUnavailable),
)


def of_channels(error: channels.ChannelError) -> Problem:
    kind = next(kind for of, kind in _OF_CHANNELS if isinstance(error, of))
    return kind(str(error), uncertain=getattr(error, "uncertain", False) or None)


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
    ProblemType("conflict", 409, "There is one of this name already"),
    ProblemType("length-required", 411, "The request lacks a Content-Length"),
    ProblemType("precondition-failed", 412, "A precondition of the request does not hold"),
    ProblemType("range-not-satisfiable", 416, "The range is outside of this file"),
    ProblemType("expectation-failed", 417, "The request expects something that is not done here"),
    ProblemType("not-implemented", 501, "The request needs something that is not implemented"),
    ProblemType("bad-gateway", 502, "The service behind this server does not answer"),
    ProblemType("gateway-timeout", 504, "The service behind this server took too long"),
    ProblemType("http-version-not-supported", 505, "This version of HTTP is not supported"),
)


def catalogue() -> list[ProblemType]:
    """All problem types of all layers, by status."""
    own = [ProblemType(kind.name, kind.status, kind.title) for kind in problems()]
    return sorted([*own, *IN_FRONT], key=lambda kind: (kind.status, kind.name))
