"""Heads of requests: bytes in, an immutable head or a problem out. Pure.

The grammar accepts or refuses; a policy function then reads the few fields that decide about framing and
routing. What is refused is refused with the status that explains it, and with the same one however the bytes
were cut into packets. No byte is ever forwarded that was not checked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from heliograph_proxy.errors import (
    BadRequest,
    ExpectationFailed,
    FramingError,
    HeaderTooLarge,
    MethodNotAllowed,
    NotAvailable,
    RefusedMethod,
    TargetTooLong,
    UnknownCoding,
    UnknownVersion,
    VersionNotSupported,
)
from heliograph_proxy.hosts import same_host
from heliograph_proxy.http1 import grammar, requestline
from heliograph_proxy.http1.fields import (
    CHUNKED,
    EXPECT,
    HOP_BY_HOP,
    NEVER_HOP_BY_HOP,
    UPGRADED,
    Field,
    is_forwarding,
    length_field,
    lines,
    valid_host,
)
from heliograph_proxy.masking import mask_secrets
from heliograph_proxy.settings import ProxyLimits
from heliograph_proxy.traceparent import trace_id

_WEBSOCKET_KEY: Final = re.compile(rb"[A-Za-z0-9+/]{22}==")

#: Heads up to this size are kept parsed: clients and the nginx before us repeat them. Longer ones carry
#: cookies and the like, which are rarely the same twice.
CACHED_BYTES: Final = 1024
#: How many parsed heads are kept, at most about 3 KiB each.
CACHED_HEADS: Final = 2048


#: A field's name in lower case, its name and its value.
ForwardingField = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class RequestHead:
    method: bytes
    target: bytes
    #: The minor version: HTTP/1.0 or HTTP/1.1.
    minor: int
    host: bytes
    #: None: no Content-Length.
    length: int | None
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    #: A correct request to become a WebSocket.
    websocket: bool
    cookies: bytes
    #: The trace that one valid `traceparent` names, or "".
    trace_id: str
    #: Fields that only a trusted peer may set.
    forwarding: tuple[ForwardingField, ...]
    #: The request line, the end-to-end fields and the framing, ready to be sent.
    passed_on: bytes
    #: For the log: secrets in the target's query are not shown.
    method_text: str
    target_text: str


def check_unfinished(data: bytes, start: int, limits: ProxyLimits) -> None:
    """Refuse a head that is not complete yet as soon as it cannot become a good one. `start`: checked so
    far."""
    bad = grammar.impossible(data, start)
    line = data.find(b"\r\n")
    long_line = line > limits.request_line or (line < 0 and len(data) > limits.request_line + 1)
    if long_line and not (bad is not None and bad <= limits.request_line):
        raise TargetTooLong(
            f"the request line is longer than {limits.request_line} bytes", limit=limits.request_line
        )
    if bad is not None:
        raise BadRequest("a control character or a bare CR or LF in the head")
    if line >= max(start - 1, 0):
        _request_line(data[:line])
    if line >= 0 and len(data) - line > limits.header_bytes + 4:
        raise HeaderTooLarge(
            f"the header is longer than {limits.header_bytes} bytes", limit=limits.header_bytes
        )


class RequestParser:
    """Parses request heads, with the limits of the configuration."""

    def __init__(self, limits: ProxyLimits) -> None:
        self._limits = limits
        # A pure function of the bytes: equal heads may share one result.
        self._cached = lru_cache(CACHED_HEADS)(self._parse)

    def parse(self, head: bytes) -> RequestHead:
        """`head` is everything before the empty line, with the last CRLF."""
        return self._cached(head) if len(head) <= CACHED_BYTES else self._parse(head)

    def _parse(self, head: bytes) -> RequestHead:
        end = head.find(b"\r\n")
        block = head[end + 2 :]
        if end > self._limits.request_line or not grammar.FIELDS.fullmatch(block):
            self._explain(head)
        method, target, scheme, authority, minor = _request_line(head[:end])
        if len(target) > self._limits.request_line:
            raise TargetTooLong(
                f"the request line is longer than {self._limits.request_line} bytes when its target is percent-encoded",
                limit=self._limits.request_line,
            )
        fields = grammar.fields(block)
        self._check_sizes(block, len(fields))
        return _request(method, target, scheme, authority, minor, fields)

    def _explain(self, head: bytes) -> None:
        """The grammar did not match: say so as the first byte that is wrong demands."""
        check_unfinished(head, 0, self._limits)
        raise BadRequest("a header line is not `name: value`")

    def _check_sizes(self, block: bytes, count: int) -> None:
        limits = self._limits
        if count > limits.header_fields:
            raise HeaderTooLarge(
                f"more than {limits.header_fields} header fields", limit=limits.header_fields
            )
        if len(block) > limits.header_bytes:
            raise HeaderTooLarge(
                f"the header is longer than {limits.header_bytes} bytes", limit=limits.header_bytes
            )
        longest = limits.header_field_bytes
        if len(block) > longest and max(map(len, block.split(b"\r\n"))) > longest:
            raise HeaderTooLarge(f"a header field is longer than {longest} bytes", limit=longest)


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes, bytes, int]:
    """`requestline.parse` with a problem for what is refused."""
    try:
        return requestline.parse(line)
    except UnknownVersion as exc:
        raise VersionNotSupported(str(exc)) from exc
    except RefusedMethod as exc:
        raise MethodNotAllowed(str(exc), requestline.ALLOWED_METHODS) from exc
    except FramingError as exc:
        raise BadRequest(str(exc)) from exc


def _request(
    method: bytes, target: bytes, scheme: bytes, authority: bytes, minor: int, fields: list[Field]
) -> RequestHead:
    """The policy: which fields decide, which pass, and what is in doubt and therefore refused."""
    seen: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        seen.setdefault(name.lower(), []).append(value)
    host = _host(seen.get(b"host"), scheme, authority, minor)
    length, chunked = _request_framing(seen, minor)
    # RFC 9110 section 10.1.1: ignored in HTTP/1.0
    expects = b"expect" in seen and minor > 0 and _expects_continue(seen[b"expect"])
    connection = grammar.tokens(seen.get(b"connection", ()))
    if len(seen.get(b"content-type", ())) > 1 or connection & NEVER_HOP_BY_HOP:
        raise BadRequest("Content-Type is there twice, or Connection names a field that is not hop-by-hop")
    removed = HOP_BY_HOP | connection
    passed: list[Field] = []
    forwarding: list[ForwardingField] = []
    for name, value in fields:
        lower = name.lower()
        if lower in removed or b"_" in lower:  # WSGI cannot tell X_Y from X-Y
            continue
        if is_forwarding(lower):
            forwarding.append((lower, name, value))
        else:
            passed.append((name, value))
    if authority and b"host" not in seen:
        passed.insert(0, (b"Host", authority))
    websocket = not length and not chunked and _asks_for_websocket(method, minor, connection, seen)
    framing = CHUNKED if chunked else length_field(length)
    if expects:
        framing += EXPECT
    if websocket:
        framing += UPGRADED
    return RequestHead(
        method=method,
        target=target,
        minor=minor,
        host=host,
        length=length,
        chunked=chunked,
        keep_alive=grammar.keeps_alive(connection, minor),
        expects_continue=expects,
        websocket=websocket,
        cookies=b";".join(seen.get(b"cookie", ())),
        trace_id=_trace_id(seen[b"traceparent"]) if b"traceparent" in seen else "",
        forwarding=tuple(forwarding),
        passed_on=b"%b %b HTTP/1.1\r\n%b%b" % (method, target, lines(passed), framing),
        method_text=method.decode(),
        target_text=mask_secrets(target.decode()),
    )


def _trace_id(given: list[bytes]) -> str:
    return trace_id(given[0].decode("latin-1")) if len(given) == 1 else ""


def _host(given: list[bytes] | None, scheme: bytes, authority: bytes, minor: int) -> bytes:
    if not given:
        if minor == 1:
            raise BadRequest("Host is missing")
        return authority
    if len(given) > 1 or not valid_host(given[0]):
        raise BadRequest("Host is not one host with an optional port")
    # RFC 9112 section 3.2.2 lets the target win; a client that says two things at once is refused instead.
    if authority and not same_host(scheme.decode(), authority.decode(), given[0].decode()):
        raise BadRequest("Host is not the host of the request target")
    return given[0]


def _request_framing(seen: dict[bytes, list[bytes]], minor: int) -> tuple[int | None, bool]:
    try:
        return grammar.request_framing(seen.get(b"content-length"), seen.get(b"transfer-encoding"), minor)
    except UnknownCoding as exc:
        raise NotAvailable(str(exc)) from exc
    except FramingError as exc:
        raise BadRequest(str(exc)) from exc


def _expects_continue(given: Sequence[bytes]) -> bool:
    try:
        return grammar.expects_continue(given)
    except FramingError as exc:
        raise ExpectationFailed(str(exc)) from exc


def _asks_for_websocket(
    method: bytes, minor: int, connection: frozenset[bytes], seen: dict[bytes, list[bytes]]
) -> bool:
    """RFC 6455 section 4.1. What does not ask for it in this way goes on as an ordinary request, without Upgrade; an
    application that wants a WebSocket then tells which version."""
    asks = (
        method == b"GET"
        and minor == 1
        and b"upgrade" in connection
        and b"websocket" in grammar.tokens(seen.get(b"upgrade", ()))
        and seen.get(b"sec-websocket-version") == [b"13"]
    )
    keys = seen.get(b"sec-websocket-key", [])
    if asks and not (len(keys) == 1 and _WEBSOCKET_KEY.fullmatch(keys[0])):
        raise BadRequest("Sec-WebSocket-Key is not one key of 16 bytes in base64")
    return asks
