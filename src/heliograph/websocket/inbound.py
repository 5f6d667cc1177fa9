"""From the bytes of one client to its messages. Pure.

An ordinary frame (a whole text or binary message, not compressed), a ping and a pong are read here. `frames.read_head` decodes the
head of every other frame, and refuses what breaks a rule; fragments, compressed messages and closes go to the `FallbackProtocol`,
frame by frame.

`feed` may leave behind, for the caller to look at: `messages`; `replies`, pongs to be sent now; `ending`, the last bytes for this
client, set when it closed or broke a rule. Nothing is read after that.
"""

from __future__ import annotations

import logging

from websockets.frames import Frame, Opcode

from heliograph.websocket.deflate import Deflate
from heliograph.websocket.fragments import Fragments, PartialText, TooManyFragments, begun_text
from heliograph.websocket.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    FIN,
    NOT_UTF8,
    PING,
    PONG,
    TEXT,
    TOO_LONG,
    BrokenRule,
    FrameHead,
    read_head,
    serialize,
)
from heliograph.websocket.masking import apply_mask
from heliograph.websocket.protocol import Ending, FallbackProtocol

log = logging.getLogger("heliograph")

#: What may wait for the application: no more is read then, not even pings, until it has taken all. Each message counts with its
#: bytes and MESSAGE_WEIGHT, so a quarter of a mebibyte or 256 small messages; `websockets` stops at 16 messages of any size.
MAX_UNREAD = 256 << 10
MESSAGE_WEIGHT = 1024

#: Frames other than ordinary messages that are read before other connections have a turn: some 10 µs each, 3 ms in all.
FRAMES_A_TURN = 256

#: Payloads from here on are unmasked through a view: the copy would take longer than making the view.
_LARGE = 8192

_TEXT_FRAME, _BINARY_FRAME = FIN | TEXT, FIN | BINARY


class Inbound:
    __slots__ = (
        "_checked",
        "_closing",
        "_compressed",
        "_deflate",
        "_fallback",
        "_message",
        "ending",
        "max_message",
        "messages",
        "replies",
        "rest",
        "stalled",
        "unread",
    )

    def __init__(self, max_message: int, deflate: Deflate | None = None) -> None:
        self.max_message = max_message
        #: Whole messages, oldest first.
        self.messages: list[str | bytes] = []
        self.replies: list[bytes] = []
        self.ending: Ending | None = None
        #: The weight of `messages`. A reader that has taken all of them sets it to 0.
        self.unread = 0
        #: Whether reading stopped before its end, because of them or of FRAMES_A_TURN; `resume` goes on.
        self.stalled = False
        self._deflate = deflate
        self._fallback: FallbackProtocol | None = None
        # Whether we have sent a close frame.
        self._closing = False
        # The message whose fragments are arriving, and whether the first frame of it was compressed.
        self._message: Fragments | None = None
        self._compressed = False
        #: What could not be read yet, and `resume` goes on with; how much of its first frame was found to be UTF-8.
        self.rest: bytearray | None = None
        self._checked: PartialText | None = None

    @property
    def held(self) -> int:
        """Bytes of messages that are not finished, or that the application has not taken."""
        rest = 0 if self.rest is None else len(self.rest)
        return rest + (0 if self._message is None else len(self._message)) + self.unread

    def feed(self, data: bytearray, size: int) -> None:
        """Read the first `size` bytes of `data`, which the caller may overwrite afterwards."""
        if self.ending is not None:
            return
        if self.rest is not None:
            self.rest += memoryview(data)[:size]
            self.resume()
            return
        used = self._read(data, size)
        if used < size and self.ending is None:
            self.rest = bytearray(memoryview(data)[used:size])

    def resume(self) -> None:
        """Go on with what was left."""
        rest, self.stalled = self.rest, False
        if rest is None:
            return
        used = self._read(rest, len(rest))
        if used == len(rest) or self.ending is not None:
            self.rest = None
        else:
            del rest[:used]

    def close(self, code: int, reason: str) -> bytes:
        """Our close frame. What waits is dropped, and what comes is only read for the answer. Raises ValueError."""
        data = self._protocol().close(code, reason)
        self._closing = True
        self.messages.clear()
        self.unread = 0
        self.resume()
        return data

    def give_up(self, code: int, reason: str) -> None:
        """End with this close frame; nothing is kept of what waits, and nothing more is read."""
        self.ending = self.ending or self._protocol().fail(code, reason)
        self.messages.clear()
        self.unread, self.rest, self._message = 0, None, None

    def _read(self, data: bytearray, end: int) -> int:
        """Read frames of `data` before `end` until enough was read; return where the first one that was not read begins."""
        at, others, messages = 0, 0, self.messages
        # A masked frame has at least 6 bytes. Spelled out for speed: this loop sees every message.
        while end - at >= 6:
            if self.unread >= MAX_UNREAD or others == FRAMES_A_TURN:
                self.stalled = True
                return at
            first, size = data[at], data[at + 1] - 0x80
            payload_at = at + 6
            if size == 126:
                size, payload_at = (data[at + 2] << 8) | data[at + 3], at + 8
            elif size == 127:
                size, payload_at = int.from_bytes(data[at + 2 : at + 10], "big"), at + 14
            stop = payload_at + size
            if (
                (first != _TEXT_FRAME and first != _BINARY_FRAME)  # noqa: PLR1714 (a set would have to hash)
                or size < 0
                or stop > end
                or size > self.max_message
                or self._message is not None
                or self._closing
            ):
                used = self._read_other(data, at, end)
                if not used or self.ending is not None:
                    return at
                at += used
                others += 1
                continue
            mask = data[payload_at - 4 : payload_at]
            if size < _LARGE:
                payload = apply_mask(data[payload_at:stop], mask)
            else:
                with memoryview(data) as view, view[payload_at:stop] as large:
                    payload = apply_mask(large, mask)
            if first == _BINARY_FRAME:
                messages.append(payload)
            else:
                try:
                    messages.append(payload.decode())
                except UnicodeDecodeError:
                    self._fail(NOT_UTF8, "not UTF-8")
                    return end
            self.unread += size + MESSAGE_WEIGHT
            self._checked = None
            at = stop
        return at + self._read_other(data, at, end) if at < end else at

    def _read_other(self, data: bytearray, at: int, end: int) -> int:
        """Read the frame at `at`, which is not an ordinary message; return the bytes that this used up, 0 if too few are there."""
        begun = None if self._message is None else self._message.counted
        head = read_head(data, at, end, begun, self.max_message, deflated=self._deflate is not None)
        if head is None:
            return 0
        if isinstance(head, BrokenRule):
            self._fail(head.code, head.words)
            return end - at
        if head.end > end:
            return self._check_part(head, data, end) and end - at
        self._checked = None
        if head.opcode == PING:
            self.replies.append(serialize(FIN | PONG, head.payload(data)))
        elif head.opcode != PONG and not (self._closing and head.first in (_TEXT_FRAME, _BINARY_FRAME)):
            if head.opcode in (TEXT, BINARY):
                self._compressed = head.compressed
            elif head.opcode == CLOSE:
                self._protocol().expect_close()
            self._fall_back(head, data[at : head.end])
        return head.end - at

    def _fall_back(self, head: FrameHead, data: bytearray) -> None:
        fallback = self._protocol()
        for frame in fallback.read(data):
            self._take(frame)
        self.replies += fallback.replies
        self.ending = fallback.ending
        if fallback.refusal is not None and head.opcode < CLOSE and not (self._compressed or self._closing):
            log.error("websockets refuses a frame that read_head accepts: %s: %r", head, fallback.refusal)

    def _take(self, frame: Frame) -> None:
        """A part of a message, or the whole of one that was compressed."""
        if frame.opcode is not Opcode.CONT:
            self._message = Fragments(
                self.max_message, text=frame.opcode is Opcode.TEXT, compressed=self._compressed
            )
        message = self._message
        assert message is not None
        if not self._closing:
            try:
                message.add(bytes(frame.data), frame.fin)
            except UnicodeDecodeError:
                self._fail(NOT_UTF8, "not UTF-8")
            except TooManyFragments as exc:
                self._fail(TOO_LONG, str(exc))
        if frame.fin:
            self._message = None
            if self.ending is None and not self._closing:
                self.unread += len(message) + MESSAGE_WEIGHT
                self.messages.append(message.message())

    def _check_part(self, head: FrameHead, data: bytearray, end: int) -> bool:
        """Look whether what is there of a text's payload can become UTF-8; whether that ended the connection."""
        if self._checked is None:
            self._checked = begun_text(head, self._message)
        if self._checked is not None:
            try:
                self._checked.go_on(head, data, end)
            except UnicodeDecodeError:
                self._fail(NOT_UTF8, "not UTF-8")
        return self.ending is not None

    def _fail(self, code: int, reason: str) -> None:
        self.ending = self._protocol().fail(code, reason)

    def _protocol(self) -> FallbackProtocol:
        if self._fallback is None:
            self._fallback = FallbackProtocol(self.max_message, self._deflate)
        return self._fallback


def close_code_of(inbound: Inbound) -> int:
    """The code of the close frame, the peer's before ours; 1006 without one."""
    return ABNORMAL if inbound._fallback is None else inbound._fallback.close_code
