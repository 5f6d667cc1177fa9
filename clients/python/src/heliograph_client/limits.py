"""What the server accepts as a channel's name and as a message, so that a mistake is found before a request is sent. Pure."""

from __future__ import annotations

import re

from heliograph_client.errors import BadName

#: Bytes of a message.
MAX_MESSAGE = 64 << 10

#: Characters of a channel's name.
MAX_NAME = 128

_NAME = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_NAME}}}", re.ASCII)


def check_name(name: str) -> str:
    """`name` itself. Raises BadName."""
    if not _NAME.fullmatch(name):
        raise BadName(f"A channel's name is 1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . : -.")
    return name
