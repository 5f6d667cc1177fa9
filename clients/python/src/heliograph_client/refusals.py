"""A refusal by the server as an exception. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from heliograph_client.errors import Refused


def refusal(what: str, status: int, body: bytes, retry_after: str | None) -> Refused:
    """`what` begins the error's text; the body is a problem (RFC 9457), or of an intermediary's own form."""
    return Refused(what, status, _problem(body), _seconds(retry_after))


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(retry_after: str | None) -> float | None:
    """Dates are ignored: clocks differ."""
    if retry_after is None or not re.fullmatch(r"[0-9]{1,6}", retry_after.strip(), re.ASCII):
        return None
    return float(retry_after)
