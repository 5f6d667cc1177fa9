"""Names of channels. Pure."""

from __future__ import annotations

import re

from heliograph.channels.errors import InvalidName

#: Bytes, as the characters are ASCII.
MAX_NAME = 128

#: The first character of the service's own channels. No client can name one, and none is listed.
INTERNAL = "$"

#: The uses of tickets for event streams: the only channel of the service's own. It counts in no limit of channels.
TICKETS = f"{INTERNAL}tickets"

_NAME = re.compile(rf"[A-Za-z0-9_.:-]{{1,{MAX_NAME}}}", re.ASCII)


def check_name(name: str) -> str:
    """`name` itself. Raises InvalidName."""
    if not _NAME.fullmatch(name):
        raise InvalidName(f"A channel's name is 1 to {MAX_NAME} of the characters A-Z a-z 0-9 _ . : -.")
    return name
