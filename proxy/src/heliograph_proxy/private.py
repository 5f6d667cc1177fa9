"""Paths that are not for the outside: the layer in front answers them, and what is below them, with 404. Pure.

A path is compared as a server may read it: percent-decoded, with single slashes, without dot segments and in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

#: Segments of characters that need no escape, in a URL, a regular expression of nginx or its configuration. `/` alone would be all.
PATH = re.compile(r"(/[A-Za-z0-9._~@:=-]+)+/?", re.ASCII)


#: Asked by the manager of a stack to see whether this process answers. It tells nothing, so it needs no line in a log.
PROBE = "/-/stack"


def prefixes(paths: Iterable[str]) -> tuple[bytes, ...]:
    """The paths in the form that `covers` wants. Raises ValueError with the first that cannot be meant."""
    found = []
    for path in paths:
        if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise ValueError(path)
        found.append(path.rstrip("/").lower().encode() + b"/")
    return tuple(dict.fromkeys(found))


def covers(private: tuple[bytes, ...], target: bytes) -> bool:
    """Whether the target of a request is one of these paths or lies below one."""
    path = target.partition(b"?")[0]
    # `find`, as `in` makes an exception inside of Python before it finds bytes.
    if path.find(b"%") >= 0:
        path = unquote_to_bytes(path)
    path = path.lower()
    if not path.endswith(b"/"):
        path += b"/"
    if path.find(b"//") >= 0 or path.find(b"/.") >= 0:
        path = _resolved(path)
    return path.startswith(private)


def _resolved(path: bytes) -> bytes:
    """Without empty and dot segments (RFC 3986, 5.2.4)."""
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    return b"/" + b"".join(segment + b"/" for segment in kept)
