"""script/rolling against real stacks, in copies of the checkout so that it finds the right one."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, clean_environment
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.stack.checkout import copy_checkout
from tests.stack.running import Stack

PATIENCE = 15

#: How an instance that stops closes WebSockets, and what stands for one that ended without a close frame.
SERVICE_RESTART, ABNORMAL = 1012, 1006


def rolling(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "heliograph.cli", "rolling"],
        cwd=root,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


#: Added to wsgi.py: what ran, with a line for each POST.
RECORDING = """
import os
_application, _runs = app, os.open({runs!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        os.write(_runs, (environ["QUERY_STRING"] + "\\n").encode())
    return _application(environ, start_response)
"""


class Load:
    """Clients that ask one thing after another, GET, POST and a WebSocket that stays open as long as it may."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.gets: list[int] = []
        #: By what makes each POST unlike all others.
        self.posts: dict[str, int] = {}
        self.said = 0
        #: Close codes of WebSockets.
        self.closed: list[int] = []
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._clients = [self._pool.submit(self._ask, number) for number in range(4)]
        self._clients += [self._pool.submit(self._talk) for _ in range(2)]

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for client in self._clients:
            client.result()

    def _ask(self, name: int) -> None:
        url = f"{self._stack.url}/echo"
        with requests.Session() as session:
            for number in itertools.count():
                if self._over.is_set():
                    return
                self._over.wait(0.01)  # an instance that starts needs some of the processor
                self.gets.append(session.get(f"{url}?message=x", timeout=PATIENCE).status_code)
                for kind, body in (("whole", b"xyz"), ("streamed", iter((b"x", b"yz")))):
                    query = f"{name}-{number}-{kind}"
                    answer = session.post(f"{url}?{query}", data=body, timeout=PATIENCE)
                    self.posts[query] = answer.status_code if answer.content == b"xyz" else 0

    def _talk(self) -> None:
        while not self._over.is_set():
            with connect(f"{self._stack.websocket_url}/ws/echo", open_timeout=PATIENCE) as websocket:
                try:
                    while not self._over.is_set():
                        websocket.send("x")
                        assert websocket.recv(timeout=PATIENCE) == "x"
                        self.said += 1
                        self._over.wait(0.01)
                except ConnectionClosed as exc:
                    self.closed.append(exc.rcvd.code if exc.rcvd else ABNORMAL)


@pytest.mark.slow
def test_all_instances_are_restarted_and_no_request_fails(tmp_path: Path) -> None:
    root, runs = copy_checkout(tmp_path), tmp_path / "runs"
    with (root / "wsgi.py").open("a") as wsgi:
        wsgi.write(RECORDING.format(runs=str(runs)))
    with Stack(tmp_path, root=root).started() as stack:
        before = stack.pids()
        with Load(stack) as load:
            ended = rolling(root)
        assert ended.returncode == 0, ended.stderr
        after = stack.pids()
        assert {name for name in before if before[name] != after[name]} == {"web1", "web2"}
        assert len(load.gets) > 100
        assert set(load.gets) == set(load.posts.values()) == {200}
        assert Counter(runs.read_text().split()) == Counter(load.posts.keys())
        # Each was at an instance when that was restarted, was told so, and went on elsewhere.
        assert load.said > 100
        assert len(load.closed) >= 2
        assert set(load.closed) == {SERVICE_RESTART}
        check_output(ended.stdout.splitlines(), after)
        states = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()["backends"]
        assert [(one["state"], one["failures"], one["tunnels"]) for one in states] == [("ready", 0, 0)] * 2


def check_output(lines: list[str], after: dict[str, int]) -> None:
    assert lines[0].startswith("Restarting web1, web2 of the stack in /")
    assert lines[0].endswith("/var/")
    assert f"web1: ready again, process {after['web1']}" in lines
    assert lines.index("web2: draining") > lines.index(f"web1: ready again, process {after['web1']}")


@pytest.mark.slow
def test_it_stops_and_says_why_when_one_does_not_come_back(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with Stack(tmp_path, root=root).started() as stack:
        before = stack.pids()
        (root / "wsgi.py").write_text("raise RuntimeError('broken on purpose')\n")
        ended = rolling(root)
        assert ended.returncode == 1
        assert "heliograph rolling stops: web1 does not come back: it ends when it is started" in ended.stderr
        assert stack.pids()["web2"] == before["web2"]
        assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).json()["instance"] == "web2"
        states = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()["backends"]
        assert [backend["state"] for backend in states] == ["ready", "ready"]


@pytest.mark.slow
def test_it_does_not_take_the_last_instance_away(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with Stack(
        tmp_path, {"HELIOGRAPH_INSTANCES": "1", "HELIOGRAPH_NGINX": "0"}, root=root
    ).started() as stack:
        before = stack.pids()
        ended = rolling(root)
        assert ended.returncode == 1
        assert "without web1 no instance would be left" in ended.stderr
        assert stack.pids() == before


def test_without_a_running_stack_it_says_so(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    ended = rolling(root)
    assert ended.returncode == 3
    assert ended.stderr.startswith("heliograph: no stack runs in ")
