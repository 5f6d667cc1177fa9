"""The first line of a request, read in one way by the proxy and by the servers of applications. Pure.

RFC 9112 section 3, and two things that clients get wrong: a target in UTF-8 that was not percent-encoded is taken as if
it was; another encoding is refused, as it cannot be known which one it is.
"""

from __future__ import annotations

import re
from typing import Final

from heliograph_proxy.errors import FramingError, RefusedMethod, UnknownVersion
from heliograph_proxy.http1.fields import valid_host
from heliograph_proxy.http1.grammar import TOKEN

#: What a resource may take; CONNECT and TRACE are taken nowhere.
ALLOWED_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

# RFC 9112 section 3: request-line = method SP request-target SP HTTP-version
_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e\x80-\xff]++) HTTP/([0-9])\.([0-9])")
# RFC 9112 section 3.2.2: absolute-form
_ABSOLUTE: Final = re.compile(rb"((?i:https?))://([^/?#]*+)([/?][^#]*+)?")
_ABOVE_ASCII: Final = re.compile(rb"[\x80-\xff]")


#: CONNECT is for proxies; TRACE would show a page the cookies that it may not read.
REFUSED_METHODS: Final = (b"CONNECT", b"TRACE")


def parse(
    line: bytes, refused: tuple[bytes, ...] = REFUSED_METHODS
) -> tuple[bytes, bytes, bytes, bytes, int]:
    """Of a line without its end: method, target in origin- or asterisk-form and in ASCII, scheme and authority if it was in
    absolute-form, minor version. Raises FramingError, RefusedMethod, UnknownVersion."""
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise FramingError(
            "the request line is not `METHOD target HTTP/1.1`; "
            "spaces and control characters of the target must be percent-encoded"
        )
    method, target, major, minor = match.groups()
    if major != b"1" or minor not in b"01":
        raise UnknownVersion("only HTTP/1.0 and HTTP/1.1 are supported")
    if method in refused:
        raise RefusedMethod(f"{method.decode()} is not allowed here")
    if b"#" in target:
        raise FramingError("the request target has a fragment, which is for the client alone")
    if not target.isascii():
        target = _percent_encoded(target)
    scheme = authority = b""
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        target, scheme, authority = _origin_form(method, target)
    return method, target, scheme, authority, int(minor)


def _origin_form(method: bytes, target: bytes) -> tuple[bytes, bytes, bytes]:
    """Target, scheme and authority of an absolute-form."""
    absolute = _ABSOLUTE.fullmatch(target)
    if not absolute or not valid_host(absolute[2]):
        raise FramingError("the request target is neither a path nor an http URL")
    rest: bytes = absolute[3] or b""
    # RFC 9112 section 3.2.4: OPTIONS for a URL without path and query asks about the server, `*`.
    empty = b"*" if method == b"OPTIONS" and not rest else b"/"
    path = rest if rest.startswith(b"/") else empty + rest if rest else empty
    return path, absolute[1], absolute[2]


def _percent_encoded(target: bytes) -> bytes:
    try:
        target.decode()
    except UnicodeDecodeError as exc:
        raise FramingError(
            "the request target has bytes that are not UTF-8; percent-encode them, as in `/caf%C3%A9`"
        ) from exc
    return _ABOVE_ASCII.sub(_percent, target)


def _percent(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(match[0])
