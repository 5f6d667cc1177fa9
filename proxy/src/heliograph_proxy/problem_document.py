"""The problem document (RFC 9457): the body of every answer that tells of an error, here and in heliograph. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from heliograph_proxy.sentences import one_full_stop

#: RFC 9457 section 6.1.
MEDIA_TYPE: Final = "application/problem+json"


def document(
    name: str, title: str, status: int, detail: str, members: Mapping[str, object]
) -> dict[str, object]:
    """The members of a problem of the type `/problems/<name>`; `members` are the extension members."""
    shown = one_full_stop(detail)
    return {"type": f"/problems/{name}", "title": title, "status": status, "detail": shown, **members}


def encode(problem: Mapping[str, object]) -> bytes:
    """The body: UTF-8 and one final line end."""
    # A lone surrogate, from a path that is not UTF-8, becomes the escape that JSON has for it.
    return json.dumps(problem, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
