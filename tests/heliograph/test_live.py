"""A user's application with `Heliograph`, under our worker, Gunicorn's own, pywsgi, and `flask run` without gevent."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from proxy_tests.processes import PYTHON, ROOT, until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.serving import CLOSE, PATIENCE, Server

PROGRAM = "tests.heliograph.live_program"

Command = Callable[[int], list[str]]


def ours(port: int) -> list[str]:
    worker = "heliograph.server.worker.Worker"
    return [PYTHON, "-m", "gunicorn", "-k", worker, "-b", f"127.0.0.1:{port}", f"{PROGRAM}:app"]


def gunicorn(port: int) -> list[str]:
    return [PYTHON, "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", f"{PROGRAM}:app"]


def flask(port: int) -> list[str]:
    return [PYTHON, "-m", "flask", "--app", PROGRAM, "run", "--port", str(port)]


def pywsgi(port: int) -> list[str]:
    program = f"""
from gevent import monkey
monkey.patch_all()
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler
from {PROGRAM} import app
WSGIServer(("127.0.0.1", {port}), app, handler_class=WebSocketHandler).serve_forever()
"""
    return [PYTHON, "-c", program]


def uwsgi(port: int) -> list[str]:
    command = [str(Path(PYTHON).parent / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--master"]
    home = ["--home", str(Path(PYTHON).parent.parent), "--pythonpath", str(ROOT)]
    return [*command, *home, "--module", f"{PROGRAM}:app", "--need-app", "--threads", "4", "--die-on-term"]


@pytest.fixture(scope="module", params=[ours, gunicorn, flask, pywsgi], ids=lambda command: command.__name__)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("live"), command=request.param) as running:
        running.wait_for_port(running.port)
        yield running
        tree = running.tree()
        for pid in reversed(tree):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        running.wait()


def client(server: Server, path: str, **options: Any) -> ClientConnection:
    found: ClientConnection = connect(f"{server.websocket_url}{path}", open_timeout=PATIENCE, **options)
    return found


def close_of(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(PATIENCE)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


def until_last(server: Server, last: str) -> None:
    until(lambda: server.get("/happened").json()[-1:] == [last], last)


def test_pages_and_error_pages_are_the_application_s_own(server: Server) -> None:
    page, missing = server.get("/"), server.get("/nowhere")
    assert (page.body, page.headers["content-type"]) == (b"<p>mine</p>", "text/html; charset=utf-8")
    assert (missing.status, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert server.raw(b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").status == 200


def test_a_view_has_the_session_and_one_teardown_at_the_end(server: Server) -> None:
    cookie = SimpleCookie(server.get("/login/ada").headers["set-cookie"])
    headers = {"Cookie": f"session={cookie['session'].value}"}
    offered = [Subprotocol("chat.v1"), Subprotocol("chat.v2")]
    with client(server, "/ws/chat/tea", subprotocols=offered, additional_headers=headers) as socket:
        # gevent-websocket's own handler completes the handshake itself, and agrees on none.
        agreed = None if "WebSocketHandler" in str(server.command) else "chat.v2"
        assert socket.recv(PATIENCE) == f"ada is in tea by {agreed}"
        for offset in ("1", "2"):
            socket.send("a word")
            assert socket.recv(PATIENCE) == offset
        assert not any("left" in line for line in server.get("/happened").json())
    until_last(server, "ada left {'room': 'tea'} with NoneType")
    assert server.get("/live/channels/tea").json()["top"] == 2
    assert server.get("/ws/chat/tea").status == 426


def test_an_endpoint_class_is_told_of_everything(server: Server) -> None:
    with client(server, "/ws/shout") as socket:
        assert socket.recv(PATIENCE) == "hello nobody"
        socket.send("tea")
        assert socket.recv(PATIENCE) == "TEA"
        socket.close(4321)
    until_last(server, "shout ended with 4321")
    for message, code in (("close", 4001), ("fail", 1011), (b"bytes", 1003)):
        with client(server, "/ws/shout") as socket:
            socket.recv(PATIENCE)
            socket.send(message)
            assert close_of(socket) == code
        until_last(server, f"shout ended with {code}")
    with client(server, "/ws/shout") as socket:
        socket.socket.close()
    until_last(server, "shout ended with 1006")


@pytest.mark.parametrize(
    ("path", "good", "answer", "bad"),
    [
        ("/ws/sum", "[1, 2]", "3", "[1,"),
        ("/ws/sum", b"[4]", "4", b"\xff"),
        ("/ws/size", b"four", "4", "text"),
    ],
)
def test_an_endpoint_class_gets_what_its_encoding_says(
    server: Server, path: str, good: str | bytes, answer: str, bad: str | bytes
) -> None:
    with client(server, path) as socket:
        socket.send(good)
        assert socket.recv(PATIENCE) == answer
        socket.send(bad)
        assert close_of(socket) == 1003


def test_what_views_publish_reaches_subscribers(server: Server) -> None:
    with (
        client(server, "/live/ws/channels/news") as subscriber,
        server.connect() as stream,
    ):
        assert '"subscribed"' in str(subscriber.recv(PATIENCE))
        stream.send(b"GET /live/channels/news/events?after=earliest HTTP/1.1\r\n%b\r\n" % CLOSE)
        assert server.get("/publish/news/tea").json() == {"offset": 1, "top": 1}
        assert '"data": {"said": "tea"}' in str(subscriber.recv(PATIENCE))
        seen = b""
        while b'data: {"said": "tea"}' not in seen:
            piece = stream.socket.recv(4096)
            assert piece, seen
            seen += piece


def test_uwsgi_serves_everything_but_websockets(tmp_path: Path) -> None:
    with Server(tmp_path, command=uwsgi) as server:
        server.wait_for_port(server.port)
        test_pages_and_error_pages_are_the_application_s_own(server)
        cookie = server.get("/login/ada").headers["set-cookie"]
        assert "session=" in cookie
        assert server.get("/publish/news/tea").json() == {"offset": 1, "top": 1}
        with server.connect() as stream:
            stream.send(b"GET /live/channels/news/events?after=earliest HTTP/1.1\r\n%b\r\n" % CLOSE)
            seen = b""
            while b'data: {"said": "tea"}' not in seen:
                piece = stream.socket.recv(4096)
                assert piece, seen
                seen += piece
        test_a_check_takes_part_in_readiness(server)
        with pytest.raises(InvalidStatus) as refused, client(server, "/ws/shout"):
            pass
        assert refused.value.response.status_code == 501
        assert b"/problems/" in (refused.value.response.body or b"")
        assert server.get("/ws/shout").status == 426


def test_a_check_takes_part_in_readiness(server: Server) -> None:
    assert server.get("/live/readyz").json()["checks"]["mood"] == "ok"
