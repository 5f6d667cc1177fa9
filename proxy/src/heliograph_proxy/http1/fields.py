"""Header fields: what stands for one, which end at this hop, and those that this proxy writes itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from heliograph_proxy.trust import valid_port

Field = tuple[bytes, bytes]

# RFC 9110 section 7.6.1: "Intermediaries MUST remove Connection and the fields it names, and SHOULD remove or
# replace fields that are known to require removal before forwarding". `Proxy` is removed for httpoxy; framing
# is made anew, and so are the other fields that only this hop decides about.
HOP_BY_HOP: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer "
    b"transfer-encoding content-length upgrade proxy http2-settings expect".split()
)

#: Fields that tell of the hops before us: only a trusted peer's are believed. `X-Forwarded-*` belongs here as
#: well.
FORWARDING: Final = frozenset(b"forwarded x-real-ip x-request-id".split())

#: Naming one of these in Connection would change which message, or whose, the next hop sees.
NEVER_HOP_BY_HOP: Final = frozenset(b"host content-length transfer-encoding".split())

#: A client may write it in any case; the backend's server may not read it so.
EXPECT: Final = b"Expect: 100-continue\r\n"
VIA: Final = b"Via: 1.1 heliograph\r\n"
CLOSE: Final = b"Connection: close\r\n"
KEEP_ALIVE: Final = b"Connection: keep-alive\r\n"
UPGRADED: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
#: nginx passes such an answer on as it comes.
UNBUFFERED: Final = b"X-Accel-Buffering: no\r\n"
END_OF_HEAD: Final = b"\r\n"
NOSNIFF: Final = b"X-Content-Type-Options: nosniff\r\n"

# RFC 3986 host with RFC 9110's optional port, without the comma that would make it a list and without
# userinfo.
HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._~%!$&'()*+;=-]++)(?::([0-9]{1,5}))?")


def valid_host(value: bytes) -> bool:
    match = HOST.fullmatch(value)
    return match is not None and (match[1] is None or valid_port(int(match[1])))


def is_forwarding(lower: bytes) -> bool:
    return lower in FORWARDING or lower.startswith(b"x-forwarded-")


def lines(fields: Iterable[Field]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def length_field(length: int | None) -> bytes:
    return b"" if length is None else b"Content-Length: %d\r\n" % length
