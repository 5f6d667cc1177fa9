"""A WebSocket client without manners: it sends the frames that a test makes."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from tests.serving import Server, Wire

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def handshake(path: str = "/ws/echo", fields: Mapping[str, str | None] | None = None) -> bytes:
    """An upgrade request; `fields` replace or (None) leave out its own."""
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
        **(fields or {}),
    }
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    return f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = MASK, flags: int = 0
) -> bytes:
    size = len(payload)
    bit = 0x80 if mask else 0
    if size < 126:
        length = struct.pack("!B", bit | size)
    elif size < 1 << 16:
        length = struct.pack("!BH", bit | 126, size)
    else:
        length = struct.pack("!BQ", bit | 127, size)
    key = mask or b""
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return bytes([(0x80 if fin else 0) | flags | opcode]) + length + key + body


@dataclass(frozen=True)
class Frame:
    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """Of a close frame."""
        assert self.opcode == CLOSE, self
        return int(struct.unpack("!H", self.payload[:2])[0])


class RawWebSocket(Wire):
    """An open WebSocket."""

    def __init__(
        self, server: Server, path: str = "/ws/echo", fields: Mapping[str, str | None] | None = None
    ) -> None:
        super().__init__(server.port)
        self.send(handshake(path, fields))
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.exactly(1)
        assert self.head.startswith(b"HTTP/1.1 101 "), self.head

    def __enter__(self) -> RawWebSocket:
        return self

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    def frame(self) -> Frame:
        """The next frame of the server: final and unmasked."""
        first, size = self.exactly(2)
        assert first & 0xF0 == 0x80
        assert size < 128
        if size == 126:
            (size,) = struct.unpack("!H", self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.exactly(8))
        return Frame(first & 15, self.exactly(size))
