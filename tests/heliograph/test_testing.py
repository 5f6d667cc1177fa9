"""`heliograph.testing`: the example of its documentation, and what else its fixtures do, as tests of a user's project."""

from __future__ import annotations

import subprocess
import textwrap
import threading
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest
from flask import Flask
from proxy_tests.processes import PYTHON, clean_environment, until

import heliograph.testing
from heliograph import Heliograph
from heliograph.websocket.socket import Socket

SHOP = """
from flask import Flask, g, request, session
from heliograph import Heliograph, WebSocketEndpoint

live = Heliograph(endpoints=("channels", "health"))

class Shout(WebSocketEndpoint):
    def on_receive(self, socket, data):
        socket.send(data.upper())

live.add_websocket("/ws/shout", Shout)

@live.websocket("/ws/who", subprotocols=("v2", "v1"))
def who(socket):
    user = f"{session.get('user')} {request.cookies.get('remember_token')}"
    socket.send(f"{user} {request.headers.get('X-Mark')} {socket.subprotocol}")
    assert socket.receive() is not None
    socket.close(4001, "seen enough")

@live.channels.authorize
def may(action, channel, request):
    return channel != "secret"

def create_app():
    app = Flask(__name__)
    app.secret_key = "of the shop"

    @app.post("/orders")
    def order():
        live.channels.publish("orders", request.get_json())
        return "", 201

    @app.get("/login")
    def login():
        session["user"] = "ada"
        return "", {"Set-Cookie": "remember_token=7"}

    live.init_app(app)
    return app
"""

CONFTEST = """
import pytest
from shop import create_app

pytest_plugins = ["heliograph.testing"]

@pytest.fixture
def app():
    return create_app()
"""

MORE = """
import pytest
from websockets.exceptions import InvalidStatus

@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_channels_of_its_own(app, channels, time):
    assert channels.published("orders") == []
    assert app.test_client().post("/channels/orders", json=time).status_code == 201
    with app.app_context():
        assert channels.publish("orders", b"more").offset == 2
    assert channels.published("orders") == [time, b"more"]
    assert app.test_client().get("/readyz").status_code == 200

def test_the_rule_of_the_application_holds(app, channels):
    assert app.test_client().post("/channels/secret", json=1).status_code == 403

def test_a_websocket_has_cookies_headers_and_subprotocol(app, websocket):
    client = app.test_client()
    client.get("/login")
    with websocket("/ws/who", client=client, headers={"X-Mark": "!"}, subprotocols=["v1"]) as socket:
        assert socket.subprotocol == "v1"
        assert socket.receive() == "ada 7 ! v1"
        with pytest.raises(TimeoutError):
            socket.receive(timeout=0.01)
        socket.send("go")
        assert socket.receive() is None
        assert socket.close_code == 4001

def test_what_is_refused_has_a_status(websocket):
    for path, status, headers in (("/orders", 405, {}), ("/no", 404, {}), ("/ws/shout", 403, {"Origin": "https://a.example"})):
        with pytest.raises(InvalidStatus) as refused, websocket(path, headers=headers):
            pass
        assert refused.value.response.status_code == status

def test_long_histories_are_published_as_well(app, channels):
    channels.publish_many([("orders", number) for number in range(2500)])
    assert channels.published("orders") == list(range(2500))
"""


def example() -> str:
    """The test in the documentation of the module."""
    text = textwrap.dedent(
        str(heliograph.testing.__doc__).split("# test_orders.py\n")[1].split("\n\nEach test")[0]
    )
    assert len(text.splitlines()) <= 6
    return text


@pytest.mark.parametrize(
    "start", [["-m", "pytest"], ["-m", "gevent.monkey", "--module", "pytest"]], ids=["plain", "patched"]
)
def test_a_user_s_project_is_tested(tmp_path: Path, start: list[str]) -> None:
    for name, text in {
        "shop.py": SHOP,
        "conftest.py": CONFTEST,
        "test_orders.py": example(),
        "test_more.py": MORE,
    }.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [PYTHON, *start, "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=clean_environment({"PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_applications_keep_no_thread_and_no_descriptor_from_their_tests() -> None:
    def held() -> list[int]:
        return [len(list(Path(f"/proc/self/{what}").iterdir())) for what in ("task", "fd")]

    with ExitStack() as stack:
        before: list[int] = []
        for number in range(8):
            live = Heliograph()
            stack.callback(live.close)
            live.init_app(app := Flask(f"shop{number}"))
            with heliograph.testing.channels_in_memory(app) as channels:
                channels.publish("orders", number)
            before = before or held()
        until(lambda: max(map(int.__sub__, held(), before)) <= 0, "the end of the threads")


def test_a_view_that_does_not_end_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    app, live, over = Flask("shop"), Heliograph(), threading.Event()
    live.init_app(app)

    @live.websocket("/ws/endless")
    def endless(_socket: Socket) -> None:
        while not over.is_set():
            gevent.sleep(0.01)

    def visit() -> None:
        with heliograph.testing.websocket_of(app, "/ws/endless"):
            monkeypatch.setattr(heliograph.testing, "PATIENCE", 0.05)

    try:
        with pytest.raises(TimeoutError, match="the view of /ws/endless has not ended"):
            visit()
    finally:
        over.set()
        live.close()
