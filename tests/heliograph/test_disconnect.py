"""`channels.disconnect(subject)`: connections of a subject end at every instance, and tickets from before are void."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.heliograph.channels.served.talking import SECRET, bearer, token
from tests.heliograph.test_live import flask, ours
from tests.serving import CLOSE, PATIENCE, Server, Wire, problem


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Two instances on one log: one whose process is patched, and one that answers in threads."""
    folder = tmp_path_factory.mktemp("disconnect")
    settings = {"HELIOGRAPH_AUTH_SECRET": SECRET, "HELIOGRAPH_CHANNELS": f"sqlite:///{folder}/channels.db"}
    with ExitStack() as stack:
        found = []
        for command in (ours, flask):
            own = folder / command.__name__
            own.mkdir()
            found.append(stack.enter_context(Server(own, settings, command)))
        for server in found:
            server.wait_for_port(server.port)
        yield found


@contextmanager
def subscribed(server: Server, subject: str) -> Iterator[ClientConnection]:
    headers = bearer(token(sub=subject))
    with connect(f"{server.websocket_url}/live/ws/channels/news", additional_headers=headers) as socket:
        assert '"subscribed"' in str(socket.recv(PATIENCE))
        yield socket


def ticket_for(server: Server, subject: str, document: bytes) -> str:
    head = f"POST /live/channels/ticket HTTP/1.1\r\nAuthorization: Bearer {token(sub=subject)}\r\n"
    length = f"Content-Type: application/json\r\nContent-Length: {len(document)}\r\n".encode()
    return str(server.raw(head.encode() + length + CLOSE + b"\r\n" + document).json()["ticket"])


def events(server: Server, ticket: str) -> Wire:
    wire = server.connect()
    wire.send(f"GET /live/channels/news/events?ticket={ticket} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n")
    return wire


def test_a_subject_is_disconnected_everywhere_and_others_stay(servers: list[Server]) -> None:
    document = b'{"for": "events", "channel": "news"}'
    tickets = [ticket_for(server, "ada", document) for server in servers]
    once = ticket_for(servers[0], "ada", b"")
    with ExitStack() as stack:
        ada = [stack.enter_context(subscribed(server, "ada")) for server in servers]
        bob = [stack.enter_context(subscribed(server, "bob")) for server in servers]
        streams = [
            stack.enter_context(events(server, ticket))
            for server, ticket in zip(servers, tickets, strict=True)
        ]
        for stream in streams:
            assert b"200" in stream.socket.recv(12)
        assert servers[1].get("/disconnect/ada").body == b"ada"
        for socket in ada:
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(PATIENCE)
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "disconnected")
        for stream in streams:
            stream.rest()  # it ends
        assert servers[0].get("/publish/news/tea").status == 200
        for socket in bob:
            assert '"tea"' in str(socket.recv(PATIENCE))
    for server, ticket in zip(servers, tickets, strict=True):
        with events(server, ticket) as refused:
            assert "void" in problem(refused.answer(), 401, "token-needed")["detail"]
        url = f"{server.websocket_url}/live/ws/channels/news?ticket={once}"
        with pytest.raises(InvalidStatus) as status, connect(url):
            pass
        assert status.value.response.status_code == 401
        # Her token is still valid.
        with subscribed(server, "ada"), events(server, ticket_for(server, "ada", document)) as stream:
            assert b"200" in stream.socket.recv(12)
