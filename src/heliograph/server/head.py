"""What pywsgi would guess at in a request's head and RFC 9112 forbids. Pure: lines and header fields in, a problem out.

A server that guesses otherwise than the proxy in front of it sees other requests on the same connection (request smuggling), so
nothing is guessed: one form of line, one form of length, one way to frame a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from heliograph_proxy.errors import FramingError, RefusedMethod, UnknownCoding, UnknownVersion
from heliograph_proxy.http1 import grammar, requestline
from heliograph_proxy.http1.fields import NEVER_HOP_BY_HOP

from heliograph.problems import (
    BadRequest,
    ExpectationFailed,
    HeadersTooLarge,
    MethodNotAllowed,
    NotAvailable,
    VersionNotSupported,
)

#: Bytes of all header fields of a request: twice what the proxy takes.
MAX_HEAD = 64 << 10


#: TRACE is the application's business: the layers in front refuse it.
_REFUSED_METHODS = (b"CONNECT",)


#: The fields that decide where a request ends, what may follow it, and what its body is.
_DECISIVE = ("connection", "content-length", "content-type", "expect", "transfer-encoding")


class LineReader(Protocol):
    def readline(self, size: int, /) -> bytes: ...


class StrictLines:
    """The header lines of one request, checked as they are read. Raises HeadersTooLarge, BadRequest."""

    def __init__(self, lines: LineReader) -> None:
        self._lines = lines
        self._left = MAX_HEAD

    def readline(self, size: int) -> bytes:
        line = self._lines.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise HeadersTooLarge(f"At most {MAX_HEAD} bytes of header fields are taken.", limit=MAX_HEAD)
        if line != b"\r\n" and not grammar.FIELD_LINE.fullmatch(line):
            raise BadRequest("A header line of the request is not valid HTTP/1.1.")
        return line


def read_request_line(line: str) -> tuple[str, str | None]:
    """The line with its target in origin form and in ASCII, as pywsgi splits it rightly, and the authority of an absolute form.

    Raises a Problem for anything but a request line that the proxy would take, too.
    """
    if not line.endswith("\r\n"):
        raise BadRequest("The request line is not valid HTTP/1.1: it does not end with CRLF.")
    try:
        method, target, _scheme, authority, minor = requestline.parse(
            line.removesuffix("\r\n").encode("latin-1"), _REFUSED_METHODS
        )
    except UnknownVersion as exc:
        raise VersionNotSupported(_sentence(exc)) from exc
    except RefusedMethod as exc:
        raise MethodNotAllowed(_sentence(exc), headers={"Allow": requestline.ALLOWED_METHODS}) from exc
    except FramingError as exc:
        raise BadRequest(_sentence(exc)) from exc
    # RFC 9112, 3.2.2: the authority counts instead of Host.
    return f"{method.decode()} {target.decode()} HTTP/1.{minor}\r\n", authority.decode() or None


def decisive_values(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """All values of each field that matters here, in one walk."""
    found: dict[str, list[str]] = {name: [] for name in _DECISIVE}
    for name, value in fields:
        values = found.get(name.lower())
        if values is not None:
            values.append(value)
    return found


def keeps_alive(version: str, connection: list[str]) -> bool:
    """Whether another request may follow on the connection, by the values of all Connection fields."""
    return grammar.keeps_alive(grammar.tokens(_encoded(connection)), int(version == "HTTP/1.1"))


def expects_continue(version: str, expect: list[str]) -> bool:
    """Whether the client waits for `100 Continue`. Raises ExpectationFailed."""
    if not expect or version != "HTTP/1.1":  # RFC 9110, 10.1.1: ignored in HTTP/1.0
        return False
    try:
        return grammar.expects_continue(_encoded(expect))
    except FramingError as exc:
        raise ExpectationFailed(_sentence(exc)) from exc


def _encoded(values: list[str]) -> list[bytes]:
    return [value.strip(" \t").encode("latin-1", "replace") for value in values]


def _sentence(exc: Exception) -> str:
    text = str(exc)
    return f"{text[:1].upper()}{text[1:]}."


def check_framing(version: str, lengths: list[str], encodings: list[str]) -> None:
    """Raise a Problem where the end of the body could be seen in two ways (RFC 9112, 6.3), or is coded otherwise than chunked.

    `lengths` and `encodings` are the values of all Content-Length and Transfer-Encoding fields.
    """
    if not lengths and not encodings:
        return
    try:
        grammar.request_framing(
            _encoded(lengths) or None, _encoded(encodings) or None, int(version == "HTTP/1.1")
        )
    except UnknownCoding as exc:
        raise NotAvailable(_sentence(exc)) from exc
    except FramingError as exc:
        raise BadRequest(_sentence(exc)) from exc


def check_once(kinds: list[str], connection: list[str]) -> None:
    """Raise BadRequest where a field has two values of which the next reader could take either.

    The values are those of all Content-Type and Connection fields.
    """
    if len(kinds) > 1 or (connection and grammar.tokens(_encoded(connection)) & NEVER_HOP_BY_HOP):
        raise BadRequest("Content-Type is there twice, or Connection names a field that is not hop-by-hop.")
