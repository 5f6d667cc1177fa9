"""Programs that were written for gevent-websocket run on our worker as they are: Flask-SocketIO, and a Resource."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import engineio  # type: ignore[import-untyped]
import pytest
import socketio  # type: ignore[import-untyped]
from proxy_tests.processes import PYTHON, descriptors, until
from websockets.sync.client import ClientConnection, connect

from tests.serving import PATIENCE, Server


def gunicorn(program: str) -> Callable[[int], Sequence[str]]:
    """Our worker class, and nothing else of ours."""
    worker = "heliograph.server.worker.Worker"
    return lambda port: [
        *(PYTHON, "-m", "gunicorn", "-w1", "-k", worker, "--bind", f"127.0.0.1:{port}"),
        f"tests.heliograph.websocket.{program}:app",
    ]


@contextmanager
def no_socket_left(server: Server) -> Iterator[Server]:
    before = sockets(server)
    yield server
    until(lambda: sockets(server) <= before, "the server's sockets to be closed")
    assert "Traceback" not in server.output, server.output


def sockets(server: Server) -> int:
    return sum(file.startswith("socket:") for file in descriptors(server.worker))


@pytest.fixture(scope="module")
def running_socketio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("socketio"), command=gunicorn("socketio_program")) as server:
        yield server.started()


@pytest.fixture
def socketio_server(running_socketio: Server) -> Iterator[Server]:
    with no_socket_left(running_socketio):
        yield running_socketio


@pytest.fixture(scope="module")
def running_chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("chat"), command=gunicorn("chat_program")) as server:
        yield server.started()


@pytest.fixture
def chat(running_chat: Server) -> Iterator[Server]:
    with no_socket_left(running_chat):
        yield running_chat


class InOrder(engineio.Client):  # type: ignore[misc]
    """Handles one message after the other. The class of the package starts a thread for each: bytes may come before what they are
    the attachment of."""

    def _trigger_event(self, event: str, *args: object, **how: object) -> object:
        return super()._trigger_event(event, *args, **{**how, "run_async": False})


class Client(socketio.Client):  # type: ignore[misc]
    def _engineio_client_class(self) -> type[InOrder]:
        return InOrder


class Visitor:
    """A python-socketio client with what came to it."""

    def __init__(self, url: str, transports: Sequence[str] = ("websocket",)) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = Client(reconnection=False)
        self.client.on("*", lambda event, *data: self.events.put((event, data[0] if data else None)))
        self.client.connect(url, transports=list(transports), wait_timeout=PATIENCE)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()

    def next(self) -> tuple[str, Any]:
        return self.events.get(timeout=PATIENCE)

    def ask(self, event: str, data: object) -> object:
        """The acknowledgement."""
        return self.client.call(event, data, timeout=PATIENCE)


def test_socketio_speaks_websocket_in_both_directions(socketio_server: Server) -> None:
    with Visitor(socketio_server.url) as visitor:
        assert visitor.next() == ("welcome", {"transport": "websocket"})
        for data in ("hello", {"numbers": [1, 2.5, None]}, "grüß dich ☀", "x" * 200_000):
            assert visitor.ask("say", data) == data
            assert visitor.next() == ("said", data)


def test_socketio_carries_bytes(socketio_server: Server) -> None:
    with Visitor(socketio_server.url) as visitor:
        visitor.next()
        data = bytes(range(256)) * 100
        assert visitor.ask("say", data) == data
        assert visitor.next() == ("said", data)


def test_socketio_upgrades_from_polling(socketio_server: Server) -> None:
    with Visitor(socketio_server.url, ("polling", "websocket")) as visitor:
        assert visitor.next()[0] == "welcome"
        until(lambda: visitor.client.transport() == "websocket", "the upgrade")
        assert visitor.ask("say", "after the upgrade") == "after the upgrade"


def test_socketio_rooms_reach_those_inside(socketio_server: Server) -> None:
    url = socketio_server.url
    with Visitor(url) as jeff, Visitor(url) as walter, Visitor(url) as donny:
        for visitor in (jeff, walter, donny):
            assert visitor.next()[0] == "welcome"
        for visitor in (jeff, walter):
            assert visitor.ask("join", "bowling") == "bowling"
        jeff.client.emit("tell", {"room": "bowling", "text": "over the line"})
        assert walter.next() == ("told", "over the line")
        walter.ask("leave", "bowling")
        jeff.client.emit("tell", {"room": "bowling", "text": "anybody?"})
        for visitor in (jeff, walter, donny):  # each hears its own echo only: nothing was on its way before
            visitor.ask("say", "still here")
            assert visitor.next() == ("said", "still here")


def test_socketio_sends_from_other_greenlets(socketio_server: Server) -> None:
    with Visitor(socketio_server.url) as visitor:
        visitor.next()
        visitor.client.emit("count", 500)
        # Each arrives once; in which order they are handled its client leaves to a thread for each.
        assert sorted(visitor.next() for _ in range(500)) == [("number", number) for number in range(500)]


def say(client: ClientConnection, **message: str) -> None:
    client.send(json.dumps(message))


def heard(client: ClientConnection) -> Any:
    return json.loads(client.recv(PATIENCE))


def test_a_resource_serves_its_websocket_application(chat: Server) -> None:
    url = f"{chat.websocket_url}/chat"
    with connect(url) as walter, connect(url) as donny:
        say(walter, msg_type="update_clients", nickname="walter")
        assert heard(walter)["clients"] == ["anonymous", "walter"]
        say(donny, msg_type="update_clients", nickname="donny")
        assert heard(donny)["clients"] == ["donny", "walter"]
        say(donny, msg_type="message", message="I am the walrus")
        for client in (walter, donny):
            assert heard(client) == {"msg_type": "message", "message": "I am the walrus"}


def test_a_resource_forgets_who_left(chat: Server) -> None:
    url = f"{chat.websocket_url}/chat"
    start = chat.output.count("somebody left")
    with connect(url) as walter:
        with connect(url) as donny:
            say(donny, msg_type="update_clients", nickname="donny")
            assert heard(donny)["clients"] == ["anonymous", "donny"]
        until(lambda: chat.output.count("somebody left") > start, "on_close")

        def alone() -> bool:
            say(walter, msg_type="update_clients", nickname="walter")
            return bool(heard(walter)["clients"] == ["walter"])

        until(alone, "the clients without donny")


def test_a_resource_serves_pages_beside(chat: Server) -> None:
    assert chat.get("/").body == b"the page of the chat"
