"""What a client may not send, and the close code that each is answered with: one table for the pure reader and for real servers.

LIMIT is the longest message of whoever reads them.
"""

from __future__ import annotations

from tests.heliograph.websocket.raw import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

LIMIT = 64 << 10

BREACHES = {
    "unmasked": (frame(TEXT, b"hi", mask=None), 1002),
    "unmasked ping": (frame(PING, b"hi", mask=None), 1002),
    "reserved bit 1": (frame(TEXT, b"hi", flags=0x40), 1002),
    "reserved bit 2": (frame(TEXT, b"hi", flags=0x20), 1002),
    "reserved bit 3": (frame(BINARY, b"hi", flags=0x10), 1002),
    "reserved bit of a ping": (frame(PING, b"hi", flags=0x40), 1002),
    "reserved bit of a continuation": (
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", flags=0x40),
        1002,
    ),
    "unknown opcode": (frame(3, b""), 1002),
    "unknown control opcode": (frame(11, b""), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "new message in a message": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "new fragments in a message": (frame(TEXT, b"a", fin=False) * 2, 1002),
    "fragmented ping": (frame(PING, b"", fin=False), 1002),
    "fragmented close": (frame(CLOSE, b"", fin=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "long close": (frame(CLOSE, (1000).to_bytes(2, "big") + b"x" * 124), 1002),
    "close of one byte": (frame(CLOSE, b"x"), 1002),
    "close with code 0": (frame(CLOSE, b"\0\0"), 1002),
    "close with code 999": (frame(CLOSE, (999).to_bytes(2, "big")), 1002),
    "close with a code of no wire": (frame(CLOSE, (1005).to_bytes(2, "big")), 1002),
    "close with the code of TLS": (frame(CLOSE, (1015).to_bytes(2, "big")), 1002),
    "close with no such code": (frame(CLOSE, (2999).to_bytes(2, "big")), 1002),
    "close with code 5000": (frame(CLOSE, (5000).to_bytes(2, "big")), 1002),
    "close with a bad reason": (frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff"), 1007),
    "not UTF-8": (frame(TEXT, b"\xc3\x28"), 1007),
    "half a character": (frame(TEXT, b"\xe2\x98"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "overlong": (frame(TEXT, b"\xc0\xaf"), 1007),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "not UTF-8 over fragments": (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"\x28"), 1007),
    "not UTF-8 in the first of many fragments": (frame(TEXT, b"\xc3\x28", fin=False), 1007),
    "half a character at the end": (frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION), 1007),
    "too long": (frame(BINARY, b"x" * (LIMIT + 1)), 1009),
    "announced far too long": (frame(BINARY)[:1] + b"\xff" + b"\x7f" + b"\xff" * 7 + b"mask", 1009),
    "too long in fragments": (
        frame(BINARY, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"x", fin=False),
        1009,
    ),
}
