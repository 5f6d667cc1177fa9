"""Where the frames of a WebSocket end, in one direction of a tunnel: only there may a close frame be put in. Pure.

Payloads are skipped, not read. A tunnel that carries something else gives nonsense here, and no harm: it is not asked, or
its connection is cut a moment later.
"""

from __future__ import annotations

import struct
from typing import Final

#: RFC 6455 section 7.4.1, by IANA's registry: the service restarts.
SERVICE_RESTART: Final = 1012

#: An unmasked close frame, as a server sends it: RFC 6455 section 5.5.1.
CLOSE_FRAME: Final = struct.pack("!BBH", 0x88, 2, SERVICE_RESTART)


class FrameBounds:
    """`feed` it everything in order."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        #: Bytes that are missing of the frame that has begun.
        self._left = 0
        #: The begun header of one.
        self._head = b""

    @property
    def between(self) -> bool:
        """The last frame is complete, and no other has begun."""
        return not self._left and not self._head

    def end_in(self, data: bytes) -> int:
        """How many of these bytes the frame that has begun still has, where it ends in them; else all."""
        return len(data) if self._head else min(self._left, len(data))

    def feed(self, data: bytes) -> None:
        at = self._left
        if self._head:
            data, self._head = self._head + data, b""
        size = len(data)
        while at < size:
            # RFC 6455 section 5.2.
            have = size - at
            length = data[at + 1] & 0x7F if have > 1 else 0
            head = 2 + (2 if length == 126 else 8 if length == 127 else 0)
            if have < head:
                self._left, self._head = 0, data[at:]
                return
            if head > 2:
                length = int.from_bytes(data[at + 2 : at + head], "big")
            at += head + (4 if data[at + 1] & 0x80 else 0) + length
        self._left = at - size
