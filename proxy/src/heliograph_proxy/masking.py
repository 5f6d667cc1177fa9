"""Secrets in the text of logs: what stands in a query as ticket or token is not shown. Pure."""

from __future__ import annotations

import re
from typing import Final

#: Parameters of a query whose values are good for access.
SECRET_PARAMETERS: Final = ("ticket", "token", "access_token")

MASK: Final = "***"


def _spellings(name: str) -> str:
    """An expression for a name, each of whose characters may be percent-encoded."""
    return "".join(f"(?:{re.escape(char)}|%{ord(char):02x})" for char in name)


# A parameter begins and its value ends also where the text is a referrer, a message or a traceback, and where a whole URL
# is the value of another parameter, in which `?`, `=` and `&` are encoded. A quote ends it: log formats have URLs in quotes.
_SECRET: Final = re.compile(
    r"((?:^|[^A-Za-z0-9_%-]|%(?:26|3b|3f))(?:" + "|".join(map(_spellings, SECRET_PARAMETERS)) + r")(?:=|%3d))"
    r"(?:(?!%26)[^&\s\"])+",
    re.IGNORECASE | re.ASCII,
)


def mask_secrets(text: str) -> str:
    """The text with `***` for the value of each such parameter."""
    lower = text.lower()
    if "%" not in lower and "ticket" not in lower and "token" not in lower:  # nearly all texts
        return text
    return _SECRET.sub(r"\1" + MASK, text)
