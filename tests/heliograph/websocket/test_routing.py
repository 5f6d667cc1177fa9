"""Which requests become WebSockets, and what the others are told."""

from __future__ import annotations

import pytest
from flask import Flask

from app.application import GROUPS, create_app
from heliograph.settings import load
from tests.heliograph.websocket.raw import KEY, TEXT, Frame, RawWebSocket, frame, handshake
from tests.serving import CLOSE, HOST, Server, problem

PATHS = ["/ws/echo", "/ws/ping"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_plain_request_is_told_to_upgrade(server: Server, path: str, method: str) -> None:
    answer = server.raw(f"{method} {path} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n", method)
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.headers["content-type"] == "application/problem+json"
    if method == "GET":
        problem(answer, 426, "upgrade-required")


def test_the_answer_to_a_handshake_has_what_every_answer_has(server: Server) -> None:
    with RawWebSocket(server, fields={"X-Request-Id": "my-socket"}) as client:
        head = client.head.decode().lower()
    assert "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
    assert "x-request-id: my-socket" in head
    assert "x-content-type-options: nosniff" in head
    line = server.logged(request_id="my-socket")
    assert (line["status"], line["path"], line["complete"]) == (101, "/ws/echo", True)


@pytest.mark.parametrize(
    ("fields", "status", "name"),
    [
        ({"Origin": "https://evil.example"}, 403, "foreign-origin"),
        ({"Origin": "null"}, 403, "foreign-origin"),
        ({"Origin": "https://localhost"}, 403, "foreign-origin"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "foreign-origin"),
        ({"Host": "evil.example"}, 421, "unknown-host"),
        ({"Sec-WebSocket-Version": "8"}, 426, "upgrade-required"),
        ({"Sec-WebSocket-Key": "short"}, 400, "bad-request"),
        ({"Sec-WebSocket-Key": None}, 400, "bad-request"),
        ({"Upgrade": "h2c"}, 426, "upgrade-required"),
        ({"Connection": "close"}, 426, "upgrade-required"),
    ],
)
def test_a_handshake_that_is_refused_is_an_ordinary_answer(
    server: Server, fields: dict[str, str | None], status: int, name: str
) -> None:
    with server.connect() as wire:
        wire.send(handshake(fields={"X-Request-Id": "refused-socket", **fields}))
        answer = wire.answer()
        problem(answer, status, name)
        assert answer.headers["x-request-id"] == "refused-socket"
        if answer.headers.get("connection", "").lower() != "close" and fields.get("Connection") != "close":
            wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert wire.answer().json()["status"] == "ok"
    assert server.logged(request_id="refused-socket", status=status)


@pytest.mark.parametrize("origin", ["http://localhost", "http://LOCALHOST:80"])
def test_our_own_pages_may_connect(server: Server, origin: str) -> None:
    with RawWebSocket(server, fields={"Origin": origin}):
        pass


@pytest.mark.parametrize("origin", ["https://pages.example", "https://port.example"])
def test_allowed_pages_may_connect(small: Server, origin: str) -> None:
    with RawWebSocket(small, fields={"Origin": origin, "Sec-Fetch-Site": "cross-site"}):
        pass


def test_a_websocket_where_there_is_none_is_refused(server: Server) -> None:
    problem(server.raw(handshake("/nowhere")), 404, "not-found")
    problem(server.raw(handshake("/healthz")), 400, "bad-request")


@pytest.mark.parametrize(
    "request_",
    [
        handshake(fields={"Content-Length": "5"}) + b"hello",
        handshake(fields={"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n",
        handshake(fields={"Content-Length": "5"}),
        handshake().replace(b"GET", b"POST", 1),
        handshake("/echo", fields={"Content-Length": "5"}).replace(b"GET", b"POST", 1) + b"hello",
        handshake("/echo", fields={"Transfer-Encoding": "chunked"}).replace(b"GET", b"POST", 1)
        + b"5\r\nhello\r\n0\r\n\r\n",
        handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_an_upgrade_with_a_body_or_another_method_hangs_nothing(server: Server, request_: bytes) -> None:
    with server.connect() as wire:
        wire.send(request_)
        answer = wire.answer()
        assert answer.status in (200, 400, 405, 426)
        if answer.status == 200:
            assert answer.body == b"hello"


def test_frames_that_come_with_the_handshake_are_not_lost(server: Server) -> None:
    with server.connect() as wire:
        wire.send(handshake() + frame(TEXT, b"early"))
        data = b""
        while not data.endswith(b"early"):
            data += wire.socket.recv(1000)


@pytest.fixture
def app() -> Flask:
    return create_app(load({}, GROUPS))


def test_a_server_without_websockets_says_so(app: Flask) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    answer = app.test_client().get(
        "/ws/echo", headers=headers, environ_overrides={"SERVER_PROTOCOL": "HTTP/1.1"}
    )
    assert (answer.status_code, answer.get_json()["type"]) == (501, "/problems/websockets-unavailable")


def test_ping_answers_ping_only(server: Server) -> None:
    with RawWebSocket(server, "/ws/ping") as client:
        client.send(frame(TEXT, b"ping"))
        assert client.frame() == Frame(TEXT, b"pong!")
