"""Ids for requests: 128 bits of chance each, in hexadecimal."""

from __future__ import annotations

import os
from typing import Final

_CHARACTERS: Final = 32

#: Ids that are drawn at once: a call for each would cost more than all else of it.
_BLOCK: Final = 64

_BYTES: Final = _BLOCK * _CHARACTERS // 2


class RequestIds:
    """`next` is a new one."""

    def __init__(self) -> None:
        self._drawn = ""
        self._at = 0

    def next(self) -> str:
        at = self._at
        if at == len(self._drawn):
            self._drawn, at = os.urandom(_BYTES).hex(), 0
        self._at = end = at + _CHARACTERS
        return self._drawn[at:end]
