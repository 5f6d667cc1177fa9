"""What heads of requests and responses share: the grammar of RFC 9112 and the reading of framing fields. Pure.

Expressions are used with `fullmatch` (`$` also matches before a final LF), quantifiers are possessive (no
input makes them backtrack), and white space is stripped as SP and TAB only (`bytes.strip()` would take VT and
FF as well).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from heliograph_proxy.errors import FramingError, UnknownCoding
from heliograph_proxy.http1.fields import Field

# RFC 9110 section 5.6.2: token = 1*tchar
TOKEN: bytes = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
# RFC 9112 section 5: field-line = field-name ":" OWS field-value OWS; the obsolete folding is not taken
FIELDS: Final = re.compile(rb"(?:" + TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
FIELD_LINE: Final = re.compile(TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n")
_FIELD: Final = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*+)\r\n")
# What stands in no head at all: controls, a bare LF, a bare CR.
_IMPOSSIBLE: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")
# Below 10^18: fits every 64-bit reader behind us, and no leading sign, blank or underscore as int() would
# take.
LENGTH: Final = re.compile(rb"[0-9]{1,18}")

_TOKEN_ONLY: Final = re.compile(TOKEN)
_EXPECTATIONS: Final = frozenset((b"100-continue",))

END: Final = b"\r\n\r\n"


def impossible(data: bytes, start: int) -> int | None:
    """Where the first byte stands that no head can have. Bytes before `start` were looked at before."""
    # A CR at the very end may still become CRLF, so the last byte of the previous look is looked at again.
    found = _IMPOSSIBLE.search(data, max(start - 1, 0))
    return found.start() if found else None


def fields(block: bytes) -> list[Field]:
    """The fields of a block that FIELDS matched."""
    return [(name, value.strip(b" \t")) for name, value in _FIELD.findall(block)]


def content_length(given: list[bytes] | None) -> int | None:
    # RFC 9110 section 8.6 would let a list of equal values pass; the difference to a smuggled one is too
    # small.
    if given is None:
        return None
    if len(given) > 1 or not LENGTH.fullmatch(given[0]):
        raise FramingError("Content-Length is not one decimal number below 10^18")
    return int(given[0])


def request_framing(
    lengths: list[bytes] | None, codings: list[bytes] | None, minor: int
) -> tuple[int | None, bool]:
    """The length of a request's body, and whether it is chunked, by the values of its framing fields (RFC 9112 section
    6.3). FramingError where its end could be seen in two ways, UnknownCoding for other codings."""
    if codings is None:
        return content_length(lengths), False
    if minor == 0 or lengths is not None:
        raise FramingError("Transfer-Encoding in HTTP/1.0 or together with Content-Length")
    _check_codings(codings)
    return None, True


def _check_codings(given: list[bytes]) -> None:
    """`chunked`, once and alone. A known word in a wrong place is an attack, an unknown coding is just not
    built."""
    if len(given) == 1 and given[0].lower() == b"chunked":
        return
    codings = [one.strip(b" \t").lower() for one in b",".join(given).split(b",")]
    if not all(_TOKEN_ONLY.fullmatch(one) for one in codings) or b"identity" in codings:
        raise FramingError("Transfer-Encoding is malformed")
    if len(given) > 1 or b"chunked" in codings[:-1]:
        raise FramingError("chunked must be the last transfer coding, once")
    raise UnknownCoding("no transfer coding but chunked is understood")


def tokens(given: Sequence[bytes]) -> frozenset[bytes]:
    """The members of a list of tokens, in one or several fields and in any case (RFC 9110 section 5.6.1)."""
    return frozenset(one.strip(b" \t").lower() for value in given for one in value.split(b",")) - {b""}


def expects_continue(given: Sequence[bytes]) -> bool:
    """Whether the Expect field of a request of HTTP/1.1 asks for `100 Continue` (RFC 9110 section 10.1.1). FramingError
    for any other expectation, and for more than one field."""
    expected = tokens(given)
    if len(given) > 1 or not expected <= _EXPECTATIONS:
        raise FramingError("100-continue is the only expectation understood")
    return bool(expected)


def keeps_alive(connection: frozenset[bytes], minor: int) -> bool:
    """RFC 9112 section 9.3."""
    return b"close" not in connection and (minor == 1 or b"keep-alive" in connection)
