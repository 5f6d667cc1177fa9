"""The manager keeps the listening sockets: who is killed and started again costs no connection.

Clients ask without retries, each time on a new connection; what was running on a killed process may fail, but nobody is refused.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from proxy_tests.processes import alive, until
from websockets.sync.client import connect

from tests.stack.running import Stack

#: For a part to be started again on a busy machine.
PATIENCE = 60


class Clients:
    """Ask for a page again and again; `outcomes` counts statuses, and what went wrong by its type."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self.outcomes: Counter[int | type[BaseException]] = Counter()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._asking = [self._pool.submit(self._ask) for _ in range(4)]

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for one in self._asking:
            one.result()

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                connection.request("GET", self._path)
                self.outcomes[connection.getresponse().status] += 1
            except (OSError, http.client.HTTPException) as exc:
                self.outcomes[type(exc)] += 1
            finally:
                connection.close()
            self._over.wait(0.005)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("sockets")).started() as stack:
        yield stack
        assert stack.stop() == 0


def ports(stack: Stack) -> dict[str, tuple[int, str]]:
    """Where each part is asked, and for what."""
    return {
        "web1": (stack.ports.base, "/-/health"),
        "proxy": (stack.ports.proxy, "/echo?message=x"),
        "nginx": (stack.ports.nginx, "/echo?message=x"),
    }


@pytest.mark.parametrize("name", ["web1", "proxy", "nginx"])
def test_a_killed_part_refuses_no_connection(running: Stack, name: str) -> None:
    port, path = ports(running)[name]
    before = running.pids()[name]
    with Clients(port, path) as clients:
        until(lambda: clients.outcomes[200] > 20, "answers")
        os.kill(before, signal.SIGKILL)
        until(lambda: running.pids()[name] not in {before, None}, "another process", PATIENCE)
        answered = clients.outcomes[200]
        until(lambda: clients.outcomes[200] > answered + 20, "answers of the new process", PATIENCE)
    assert ConnectionRefusedError not in clients.outcomes
    # Each client had at most one request on the killed process.
    assert sum(clients.outcomes.values()) - clients.outcomes[200] <= 4, clients.outcomes


def test_a_proxy_that_is_ended_from_outside_is_replaced_beside_its_tunnels(running: Stack) -> None:
    before = running.pids()["proxy"]
    with connect(f"{running.websocket_url}/ws/echo") as websocket:
        websocket.send("x")
        assert websocket.recv(timeout=PATIENCE) == "x"
        with Clients(running.ports.proxy, "/echo?message=x") as clients:
            until(lambda: clients.outcomes[200] > 20, "answers")
            os.kill(before, signal.SIGTERM)
            until(lambda: running.pids()["proxy"] not in {before, None}, "another process", PATIENCE)
            answered = clients.outcomes[200]
            until(lambda: clients.outcomes[200] > answered + 20, "answers of the new process", PATIENCE)
        assert set(clients.outcomes) == {200}
        running.wait_for_output("proxy is stopping; starting it again at once")
        # The old one still relays.
        websocket.send("y")
        assert websocket.recv(timeout=PATIENCE) == "y"
    until(lambda: not alive(before), "the end of the old proxy", PATIENCE)


def test_an_instance_that_is_ended_from_outside_loses_no_request(running: Stack) -> None:
    before = running.pids()["web2"]
    with Clients(running.ports.base + 1, "/-/metrics") as clients:
        until(lambda: clients.outcomes[200] > 20, "answers")
        os.kill(before, signal.SIGTERM)
        until(lambda: running.pids()["web2"] not in {before, None}, "another process", PATIENCE)
        answered = clients.outcomes[200]
        until(lambda: clients.outcomes[200] > answered + 20, "answers of the new process", PATIENCE)
    assert set(clients.outcomes) == {200}
    running.wait_for_output("web2 is stopping; starting it again at once")
