"""Frames of RFC 6455, section 5, in bytes. Pure.

What a server sends is made here, unmasked. Of what a client sends only the head is looked at here: `inbound` decides who reads the
frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from heliograph.websocket.masking import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

FIN, RSV1 = 0x80, 0x40

#: Close codes (RFC 6455, 7.4; 1012 by IANA's registry, 3008 as Centrifugo uses it: come back with your cursor).
NORMAL = 1000
PROTOCOL_ERROR = 1002
NOT_UTF8 = 1007
TOO_LONG = 1009
OUR_ERROR = 1011
RESTART = 1012
TOO_SLOW = 3008

#: A close frame carries at most 125 bytes, two of them the code (RFC 6455, 5.5).
MAX_REASON = 123

_MASKED = 0x80
_RESERVED = 0x70
_LENGTH_16, _LENGTH_64 = 126, 127

_head_16 = struct.Struct("!BBH").pack
_head_64 = struct.Struct("!BBQ").pack

#: Heads of short frames, by their first byte: looking one up takes a third of the time of packing it.
_SHORT = {first: tuple(bytes((first, size)) for size in range(126)) for first in range(FIN, 256)}

#: What an idle client is asked, and what an unanswered question of it is answered with.
PING_FRAME = bytes((FIN | PING, 0))


def serialize(first: int, payload: bytes) -> bytes:
    """A frame of a server. `first` is its first byte: FIN, reserved bits and opcode."""
    size = len(payload)
    if size < _LENGTH_16:
        return _SHORT[first][size] + payload
    if size < 1 << 16:
        return _head_16(first, _LENGTH_16, size) + payload
    return _head_64(first, _LENGTH_64, size) + payload


def short_reason(reason: str) -> str:
    """As much of a reason as a close frame takes, cut between characters."""
    return reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a client's frame: its first byte, and where mask and payload stand."""

    first: int
    masked: bool
    size: int
    mask_at: int

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def final(self) -> bool:
        return self.first >= FIN

    @property
    def compressed(self) -> bool:
        return bool(self.first & RSV1)

    @property
    def payload_at(self) -> int:
        return self.mask_at + 4

    @property
    def end(self) -> int:
        return self.mask_at + 4 + self.size

    def payload(self, data: bytearray) -> bytes:
        """The unmasked payload of the frame, which is whole in `data`."""
        return apply_mask(data[self.payload_at : self.end], data[self.mask_at : self.payload_at])


def read_head(data: bytearray, at: int, end: int) -> Head | None:
    """The head of the frame at `at`, of the bytes before `end`; None when they are too few to tell its length."""
    if end - at < 2:
        return None
    first, second = data[at], data[at + 1]
    size = second & 0x7F
    if size < _LENGTH_16:
        return Head(first, second >= _MASKED, size, at + 2)
    length = 2 if size == _LENGTH_16 else 8
    if end - at < 2 + length:
        return None
    return Head(
        first, second >= _MASKED, int.from_bytes(data[at + 2 : at + 2 + length], "big"), at + 2 + length
    )


def may_begin(data: bytearray, at: int, end: int) -> bool:
    """Whether a client's frame may begin so, while its head is still arriving: nobody has to send the rest to be refused."""
    return end - at < 2 or (data[at] & 0x0F in OPCODES and data[at + 1] >= _MASKED)


def breaks_a_rule(head: Head, before: int | None, max_message: int, *, deflated: bool) -> bool:
    """Whether no client may send such a frame. `before` is the size of the message that it would continue, None without one."""
    if not head.masked or head.opcode not in OPCODES:
        return True
    if head.opcode >= CLOSE:
        return not head.final or head.size > 125 or bool(head.first & _RESERVED)
    if (head.opcode == CONTINUATION) != (before is not None):
        return True
    if head.first & _RESERVED and not (head.first & _RESERVED == RSV1 and deflated and before is None):
        return True
    return head.size > max_message - (before or 0)
