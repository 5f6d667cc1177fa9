"""`heliograph rolling` against real stacks, in copies of the checkout so that it finds the right one."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.heliograph.cli.calling import called
from tests.stack.checkout import copy_checkout
from tests.stack.running import Stack

PATIENCE = 15

#: How an instance that stops closes WebSockets, and what stands for one that ended without a close frame.
SERVICE_RESTART, ABNORMAL = 1012, 1006


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
            ended = called("rolling", cwd=root)
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
    second = next(number for number, line in enumerate(lines) if line.startswith("web2: a new process"))
    assert second > lines.index(f"web1: ready again, process {after['web1']}")


#: Added to wsgi.py: code that loads, and is never ready.
UNREADY = """
app.extensions["heliograph"].services.checks["never"] = lambda: "not yet"
"""


@pytest.mark.slow
def test_only_a_process_that_is_ready_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """One instance is enough for that; where it has to end first, it is not taken away."""
    root = copy_checkout(tmp_path)
    good = (root / "wsgi.py").read_text()
    settings = {"HELIOGRAPH_INSTANCES": "1", "HELIOGRAPH_NGINX": "0"}
    with Stack(tmp_path, settings, root=root).started() as stack:
        before = stack.pids()
        for code, why in (
            ("raise RuntimeError('broken on purpose')\n", "ended with status 3; its own lines say why"),
            (good + UNREADY, "is not ready after "),
        ):
            (root / "wsgi.py").write_text(code)
            ended = called("rolling", cwd=root)
            assert ended.returncode == 1
            assert "heliograph rolling stops: the new process of web1 " in ended.stderr
            assert why in ended.stderr
            assert f"process {before['web1']} serves on" in ended.stderr
            assert stack.pids() == before
            assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).status_code == 200
        assert "RuntimeError: broken on purpose" in stack.output
        (root / "wsgi.py").write_text(good)
        ended = called("rolling", "--drain-first", cwd=root)
        assert ended.returncode == 1
        assert "without web1 no instance would be left" in ended.stderr
        assert stack.pids() == before
        with Load(stack) as load:
            assert called("rolling", cwd=root).returncode == 0
        assert set(load.gets) == set(load.posts.values()) == {200}
        assert stack.pids()["web1"] != before["web1"]
        assert stack.stop() == 0
    assert not (root / "var/manager.sock").exists()


@pytest.mark.slow
def test_drain_first_ends_the_old_process_before_the_new_one(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with Stack(tmp_path, {"HELIOGRAPH_NGINX": "0"}, root=root).started() as stack:
        before = stack.pids()
        with Load(stack) as load:
            ended = called("rolling", "--drain-first", cwd=root)
        assert ended.returncode == 0, ended.stderr
        assert "web2: draining" in ended.stdout
        assert "web1 ended with status 0; starting it again at once" in stack.output
        assert {name for name, pid in stack.pids().items() if before[name] != pid} == {"web1", "web2"}
        assert set(load.gets) == set(load.posts.values()) == {200}
        states = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()["backends"]
        assert [backend["state"] for backend in states] == ["ready", "ready"]


def test_without_a_running_stack_it_says_so(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    ended = called("rolling", cwd=root)
    assert ended.returncode == 3
    assert ended.stderr.startswith("heliograph: no stack runs in ")
