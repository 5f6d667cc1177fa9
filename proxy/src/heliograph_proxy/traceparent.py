"""Traces as W3C Trace Context has them: what a `traceparent` says. Pure."""

from __future__ import annotations

import re
from typing import Final

_TRACEPARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)


def trace_id(traceparent: str) -> str:
    """The id of the trace that it names; "" where it is not valid."""
    match = _TRACEPARENT.fullmatch(traceparent)
    # W3C Trace Context, 3.2.2: a version to come may have more behind another dash, version 00 has not.
    return "" if match is None or (match[1] == "00" and match[3]) else match[2]
