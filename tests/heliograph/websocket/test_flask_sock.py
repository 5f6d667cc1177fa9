"""flask-sock and simple-websocket as they are, on our worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from proxy_tests.processes import descriptors, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.heliograph.websocket import raw
from tests.heliograph.websocket.test_socketio import gunicorn, sockets
from tests.serving import PATIENCE, Server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("sock"), command=gunicorn("sock_program")) as server:
        server.wait_for_port(server.port)
        assert server.get("/").body == b"a page"
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    before, start = sockets(running), len(running.output)
    yield running
    until(lambda: sockets(running) <= before, f"{descriptors(running.worker)} to be closed")
    said = running.output[start:]
    assert "refused" not in said, said


def logged(server: Server, path: str, status: int) -> None:
    line = server.logged(path=path)
    assert (line["status"], line["complete"]) == (status, True)


def closing(client: ClientConnection) -> tuple[int | None, str]:
    """The close frame that the server sends."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    received = closed.value.rcvd
    return (received.code, received.reason) if received else (None, "")


def test_messages_are_echoed_until_the_view_returns(server: Server) -> None:
    with connect(f"{server.websocket_url}/echo") as client:
        for message in ("hello", "grüß dich ☀", b"\x00\xff", "x" * 100_000):
            client.send(message)
            assert client.recv(PATIENCE) == message
        client.send("enough")
        assert closing(client) == (1000, "")
    logged(server, "/echo", 101)
    assert "Traceback" not in server.output


def test_the_view_chooses_the_close_code(server: Server) -> None:
    with connect(f"{server.websocket_url}/close", close_timeout=PATIENCE) as client:
        assert closing(client) == (4002, "so it goes")
    logged(server, "/close", 101)


def test_a_view_learns_that_its_client_left(server: Server) -> None:
    with connect(f"{server.websocket_url}/echo") as client:
        client.close(4001)
    until(lambda: "left with 4001" in server.output, "the view to end")
    with connect(f"{server.websocket_url}/echo") as client:
        client.socket.shutdown(socket.SHUT_RDWR)
        until(lambda: "left with 1005" in server.output, "the view to end")


def test_a_client_may_be_silent(server: Server) -> None:
    with connect(f"{server.websocket_url}/silence") as client:
        assert client.recv(PATIENCE) == "None"
        client.send("after a while")
        assert client.recv(PATIENCE) == "after a while"


def test_no_answer_is_written_into_the_frames_of_a_view_that_failed(server: Server) -> None:
    with connect(f"{server.websocket_url}/fails") as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    assert (closed.value.rcvd, closed.value.sent) == (
        None,
        None,
    )  # only the end, and nothing that is no frame
    logged(server, "/fails", 500)
    assert "in the view" in server.output


@pytest.mark.parametrize(
    "fields", [{"Sec-WebSocket-Version": "8"}, {"Sec-WebSocket-Key": None}], ids=["version", "key"]
)
def test_a_handshake_that_is_not_valid_is_answered(server: Server, fields: dict[str, str | None]) -> None:
    with server.connect() as wire:
        wire.send(raw.handshake("/echo", fields))
        assert wire.answer().status == 500


def test_a_client_that_sends_on_after_the_end_is_cut_off(server: Server) -> None:
    with server.connect() as wire:
        wire.send(raw.handshake("/close"))

        def is_cut_off() -> bool:
            try:
                wire.send(raw.frame(raw.TEXT, b"and another thing"))
            except OSError:
                return True
            return False

        until(is_cut_off, "the connection to end")


def test_a_plain_request_is_answered_as_ever(server: Server) -> None:
    assert server.get("/echo").status == 400
    assert server.get("/").body == b"a page"
