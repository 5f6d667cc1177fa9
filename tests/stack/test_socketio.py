"""Flask-SocketIO on a stack of two instances: clients that poll, whose requests all have to come to one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests
from proxy_tests.processes import PYTHON, ROOT, until

from tests.heliograph.websocket.test_socketio import Visitor
from tests.stack.running import Stack

PROGRAM = "tests.heliograph.websocket.socketio_program:app"

#: So many that two instances take their share, whatever the proxy measures.
VISITORS = 6


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    command = (PYTHON, "-m", "heliograph.cli", "run", PROGRAM)
    # A project without a proxy.toml: what the package renders is what makes sessions stick.
    folder = tmp_path_factory.mktemp("socketio")
    (root := folder / "project").mkdir()
    with Stack(folder, {"PYTHONPATH": str(ROOT)}, command=command, root=root).started() as running:
        yield running


def instance_of(visitor: Visitor) -> str:
    return str(visitor.client.eio.http.cookies["heliograph_socketio"]).split(":")[0]


def test_clients_that_poll_have_one_instance_each_and_all_instances_have_clients(stack: Stack) -> None:
    with ExitStack() as connected:
        visitors = [connected.enter_context(Visitor(stack.url, ("polling",))) for _ in range(VISITORS)]
        for number, visitor in enumerate(visitors):
            assert visitor.next() == ("welcome", {"transport": "polling"})
            for data in (number, "grüß dich ☀", bytes(range(256)), "x" * 200_000):
                assert visitor.ask("say", data) == data
                assert visitor.next() == ("said", data)
        assert {instance_of(visitor) for visitor in visitors} == {"web1", "web2"}


def test_clients_go_from_polling_to_a_websocket_of_the_same_instance(stack: Stack) -> None:
    with ExitStack() as connected:
        for _ in range(4):
            visitor = connected.enter_context(Visitor(stack.url, ("polling", "websocket")))
            assert visitor.next()[0] == "welcome"
            until(lambda here=visitor: here.client.transport() == "websocket", "the upgrade")  # type: ignore[misc]
            assert visitor.ask("say", "after the upgrade") == "after the upgrade"


def test_the_cookie_is_for_socketio_only(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/socket.io/?EIO=4&transport=polling", timeout=30)
    assert answer.status_code == 200
    assert "; Path=/socket.io/; HttpOnly; SameSite=Lax" in answer.headers["Set-Cookie"]
    assert "Set-Cookie" not in requests.get(f"{stack.url}/nowhere", timeout=30).headers
    assert "Traceback" not in stack.output
