"""A message that arrives in parts. Pure.

RFC 6455, 8.1 lets a connection fail as soon as a text cannot become UTF-8 any more: a client need not send the rest of a message,
or of a long frame, to be told.
"""

from __future__ import annotations

import codecs

from heliograph.websocket.frames import CONTINUATION, TEXT, FrameHead
from heliograph.websocket.masking import apply_mask

#: Fragments of one message. Autobahn's case 9.3.1 sends 4 MiB in 65,536 of them; without a bound, empty ones could go on for ever.
MAX_FRAGMENTS = 1 << 17

#: Bytes of a compressed fragment that may inflate to nothing. A message of exactly the longest length would be refused for them.
COMPRESSED_END = 1024

_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class TooManyFragments(Exception):
    """A message has more than MAX_FRAGMENTS, or more bytes than one may have; its text says which."""


class Fragments:
    """Those of one message so far."""

    __slots__ = ("_count", "_data", "_decoder", "_most", "compressed")

    def __init__(self, most: int, *, text: bool, compressed: bool) -> None:
        """`most`: bytes of the whole message."""
        self.compressed = compressed
        self._data = bytearray()
        self._most = most
        self._count = 0
        self._decoder = _utf8_decoder() if text else None

    def __len__(self) -> int:
        return len(self._data)

    @property
    def counted(self) -> int:
        """What a further frame's length is added to, to compare it with the longest message."""
        return max(0, len(self._data) - COMPRESSED_END) if self.compressed else len(self._data)

    def add(self, data: bytes, final: bool) -> None:
        """The next one. Raises UnicodeDecodeError and TooManyFragments."""
        self._data += data
        self._count += 1
        if self._count > MAX_FRAGMENTS:
            raise TooManyFragments("too many fragments")
        if len(self._data) > self._most:
            raise TooManyFragments("too long")
        if self._decoder is not None:
            self._decoder.decode(data, final)

    def message(self) -> str | bytes:
        return bytes(self._data) if self._decoder is None else self._data.decode()

    def next_text(self) -> PartialText | None:
        """What checks a frame that continues this message; None if that is no text to be seen."""
        if self._decoder is None or self.compressed:
            return None
        following = PartialText()
        following.decoder.setstate(self._decoder.getstate())
        return following


class PartialText:
    """How far the payload of a text frame that is still arriving was found to be UTF-8."""

    __slots__ = ("_count", "decoder")

    def __init__(self) -> None:
        self._count = 0
        self.decoder = _utf8_decoder()

    def go_on(self, head: FrameHead, data: bytearray, end: int) -> None:
        """Raises UnicodeDecodeError as soon as no continuation could make it valid."""
        turn = self._count % 4
        mask = data[head.mask_at + turn : head.payload_at] + data[head.mask_at : head.mask_at + turn]
        begin = head.payload_at + self._count
        if begin < end:
            self.decoder.decode(apply_mask(data[begin:end], mask))
            self._count = end - head.payload_at


def begun_text(head: FrameHead, message: Fragments | None) -> PartialText | None:
    """What checks a frame of `message`, if that has begun, while it arrives; None for what is no text to be seen."""
    if head.opcode == CONTINUATION and message is not None:
        return message.next_text()
    return PartialText() if head.opcode == TEXT and not head.compressed else None
