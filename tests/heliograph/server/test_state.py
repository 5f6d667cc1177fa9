"""Two servers in one process: each has its own connections, and the end of one is not the end of the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import gevent
from gevent import socket as green
from gevent.pywsgi import WSGIServer

from heliograph.server.handler import Handler
from heliograph.server.state import ServerState, state_of
from tests.heliograph.websocket.raw import TEXT, Frame, frame, handshake

#: Seconds after which a test gives up.
PATIENCE = 10.0


def echo(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
    socket = environ["wsgi.websocket"]
    while (message := socket.receive()) is not None:
        socket.send(message)
    return []


class Client:
    """An open WebSocket."""

    def __init__(self, server: WSGIServer) -> None:
        self.socket = green.create_connection(("127.0.0.1", server.server_port), PATIENCE)
        self.socket.sendall(handshake("/"))
        self._file = self.socket.makefile("rb")
        while self._file.readline() != b"\r\n":
            pass

    def frame(self) -> Frame:
        first, size = self._file.read(2)
        return Frame(first & 15, self._file.read(size))

    def echoes(self, text: bytes) -> bool:
        self.socket.sendall(frame(TEXT, text))
        return self.frame() == Frame(TEXT, text)

    def close(self) -> None:
        self._file.close()
        self.socket.close()


@contextmanager
def serving(**environ: Any) -> Iterator[WSGIServer]:
    server = WSGIServer(
        ("127.0.0.1", 0), echo, handler_class=Handler, log=None, spawn=100, environ=environ or None
    )
    server.start()
    try:
        yield server
    finally:
        server.stop(timeout=1)


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(PATIENCE):
        while not condition():
            gevent.sleep(0.01)


def test_the_end_of_one_server_leaves_another_one_of_the_process_alone() -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(serving()) for _ in range(2))
        clients = [Client(first), Client(second)]
        for client in clients:
            stack.callback(client.close)
            assert client.echoes(b"hello")
        states = [state_of(first), state_of(second)]
        assert [len(state.connections.open) for state in states] == [1, 1]
        states[0].stop()
        assert clients[0].frame().code == 1012
        assert clients[1].echoes(b"still here")
        assert [state.stopping for state in states] == [True, False]
        clients[0].close()
        until(lambda: not states[0].connections.open)
        assert len(states[1].connections.wheel) == len(states[1].connections.open) == 1
        states[1].stop()
        assert clients[1].frame().code == 1012
        clients[1].close()
        until(lambda: not states[1].connections.open)
        assert [len(state.connections.wheel) for state in states] == [0, 0]


def test_all_listeners_that_are_given_one_state_stop_together() -> None:
    state = ServerState()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(**state.environ())) for _ in range(2)]
        clients = [Client(server) for server in servers]
        for client in clients:
            stack.callback(client.close)
            assert client.echoes(b"hello")
        assert len(state.connections.open) == 2
        state.stop()
        assert [client.frame().code for client in clients] == [1012, 1012]
