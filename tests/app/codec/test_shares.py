"""What one client may take of the codecs' slots and of the spool, as the others see it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import wirecodes
from websockets.sync.client import connect

from tests.serving import CLOSE, Server, Wire, problem

MIB = 1 << 20

#: As much as makes the compressor work for a while, in one WebSocket message.
NOISE = random.Random(1).randbytes(MIB // 2)

#: More than the buffers of a connection hold on its way.
UNREAD = 14 * MIB


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "HELIOGRAPH_SPOOL_MAX": "32MiB",
        "HELIOGRAPH_CODEC_JOBS": "4",
        "HELIOGRAPH_CHANNELS": "memory://",
    }
    with Server(tmp_path_factory.mktemp("shared"), settings) as server:
        yield server.started()
        assert "Traceback" not in server.output


def request(client: int, path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\nX-Forwarded-For: 203.0.113.{client}\r\n"
    return head.encode() + CLOSE + b"\r\n" + body


def sent(stack: ExitStack, server: Server, client: int, path: str, body: bytes) -> Wire:
    wire = stack.enter_context(server.connect())
    wire.send(request(client, path, body))
    return wire


def test_answers_that_one_client_does_not_read_leave_half_of_the_spool_to_others(shared: Server) -> None:
    bomb = wirecodes.get("brotli").encode(bytes(UNREAD))
    with shared.nothing_left(), ExitStack() as stack:
        sent(stack, shared, 1, "/codecs/brotli/decode", bomb)
        shared.wait_for_metric("spool_bytes", UNREAD)
        refused = problem(shared.raw(request(1, "/codecs/brotli/decode", bomb)), 503, "spool-full")
        assert refused["limit"] == 16 * MIB
        assert "one client" in refused["detail"]
        assert shared.raw(request(2, "/echo", 4 * NOISE)).status == 200


def test_compressions_of_one_client_leave_a_slot_to_others(shared: Server) -> None:
    with shared.nothing_left(), ExitStack() as stack:
        wires = [sent(stack, shared, 1, "/codecs/xz/encode?level=9", 4 * NOISE) for _ in range(6)]
        shared.wait_for_metric("codec_jobs_waiting", 3)
        answer = shared.raw(request(2, "/codecs/base64/encode", b"sixsix"))
        assert (answer.status, answer.body) == (200, b"c2l4c2l4")
        answers = [wire.answer() for wire in wires]
        assert {found.status for found in answers} == {200, 503}
        busy = next(found for found in answers if found.status == 503)
        assert problem(busy, 503, "codecs-busy")["limit"] == 4
        assert int(busy.headers["retry-after"]) >= 1


def test_codecs_over_websocket_are_in_the_share(shared: Server) -> None:
    url, own = f"{shared.websocket_url}/ws/codecs/xz/encode?level=9", {"X-Forwarded-For": "203.0.113.3"}
    with shared.nothing_left(), ExitStack() as stack:
        sockets = [stack.enter_context(connect(url, additional_headers=own)) for _ in range(8)]
        for socket in sockets:
            socket.send(NOISE)
        answers = [socket.recv(20) for socket in sockets]
        assert any(isinstance(answer, str) and "codecs-busy" in answer for answer in answers)
        assert any(isinstance(answer, bytes) for answer in answers)
