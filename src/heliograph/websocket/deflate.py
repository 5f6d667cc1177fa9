"""permessage-deflate (RFC 7692) as this server negotiates it. Pure.

Always without context takeover, in both directions: each message is compressed by itself. So a broadcast is compressed once for all
who agreed to the same window, and an idle connection holds no window (up to 40 KiB for one that the peer writes, 250 KiB for our
own). What is lost is the likeness of a message to the one before it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

from heliograph.websocket.frames import FIN, RSV1, serialize

#: Messages below this many bytes are sent as they are: without context, deflate gains next to nothing there.
MIN_SIZE = 256

#: log2 of our window in bytes, where the client does not ask for another. 4 KiB take 32 KiB of memory while a message is
#: compressed, where 32 KiB would take 260 (what `websockets` found, too: 12 is its own default).
WINDOW_BITS = 12

#: 3 is as fast as 1 (90 MB/s), makes messages 4 % smaller, and 6 would take 60 % longer for 7 % more.
LEVEL = 3
MEMORY_LEVEL = 5

#: What a flush appends and a message leaves out (RFC 7692, 7.2.1).
_TAIL = b"\x00\x00\xff\xff"


#: Longer messages would take more than 2 ms, in which nothing else of this process runs: they are compressed in a native thread.
MAX_INLINE = 128 << 10


@dataclass(frozen=True, slots=True)
class Deflate:
    """What was agreed with one client: log2 of the window of our messages, and of theirs. Equal ones give equal frames."""

    window_bits: int
    client_bits: int = 15

    def compress(self, payload: bytes) -> bytes:
        """The payload of a frame with RSV1 set."""
        compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -self.window_bits, MEMORY_LEVEL)
        return compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH).removesuffix(_TAIL)

    def extension(self) -> PerMessageDeflate:
        """The decoder of `websockets` for the client's frames. It inflates no further than the longest message allowed."""
        return PerMessageDeflate(
            remote_no_context_takeover=True,
            local_no_context_takeover=True,
            remote_max_window_bits=self.client_bits,
            local_max_window_bits=self.window_bits,
        )


def message_frame(opcode: int, payload: bytes, deflate: Deflate | None) -> bytes:
    """A whole message in one frame, compressed where that was agreed and is worth it."""
    if deflate is None or len(payload) < MIN_SIZE:
        return serialize(FIN | opcode, payload)
    return serialize(FIN | RSV1 | opcode, deflate.compress(payload))


def factory() -> ServerPerMessageDeflateFactory:
    """What `websockets` negotiates with."""
    return ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        server_max_window_bits=WINDOW_BITS,
    )


def agreed(extension: PerMessageDeflate) -> Deflate:
    return Deflate(extension.local_max_window_bits, extension.remote_max_window_bits)
