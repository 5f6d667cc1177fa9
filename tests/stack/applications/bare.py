"""Bare functions, as PEP 3333 has them: one that is well, and some that are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/nothing":
        return None  # type: ignore[return-value]
    if environ["PATH_INFO"] == "/text":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["a text, not bytes"]  # type: ignore[list-item]
    if environ["PATH_INFO"] == "/number":
        start_response(200, [])
        return []
    if environ["PATH_INFO"] == "/header":
        start_response("200 OK", [("X-Number", 7)])
        return []
    start_response("200 OK", [("Content-Type", "text/html"), ("X-Own", "yes")])
    return [b"<i>", environ["PATH_INFO"].encode("latin-1"), b"</i>"]
