"""What clients publish as an `Append` of the log: from an HTTP request, a frame, a plain text."""

from __future__ import annotations

import base64
import binascii
import re

from flask import request

from heliograph.channels.errors import ChannelError
from heliograph.channels.message import MAX_KEY, MAX_MESSAGE, Append, Kind, new_append
from heliograph.channels.problems import (
    ChannelsOverloaded,
    ChannelsUnavailable,
    KeyReusedProblem,
    MessageTooLongProblem,
    TooManyChannelsProblem,
)
from heliograph.channels.transports import jsontext
from heliograph.channels.transports.jsontext import JsonMember, NotJson
from heliograph.problems import (
    BadDocument,
    BadOption,
    BadText,
    BodyTooLarge,
    IncompleteBody,
    RequestTimeout,
    TooManyRequests,
    UnsupportedMediaType,
)
from heliograph.request import bodies

#: The problems of publishing, beside those of access.
PROBLEMS = (
    BadDocument,
    BadOption,
    BadText,
    BodyTooLarge,
    ChannelsOverloaded,
    ChannelsUnavailable,
    IncompleteBody,
    KeyReusedProblem,
    RequestTimeout,
    TooManyChannelsProblem,
    TooManyRequests,
)

FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

#: Bytes of the JSON around a message: all its characters may be escaped, `\\u0000` for one byte.
MAX_DOCUMENT = 6 * MAX_MESSAGE + 4096

_SPACE = r"[ \t\n\r]*"
_BYTES = re.compile(rf'\{{{_SPACE}"base64"{_SPACE}:{_SPACE}"([A-Za-z0-9+/=]*)"{_SPACE}\}}')


def from_request(channel: str, subject: str) -> Append:
    """The body of the current request as a message of the kind that its Content-Type says."""
    media = request.mimetype
    if media in FORMS:
        raise UnsupportedMediaType("Forms are not accepted: send JSON, text or bytes.")
    body = _body(MAX_MESSAGE)
    kind = Kind.BYTES
    if media == "application/json":
        kind = Kind.JSON
        try:
            jsontext.check(body)
        except NotJson as exc:
            raise BadDocument(str(exc), position=exc.position) from exc
    elif media.startswith("text/"):
        kind = Kind.TEXT
        try:
            body.decode()
        except UnicodeDecodeError as exc:
            raise BadText(f"Byte {exc.start} is not UTF-8.", position=exc.start) from exc
    return new_message(channel, kind, body, header_key(), subject)


def document_of_request() -> dict[str, JsonMember]:
    """The members of the JSON object in the current request's body."""
    try:
        return jsontext.members(jsontext.decode(_body(MAX_DOCUMENT)))
    except NotJson as exc:
        raise BadDocument(str(exc), position=exc.position) from exc


def events_channel() -> str | None:
    """Of the current request for a ticket: the channel whose event streams it is wanted for, or None without a document."""
    body = _body(MAX_DOCUMENT)
    if not body.strip():
        return None
    try:
        found = jsontext.members(jsontext.decode(body))
    except NotJson as exc:
        raise BadDocument(str(exc), position=exc.position) from exc
    wanted, channel = found.get("for"), found.get("channel")
    if not found:
        return None
    if found.keys() != {"for", "channel"} or not (wanted and channel) or wanted.text != '"events"':
        raise BadDocument('The members "for": "events" and "channel" are expected, or no document.')
    if not jsontext.is_text(channel):
        raise BadDocument('"channel" is not a text.')
    return str(channel.value)


def from_member(channel: str, data: JsonMember, key: str | None, subject: str) -> Append:
    """A member `data` of an object as a message: the inverse of how messages are shown (`rendering.data_json`)."""
    kind, content = _content(data)
    return new_message(channel, kind, content, key, subject)


def new_message(channel: str, kind: Kind, data: bytes, key: str | None, subject: str) -> Append:
    """Raises BadOption for a bad key, MessageTooLongProblem, and ChannelError for the rest."""
    if len(data) > MAX_MESSAGE:
        raise MessageTooLongProblem(f"A message has at most {MAX_MESSAGE} bytes.", limit=MAX_MESSAGE)
    try:
        return new_append(channel, kind, data, key=key, subject=subject)
    except ChannelError:
        raise
    except ValueError as exc:
        raise BadOption(str(exc), option="Idempotency-Key", limit=MAX_KEY) from exc


def header_key() -> str | None:
    return request.headers.get("Idempotency-Key")


def _body(limit: int) -> bytes:
    """The body, which fits into memory."""
    bodies.check_announced(limit)
    return b"".join(bodies.limited(bodies.request_pieces(), limit))


def _content(data: JsonMember) -> tuple[Kind, bytes]:
    if jsontext.is_text(data):
        try:
            return Kind.TEXT, data.value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair: JSON can say that, UTF-8 cannot
            return Kind.JSON, data.text.encode()
    found = _BYTES.fullmatch(data.text)
    if found and (content := _bytes(found[1])) is not None:
        return Kind.BYTES, content
    return Kind.JSON, data.text.encode()


def _bytes(text: str) -> bytes | None:
    """None for base64 that would not be shown as it came: it is a text like any other then."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return content if base64.b64encode(content).decode() == text else None
