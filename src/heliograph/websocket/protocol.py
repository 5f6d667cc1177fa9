"""`websockets`' Sans-I/O protocol for what `inbound` does not read itself: fragments, compressed messages, closes. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame
from websockets.protocol import OPEN, SEND_EOF
from websockets.server import ServerProtocol

from heliograph.websocket.deflate import Deflate
from heliograph.websocket.fragments import COMPRESSED_END
from heliograph.websocket.frames import ABNORMAL, CLOSE, FIN, TOO_LONG, serialize, short_reason


@dataclass(frozen=True, slots=True)
class Ending:
    """The last bytes for a client: our close frame, or none where that was sent before.

    `clean`: both sides have sent a close frame, nothing more will come.
    """

    data: bytes
    clean: bool


class FallbackProtocol:
    """Made when a connection first needs one: most never do, and it takes 3 KiB."""

    __slots__ = ("_most", "_protocol", "ending", "replies")

    def __init__(self, max_message: int, deflate: Deflate | None) -> None:
        self._most = max_message
        # `Fragments` compares what was inflated.
        self._protocol = ServerProtocol(state=OPEN, max_size=max_message + COMPRESSED_END)
        if deflate is not None:
            self._protocol.extensions = [deflate.extension()]
        #: What `read` wants to be answered, and how it wants the connection to end.
        self.replies: list[bytes] = []
        self.ending: Ending | None = None

    @property
    def refusal(self) -> Exception | None:
        """What `read` found wrong."""
        return self._protocol.parser_exc

    @property
    def close_code(self) -> int:
        """Of the peer's close frame, else of ours."""
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return int(close.code) if close is not None else ABNORMAL

    def read(self, data: bytes | bytearray) -> list[Frame]:
        """The frames of messages in `data`, inflated. A broken rule ends the reading, and shows in `ending`."""
        protocol = self._protocol
        protocol.receive_data(data)
        frames = [
            event for event in protocol.events_received() if isinstance(event, Frame) and event.opcode < CLOSE
        ]
        self.replies = protocol.data_to_send()
        if SEND_EOF in self.replies:
            clean = protocol.close_rcvd is not None and protocol.parser_exc is None
            last = b"".join(self.replies)
            if isinstance(protocol.parser_exc, PayloadTooBig):  # whose text has the limit and COMPRESSED_END
                reason = f"the message is longer than {self._most} bytes"
                last = serialize(FIN | CLOSE, TOO_LONG.to_bytes(2, "big") + reason.encode())
            self.ending, self.replies = Ending(last, clean), []
        return frames

    def expect_close(self) -> None:
        """RFC 6455, 5.4: control frames may come in the middle of a message. `websockets` would fail with 1002 on a close there."""
        self._protocol.current_size = None

    def close(self, code: int, reason: str) -> bytes:
        """Our close frame. Raises ValueError for a code that none may have."""
        try:
            self._protocol.send_close(code, short_reason(reason))
        except ProtocolError as exc:
            raise ValueError(f"no close frame may have code {code}") from exc
        return b"".join(self._protocol.data_to_send())

    def fail(self, code: int, reason: str) -> Ending:
        """The end for a rule that is broken, as was found elsewhere."""
        self._protocol.fail(code, reason)
        self.ending = Ending(b"".join(self._protocol.data_to_send()), clean=False)
        return self.ending
