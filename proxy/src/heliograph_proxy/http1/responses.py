"""Heads of responses: bytes in, an immutable head or a `FramingError` out. Pure.

A backend is trusted no more than a client: what is not strict HTTP/1.1 with one framing becomes a 502.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from heliograph_proxy.errors import FramingError, HeadTooLong
from heliograph_proxy.http1 import framing, grammar
from heliograph_proxy.http1.fields import CHUNKED, HOP_BY_HOP, NOSNIFF, UNBUFFERED, Field, length_field, lines
from heliograph_proxy.mediatypes import is_stream

# RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ]
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])((?: [\t\x20-\x7e\x80-\xff]*+)?)")

#: A backend's head may be this long: room for cookies. What this proxy adds is less than 4 KiB, and nginx/snippets/ give room for
#: both (proxy_buffer_size).
MAX_HEAD_BYTES: Final = 65536
#: Heads up to this size are kept parsed: the same small answer comes often within the second its Date is good
#: for.
CACHED_BYTES: Final = 1024
#: How many parsed heads are kept, at most about 3 KiB each.
CACHED_HEADS: Final = 1024


#: Statuses that decide about framing; no error of ours.
CONTINUE: Final = 100
SWITCHING_PROTOCOLS: Final = 101
HTTP_OK: Final = 200
NO_CONTENT: Final = 204
MULTIPLE_CHOICES: Final = 300
NOT_MODIFIED: Final = 304
UPGRADE_REQUIRED: Final = 426


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """How a response goes to a client."""

    #: The head without Connection and without the empty line.
    start: bytes
    #: The body's length: 0 where there is none; None where only the end tells.
    length: int | None
    #: The backend sends chunks.
    from_chunks: bool
    #: The client gets chunks.
    to_chunks: bool
    #: The client can see the end only by the connection's.
    closes: bool

    @property
    def until_closed(self) -> bool:
        """The backend's connection ends with the body."""
        return self.length is None and not self.from_chunks

    def reader(self) -> framing.BodyReader:
        if self.length is not None:
            return framing.LengthReader(self.length)
        return framing.ChunkedReader() if self.from_chunks else framing.UntilClosed()


@dataclass(frozen=True, slots=True, eq=False)
class ResponseHead:
    status: int
    #: The minor version.
    minor: int
    length: int | None
    chunked: bool
    keep_alive: bool
    #: The protocol a 101 switches to, or that a 426 asks for, in lower case.
    upgrade: bytes
    has_request_id: bool
    #: A stream of records, as server-sent events: it lasts as long as its application likes.
    stream: bool
    #: The status line and the end-to-end fields, ready to be sent.
    passed_on: bytes
    #: How it goes to a client of HTTP/1.1 that did not ask with HEAD.
    delivery: Delivery


def check_unfinished(data: bytes, start: int) -> None:
    """Refuse a head that is not complete yet as soon as it cannot become a good one."""
    if grammar.impossible(data, start) is not None:
        raise FramingError("a control character or a bare CR or LF in the head")
    if len(data) > MAX_HEAD_BYTES:
        raise _too_long()
    line = data.find(b"\r\n")
    if line >= max(start - 1, 0) and not _STATUS_LINE.fullmatch(data, 0, line):
        raise FramingError("the status line is not HTTP/1.1")


def parse(head: bytes) -> ResponseHead:
    """`head` is everything before the empty line, with the last CRLF."""
    return _cached(head) if len(head) <= CACHED_BYTES else _parse(head)


def _parse(head: bytes) -> ResponseHead:
    end = head.find(b"\r\n")
    match = _STATUS_LINE.fullmatch(head, 0, end)
    block = head[end + 2 :]
    if len(head) > MAX_HEAD_BYTES:
        raise _too_long()
    if not match or not grammar.FIELDS.fullmatch(block):
        raise FramingError("the head is not HTTP/1.1")
    return _response(int(match[1]), int(match[2]), match[3] or b" ", grammar.fields(block))


def _too_long() -> HeadTooLong:
    return HeadTooLong(f"the head of the backend's answer is too long: more than {MAX_HEAD_BYTES} bytes")


# A pure function of the bytes: equal heads may share one result.
_cached: Final = lru_cache(CACHED_HEADS)(_parse)


def _response(minor: int, status: int, reason: bytes, fields: list[Field]) -> ResponseHead:
    seen: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        seen.setdefault(name.lower(), []).append(value)
    length, chunked = _framing(seen, minor)
    connection = grammar.tokens(seen.get(b"connection", ()))
    removed = HOP_BY_HOP | connection
    if len(seen.get(b"x-request-id", ())) > 1:  # the client gets one: ours
        removed |= {b"x-request-id"}
    passed = [(name, value) for name, value in fields if name.lower() not in removed]
    passed_on = b"HTTP/1.1 %d%b\r\n%b" % (status, reason, lines(passed))
    if (b"x-content-type-options" not in seen or b"x-content-type-options" in removed) and status >= HTTP_OK:
        passed_on += NOSNIFF
    return ResponseHead(
        status=status,
        minor=minor,
        length=length,
        chunked=chunked,
        keep_alive=grammar.keeps_alive(connection, minor),
        upgrade=b", ".join(seen.get(b"upgrade", ())).lower() if b"upgrade" in connection else b"",
        has_request_id=b"x-request-id" in seen and b"x-request-id" not in removed,
        stream=length is None and _is_stream(status, seen.get(b"content-type", ())),
        passed_on=passed_on,
        delivery=_delivery(passed_on, status, length, chunked, b"x-accel-buffering" in seen),
    )


def _is_stream(status: int, content_types: Sequence[bytes]) -> bool:
    successful = HTTP_OK <= status < MULTIPLE_CHOICES and status != NO_CONTENT
    return successful and len(content_types) == 1 and is_stream(content_types[0].decode("latin-1"))


def _framing(seen: dict[bytes, list[bytes]], minor: int) -> tuple[int | None, bool]:
    codings = seen.get(b"transfer-encoding")
    if codings is None:
        return grammar.content_length(seen.get(b"content-length")), False
    if minor == 0 or b"content-length" in seen or [one.lower() for one in codings] != [b"chunked"]:
        raise FramingError("Transfer-Encoding is not one `chunked` without Content-Length in HTTP/1.1")
    return None, True


def delivery(head: ResponseHead, method: bytes, minor: int) -> Delivery:
    """How an answer goes to a client; `minor` is the client's version, and 1.0 does not know chunks."""
    if method == b"HEAD" and head.status != NO_CONTENT:
        # RFC 9110 section 8.6: Content-Length tells of the body that is not there.
        return Delivery(head.passed_on + length_field(head.length), 0, False, False, False)
    if minor == 0 and head.delivery.length is None:
        return Delivery(head.delivery.start.removesuffix(CHUNKED), None, head.chunked, False, True)
    return head.delivery


def _delivery(
    passed_on: bytes, status: int, length: int | None, chunked: bool, buffering_told: bool
) -> Delivery:
    # RFC 9112 section 6.3: these have no body, whatever the fields say; only a 304 may tell a length
    # nonetheless.
    if status < HTTP_OK or status == NO_CONTENT:
        return Delivery(passed_on, 0, False, False, False)
    if status == NOT_MODIFIED:
        return Delivery(passed_on + length_field(length), 0, False, False, False)
    if length is not None:
        return Delivery(passed_on + length_field(length), length, False, False, False)
    # Such an answer may be sent while it is made: nginx must not wait for more of it, unless the application says that it may.
    start = passed_on if buffering_told else passed_on + UNBUFFERED
    return Delivery(start + CHUNKED, None, chunked, True, False)
