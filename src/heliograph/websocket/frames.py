"""Frames of RFC 6455, section 5, in bytes. Pure.

What a server sends is made here, unmasked. Of what a client sends the head is read here, and checked: `read_head` has a word for
each rule that a head can break. `inbound` reads payloads.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from heliograph.websocket.masking import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

FIN, RSV1 = 0x80, 0x40

#: Close codes (RFC 6455, 7.4; 1012 by IANA's registry, 3008 as Centrifugo uses it: come back with your cursor).
NORMAL = 1000
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
ABNORMAL = 1006  # stands for the end of a connection without a close frame; never sent
NOT_UTF8 = 1007
POLICY = 1008
TOO_LONG = 1009
OUR_ERROR = 1011
RESTART = 1012
OVERLOADED = 1013
TOO_SLOW = 3008

#: A close frame carries at most 125 bytes, two of them the code (RFC 6455, 5.5).
MAX_REASON = 123

#: Of a control frame (RFC 6455, 5.5). A length in more bytes than it needs is taken, though 5.2 forbids it.
MAX_CONTROL = 125

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


class BrokenRule(Enum):
    """What a client's head may not be. The words are the reason in our close frame."""

    OPCODE = "5.2", "unknown opcode", PROTOCOL_ERROR
    MASK = "5.1", "a client's frame must be masked", PROTOCOL_ERROR
    RESERVED = "5.2", "a reserved bit is set", PROTOCOL_ERROR
    CONTROL_FRAGMENTED = "5.5", "a control frame must not be fragmented", PROTOCOL_ERROR
    CONTROL_LENGTH = "5.5", "a control frame carries at most 125 bytes", PROTOCOL_ERROR
    NOTHING_TO_CONTINUE = "5.4", "a continuation of no message", PROTOCOL_ERROR
    MESSAGE_UNFINISHED = "5.4", "a new message before the end of the last one", PROTOCOL_ERROR
    MESSAGE_LENGTH = "7.4.1", "the message is too long", TOO_LONG

    def __init__(self, section: str, words: str, code: int) -> None:
        #: Of RFC 6455.
        self.section = section
        self.words = words
        self.code = code


@dataclass(frozen=True, slots=True)
class FrameHead:
    """The head of a client's frame that breaks no rule: its first byte, and where mask and payload stand."""

    first: int
    size: int
    mask_at: int

    @property
    def opcode(self) -> int:
        return self.first & 0x0F

    @property
    def compressed(self) -> bool:
        """Whether this begins a compressed message (RFC 7692, 6)."""
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


def read_head(
    data: bytearray, at: int, end: int, begun: int | None, max_message: int, *, deflated: bool
) -> FrameHead | BrokenRule | None:
    """The head of the frame at `at`, of the bytes before `end`; None when they are too few to tell.

    `begun` is the size of the message whose fragments are arriving, None without one. A client need not send the rest of a head, or
    the payload, to be told which rule it has broken.
    """
    if end - at < 2:
        return None
    first, second = data[at], data[at + 1]
    if first & 0x0F not in _OPCODES:
        return BrokenRule.OPCODE
    if second < _MASKED:
        return BrokenRule.MASK
    size, mask_at = second & 0x7F, at + 2
    if size >= _LENGTH_16:
        mask_at += 2 if size == _LENGTH_16 else 8
        if end < mask_at:
            return None
        size = int.from_bytes(data[at + 2 : mask_at], "big")
    # The limit is for messages, not for a control frame inside of one (RFC 6455, 5.4).
    if first & 0x0F < CLOSE and size > max_message - (begun or 0):
        return BrokenRule.MESSAGE_LENGTH
    return _broken_rule(first, size, begun, deflated=deflated) or FrameHead(first, size, mask_at)


def _broken_rule(first: int, size: int, begun: int | None, *, deflated: bool) -> BrokenRule | None:
    """What a known opcode forbids. A length that is too long goes before it: `websockets` has this order, too."""
    opcode, reserved = first & 0x0F, first & _RESERVED
    # RFC 7692, 6: with permessage-deflate, RSV1 is for the first frame of a message.
    if reserved and not (reserved == RSV1 and deflated and opcode in (TEXT, BINARY)):
        return BrokenRule.RESERVED
    if opcode >= CLOSE:
        if first < FIN:
            return BrokenRule.CONTROL_FRAGMENTED
        return BrokenRule.CONTROL_LENGTH if size > MAX_CONTROL else None
    if opcode == CONTINUATION:
        return BrokenRule.NOTHING_TO_CONTINUE if begun is None else None
    return None if begun is None else BrokenRule.MESSAGE_UNFINISHED
