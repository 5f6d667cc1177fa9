"""What users write: views with the decorator, programs for gevent-websocket; and clients that vanish from them."""

from __future__ import annotations

import json
import socket as socket_module
import struct
from collections.abc import Iterator

import pytest
from proxy_tests.processes import PYTHON, until
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.heliograph.websocket.raw import BINARY, CLOSE, PING, RawWebSocket, frame, handshake
from tests.serving import PATIENCE, Server, problem


def gunicorn(port: int) -> list[str]:
    return [
        *(PYTHON, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"),
        *("--bind", f"127.0.0.1:{port}", "tests.heliograph.websocket.views_program:app"),
    ]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("views"), command=gunicorn) as server:
        yield server.started()


@pytest.fixture
def views(running: Server) -> Iterator[Server]:
    """After a test nothing is left of its connections; tracebacks are wanted here."""
    yield running
    until(lambda: not running.leftovers(), "the end of its connections")


def client(server: Server, path: str) -> ClientConnection:
    return connect(f"{server.websocket_url}{path}", max_size=None)


def close_of(socket: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_a_view_gets_the_parts_of_its_path_and_the_request(views: Server) -> None:
    with client(views, "/ws/views/greet/Ada/2?mark=!") as socket:
        assert [socket.recv(PATIENCE), socket.recv(PATIENCE)] == [f"Ada! 127.0.0.1:{views.port}"] * 2
        assert close_of(socket) == (1000, "")


def test_the_decorator_works_on_an_application_too(views: Server) -> None:
    with client(views, "/ws/of-the-app") as socket:
        assert socket.recv(PATIENCE) == "hello"
        with pytest.raises(ConnectionClosedOK):
            socket.recv(PATIENCE)


def test_a_plain_get_is_told_to_upgrade_and_a_bad_part_is_not_found(views: Server) -> None:
    problem(views.get("/ws/views/greet/Ada/2"), 426, "upgrade-required")
    problem(views.get("/ws/views/greet/Ada/many"), 404, "not-found")


def test_an_exception_closes_with_1011_and_is_logged_with_the_request_id(views: Server) -> None:
    with RawWebSocket(views, "/ws/views/fail", {"X-Request-Id": "it-fails"}) as socket:
        socket.send(frame(BINARY, b"go"))
        assert socket.frame().code == 1011
        socket.send(frame(CLOSE, b"\x03\xf3"))
        assert socket.rest() == b""
    line = views.logged(request_id="it-fails", level="error")
    assert "RuntimeError: on purpose" in line["traceback"]
    assert views.logged(request_id="it-fails", status=101)


def test_a_view_closes_with_a_code_of_its_own(views: Server) -> None:
    with client(views, "/ws/views/close") as socket:
        assert close_of(socket) == (4321, "seen enough")


def test_a_program_for_gevent_websocket_finds_everything(views: Server) -> None:
    with connect(
        f"{views.websocket_url}/plain?x=1",
        origin=Origin("https://any.example"),
        subprotocols=[Subprotocol("chat")],
    ) as socket:
        socket.send("attributes")
        expected = ("/plain", "https://any.example", "chat", "13", False, "attributes")
        assert socket.recv(PATIENCE) == repr(expected)
        assert [socket.recv(PATIENCE) for _ in range(3)] == ["raw", b"bytes", b"text as bytes"]


def test_a_program_that_fails_closes_with_1011(views: Server) -> None:
    with client(views, "/plain") as socket:
        socket.send("fail")
        assert close_of(socket) == (1011, "")
    line = views.logged(level="error", message="the application failed")
    assert "RuntimeError: on purpose" in line["traceback"]


def test_a_program_that_returns_closes_with_1000(views: Server) -> None:
    with client(views, "/plain") as socket:
        socket.send("whatever")
        assert close_of(socket) == (1000, "")


#: More than all buffers on the way hold.
FLOOD = frame(BINARY, b"x" * 65536) * 600


@pytest.mark.parametrize("path", ["/ws/echo", "/ws/views/busy", "/ws/views/push"])
@pytest.mark.parametrize("sent", [b"", b"\x81", frame(BINARY, b"x", fin=False)])
def test_a_client_that_vanishes_without_a_word_leaves_nothing(views: Server, path: str, sent: bytes) -> None:
    with RawWebSocket(views, path) as silent:
        silent.send(sent)
        views.wait_for_metric("websockets", 0)  # while our end is open, and answers no ping


def test_a_client_that_neither_reads_nor_answers_leaves_nothing(views: Server) -> None:
    with RawWebSocket(views) as silent:
        silent.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            silent.send(FLOOD)
        views.wait_for_metric("websockets", 0)


@pytest.mark.parametrize("way", ["closes", "resets"])
def test_a_client_that_goes_away_from_a_view_that_does_not_receive_leaves_nothing(
    views: Server, way: str
) -> None:
    with RawWebSocket(views, "/ws/views/busy") as client:
        client.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.send(FLOOD)
        if way == "resets":
            client.reset()


def test_a_client_that_answers_pings_stays(views: Server) -> None:
    with RawWebSocket(views, "/ws/views/busy") as client:
        for _ in range(4):
            assert client.frame().opcode == PING
            client.send(frame(10))


def test_a_view_has_the_context_of_its_request_and_one_teardown_at_the_end(views: Server) -> None:
    with client(views, "/ws/views/context?user=ada") as socket:
        assert socket.recv(PATIENCE) == "ada"
        assert json.loads(views.get("/ws/views/happened").body) == []
        socket.send("a word")
        assert close_of(socket) == (1000, "")
    until_happened(views, ["ada got 'a word'", "teardown of ada with NoneType"])
    with client(views, "/ws/views/context?user=bob&fail=1") as socket:
        socket.recv(PATIENCE)
        socket.send("a word")
        assert close_of(socket) == (1011, "")
    until_happened(views, ["bob got 'a word'", "teardown of bob with LookupError"])
    views.logged(query="user=bob&fail=1")
    with client(views, "/ws/views/context?user=eve") as socket:
        socket.recv(PATIENCE)
        socket.socket.shutdown(socket_module.SHUT_RDWR)
    until_happened(views, ["eve got None", "teardown of eve with NoneType"])


def until_happened(views: Server, last: list[str]) -> None:
    until(lambda: json.loads(views.get("/ws/views/happened").body)[-len(last) :] == last, f"{last}")


@pytest.mark.parametrize(
    ("how", "code"), [("timeout", 1011), ("exit", 1011), ("odd", 1011), ("killed", 1012)]
)
def test_a_view_that_ends_by_what_is_no_exception_closes_and_harms_no_other(
    views: Server, how: str, code: int
) -> None:
    with client(views, "/ws/views/patient") as other:
        named = {"X-Request-Id": f"ends-by-{how}"}
        with connect(f"{views.websocket_url}/ws/views/end/{how}", additional_headers=named) as socket:
            assert close_of(socket)[0] == code
        assert other.recv(PATIENCE) == "nothing came"
        other.send("a word")
        assert other.recv(PATIENCE) == "then 'a word'"


def test_a_timeout_of_the_view_itself_is_not_taken_for_that_of_receive(views: Server) -> None:
    with client(views, "/ws/views/hurried") as socket:
        assert socket.recv(PATIENCE) == "its own: True"


@pytest.mark.parametrize(
    ("path", "messages", "answer"),
    [("/ws/views/loop", ["tea"], "TEA"), ("/plain", ["loop", "[1,2]"], "[1, 2]")],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_loop_that_does_not_expect_the_end_causes_no_traceback(
    views: Server, path: str, messages: list[str], answer: str, how: str
) -> None:
    start = len(views.output)
    with client(views, path) as socket:
        for message in messages:
            socket.send(message)
        assert socket.recv(PATIENCE) == answer
        if how == "reset":
            socket.socket.setsockopt(
                socket_module.SOL_SOCKET, socket_module.SO_LINGER, struct.pack("ii", 1, 0)
            )
            socket.socket.close()
    until(
        lambda: [line for line in views.log_lines(start) if "has left" in line.get("message", "")],
        "the line about the client",
    )
    until(lambda: not views.leftovers(), "the end of its connection")
    assert "raceback" not in views.output[start:]


@pytest.mark.parametrize("after", ["receive", "close"])
def test_a_mistake_after_the_end_is_logged_as_one(views: Server, after: str) -> None:
    start = len(views.output)
    with client(views, f"/ws/views/mistaken/{after}?user={after}"):
        pass
    until_happened(views, [f"teardown of {after} with AttributeError"])
    until(lambda: [line for line in views.log_lines(start) if "traceback" in line], "the line of the error")


def test_a_program_that_ends_by_a_timeout_closes_with_1011(views: Server) -> None:
    start = len(views.output)
    with client(views, "/plain") as socket:
        socket.send("timeout")
        assert close_of(socket) == (1011, "")
    until(lambda: [line for line in views.log_lines(start) if "traceback" in line], "the line of the error")


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["chat.v1", "chat.v2"], "chat.v2"),
        (["other", "chat.v1"], "chat.v1"),
        (["CHAT.V1"], None),
        (["other"], None),
        ([], None),
    ],
)
def test_the_first_subprotocol_of_the_view_that_the_client_offers_is_agreed_on(
    views: Server, offered: list[str], agreed: str | None
) -> None:
    subprotocols = [Subprotocol(one) for one in offered] or None
    with connect(f"{views.websocket_url}/ws/views/protocols", subprotocols=subprotocols) as socket:
        assert socket.subprotocol == agreed
        assert socket.recv(PATIENCE) == str(agreed)


def test_subprotocols_may_come_in_several_fields(views: Server) -> None:
    lines = b"Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: chat.v1, chat.v2\r\n"
    with views.connect() as wire:
        wire.send(handshake("/ws/views/protocols").replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n"))
        answer = wire.socket.recv(4096)
    assert b"\r\nSec-WebSocket-Protocol: chat.v2\r\n" in answer


def test_after_the_end_every_use_is_a_websocket_error(views: Server) -> None:
    with client(views, "/ws/views/after-the-end"):
        pass
    until_happened(views, [" ".join(["WebSocketError"] * 6) + " True"])


def test_what_cannot_be_sent_is_an_error_of_the_program_and_nothing_is_sent(views: Server) -> None:
    with client(views, "/errors") as socket:
        errors = [socket.recv(PATIENCE) for _ in range(5)]
        assert errors == ["TypeError", "TypeError", "TypeError", "UnicodeDecodeError", "UnicodeEncodeError"]
        assert socket.recv(PATIENCE) == "café"
        for opcode in (0, 3, 11):
            assert socket.recv(PATIENCE) == f"a frame of opcode {opcode} cannot be sent alone"
        assert close_of(socket) == (4321, "")


def test_a_program_that_only_keeps_its_socket_has_an_open_connection(views: Server) -> None:
    with client(views, "/registered") as socket:  # the handshake is complete
        assert socket.ping().wait(PATIENCE)
