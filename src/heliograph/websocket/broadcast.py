"""One message for many sockets: made into a frame once, compressed at most once for each window that was negotiated.

    broadcast(sockets, message)              # to all of them, in some microseconds each; never waits
    prepared = Prepared(message)             # the same for a caller that goes through the sockets in pieces
    prepared.offer(socket)

A peer that cannot keep up has at most MAX_OFFERED bytes waiting for it and is then closed with 3008; the others do not notice.
Messages of one greenlet arrive in the order in which they were offered.
"""

from __future__ import annotations

from collections.abc import Iterable

from heliograph.websocket.deflate import MAX_INLINE, Deflate, message_frame
from heliograph.websocket.frames import BINARY, TEXT
from heliograph.websocket.socket import Socket


class Prepared:
    """A message, text or bytes, and the frames that were made of it so far."""

    __slots__ = ("_frames", "_opcode", "_payload")

    def __init__(self, message: str | bytes) -> None:
        self._opcode = TEXT if isinstance(message, str) else BINARY
        self._payload = message.encode() if isinstance(message, str) else message
        self._frames: dict[Deflate | None, bytes] = {}

    def frame(self, deflate: Deflate | None) -> bytes:
        """The frame for those who negotiated `deflate`. One too long to compress without making others wait goes as it is."""
        key = (
            Deflate(deflate.window_bits) if deflate is not None and len(self._payload) <= MAX_INLINE else None
        )
        found = self._frames.get(key)
        if found is None:
            found = self._frames[key] = message_frame(self._opcode, self._payload, key)
        return found

    def offer(self, socket: Socket) -> None:
        """Send it to one of the sockets without waiting. Nothing happens when that is not open."""
        if socket.accepted:
            socket.accept().offer(self.frame(socket.deflate))


def broadcast(sockets: Iterable[Socket], message: str | bytes) -> None:
    """Send a message to all `sockets` without waiting. Some 5 µs each: a caller that has thousands goes through them in pieces."""
    prepared = Prepared(message)
    for socket in sockets:
        prepared.offer(socket)
