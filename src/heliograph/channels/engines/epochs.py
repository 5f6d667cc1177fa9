"""New epochs: the only place where their random bits come from."""

from __future__ import annotations

import secrets

#: Random bits of a half of an epoch. Two halves: the era of the whole log, and the birth of the channel. The few that one log
#: ever has do not collide.
_BITS = 40


def new_half() -> str:
    """Ten hexadecimal digits."""
    return f"{secrets.randbits(_BITS):010x}"
