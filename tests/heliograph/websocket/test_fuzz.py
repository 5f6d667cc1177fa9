"""Random conversations, right and wrong, cut anywhere. `websockets`' client protocol judges what comes back: every answer is legal
for a client, every whole message comes back as it was, what breaks the protocol gets its code, and nothing stays behind.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from proxy_tests.processes import PYTHON, until
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame as JudgedFrame
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.heliograph.websocket.conversations import LIMIT, Conversation, Deflater, Piece, conversations
from tests.heliograph.websocket.raw import BINARY, TEXT, Frame, RawWebSocket, frame
from tests.serving import PATIENCE, Server

#: Each is a connection.
EXAMPLES = 200

#: Longer streams are not cut into single bytes.
SHORT = 600

FUZZ = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)


def gunicorn(port: int) -> list[str]:
    program = "tests.heliograph.websocket.counted_program:app"
    return [
        *(PYTHON, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"),
        "--bind",
        f"127.0.0.1:{port}",
        program,
    ]


@pytest.fixture(scope="module")
def running_counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("counted")
    with Server(folder, {"HELIOGRAPH_WS_MAX_MESSAGE": str(LIMIT)}, gunicorn) as server:
        yield server.started()


@pytest.fixture
def counted(running_counted: Server) -> Iterator[Server]:
    """A server whose greenlets, sockets and gauges are as before when the test is over."""
    server = running_counted
    with RawWebSocket(server) as client:  # what is made once, with the first connection, is no leak
        client.send(frame(TEXT, b"hello"))
        client.frame()
    until(lambda: not server.leftovers(), "the first connection to go away")
    before = greenlets(server)
    with server.nothing_left():
        yield server
    until(lambda: greenlets(server) <= before, f"the greenlets to be {before} again")


def greenlets(server: Server) -> int:
    return int(server.get("/greenlets").body)


@dataclass
class Heard:
    """What came back."""

    messages: list[Frame] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    code: int | None = None


class Judge:
    """A client on a real connection, whose protocol reads the answers."""

    def __init__(self, server: Server, deflate: bool) -> None:
        self.heard = Heard()
        self._parts: list[JudgedFrame] = []
        offers = [ClientPerMessageDeflateFactory()] if deflate else None
        self.protocol = ClientProtocol(
            parse_uri(f"{server.websocket_url}/ws/echo"), extensions=offers, max_size=None
        )
        self.wire = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.protocol.send_request(self.protocol.connect())
        self._flush()
        while self.protocol.state is State.CONNECTING:
            self._read()
        assert self.protocol.state is State.OPEN, self.protocol.handshake_exc

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def deflater(self) -> Deflater | None:
        if not self.protocol.extensions:
            return None
        (agreed,) = self.protocol.extensions
        assert isinstance(agreed, PerMessageDeflate)
        return Deflater(agreed.local_max_window_bits, not agreed.local_no_context_takeover)

    def listen(self) -> Heard:
        """All that comes until the server ends the connection."""
        while self._read():
            self._flush()
        self.protocol.receive_eof()
        self._hear()
        assert not self._parts, "an answer was cut"
        return self.heard

    def reset(self) -> None:
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.wire.close()

    def _flush(self) -> None:
        """Send what the protocol answers; the server may be gone already."""
        for data in self.protocol.data_to_send():
            try:
                if data:
                    self.wire.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                return

    def _read(self) -> bool:
        data = self.wire.recv(1 << 16)
        if data:
            self.protocol.receive_data(data)
            self._hear()
        return bool(data)

    def _hear(self) -> None:
        for one in self.protocol.events_received():
            if not isinstance(one, JudgedFrame):
                continue
            if one.opcode is Opcode.PONG:
                self.heard.pongs.append(bytes(one.data))
            elif one.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._parts.append(one)
                if one.fin:
                    whole = b"".join(part.data for part in self._parts)
                    self.heard.messages.append(Frame(self._parts[0].opcode.value, whole))
                    self._parts.clear()
        assert self.protocol.parser_exc is None or isinstance(self.protocol.parser_exc, EOFError), (
            f"the server said what no server may: {self.protocol.parser_exc!r}"
        )
        if self.protocol.close_rcvd:
            self.heard.code = self.protocol.close_rcvd.code


def chunks(conversation: Conversation, stream: bytes) -> list[bytes]:
    if conversation.byte_by_byte and len(stream) <= SHORT:
        return [stream[at : at + 1] for at in range(len(stream))]
    places = [0, *sorted(int(cut * len(stream)) for cut in conversation.chunks), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places) if end > start]


def whole_pieces(pieces: list[Piece], size: int) -> list[Piece]:
    """Those of which all bytes are among the first `size`."""
    found = []
    for piece in pieces:
        size -= len(piece.data)
        if size < 0:
            break
        found.append(piece)
    return found


def hold(judge: Judge, conversation: Conversation) -> None:
    deflate = judge.deflater()
    pieces = [piece for turn in conversation.turns for piece in turn.pieces(deflate)]
    stream = b"".join(piece.data for piece in pieces) + conversation.after
    size = int(conversation.silent * len(stream))
    for chunk in chunks(conversation, stream[:size]):
        try:
            judge.wire.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            break  # it has ended the connection, rightly or not: what it said before is read now
    arrived = whole_pieces(pieces, size)
    ends = arrived[-1].ends if arrived else frozenset()
    if not ends:
        judge.wire.shutdown(socket.SHUT_WR)
    heard = judge.listen()
    event(f"ends with {heard.code}, {len(heard.messages)} messages")
    assert heard.messages == [piece.echo for piece in arrived if piece.echo]
    assert heard.pongs == [piece.pong for piece in arrived if piece.pong is not None]
    if ends:
        assert heard.code in ends
    elif heard.code is not None and len(arrived) == len(pieces):
        assert heard.code in (1000, 1001, 1005, 1006)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_whatever_a_client_sends_is_answered_as_the_protocol_says(counted: Server, deflate: bool) -> None:
    @FUZZ
    @given(conversation=conversations())
    def answered(conversation: Conversation) -> None:
        with Judge(counted, deflate) as judge:
            assert bool(judge.protocol.extensions) == deflate
            hold(judge, conversation)

    answered()


def test_whoever_vanishes_anywhere_leaves_nothing(counted: Server) -> None:
    @FUZZ
    @given(conversation=conversations())
    def vanishes(conversation: Conversation) -> None:
        with Judge(counted, deflate=True) as judge:
            deflate = judge.deflater()
            stream = b"".join(piece.data for turn in conversation.turns for piece in turn.pieces(deflate))
            for chunk in chunks(conversation, stream[: int(conversation.silent * len(stream))]):
                try:
                    judge.wire.sendall(chunk)
                except (BrokenPipeError, ConnectionResetError):
                    break
            judge.reset()

    vanishes()


def test_the_fuzzer_reaches_text_and_bytes() -> None:
    """The strategies make what they promise, without a server."""
    kinds: set[int] = set()

    @settings(max_examples=50)
    @given(conversation=conversations())
    def look(conversation: Conversation) -> None:
        pieces = [piece for turn in conversation.turns for piece in turn.pieces(None)]
        kinds.update(piece.echo.opcode for piece in pieces if piece.echo)
        assert pieces[-1].ends

    look()
    assert kinds == {TEXT, BINARY}
