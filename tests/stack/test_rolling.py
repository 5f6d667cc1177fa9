"""script/rolling against real stacks, in copies of the checkout so that it finds the right one."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.processes import PYTHON, clean_environment
from tests.stack.checkout import copy_checkout
from tests.stack.running import Stack

PATIENCE = 15


def rolling(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "script.stack", "rolling"],
        cwd=root,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def load(url: str) -> Iterator[list[int]]:
    """Requests one after another meanwhile, GET and POST; the list gets the status of each."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not over.is_set():
                statuses.append(session.get(f"{url}/echo?message=x", timeout=PATIENCE).status_code)
                statuses.append(session.post(f"{url}/echo", data=b"x", timeout=PATIENCE).status_code)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield statuses
    finally:
        over.set()
        for client in clients:
            client.join()


def test_all_instances_are_restarted_and_no_request_fails(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with Stack(tmp_path, root=root).started() as stack:
        before = stack.pids()
        with load(stack.url) as statuses:
            ended = rolling(root)
        assert ended.returncode == 0, ended.stderr
        after = stack.pids()
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"web1", "web2"}
        assert len(statuses) > 100
        assert set(statuses) == {200}
        lines = ended.stdout.splitlines()
        assert lines[0] == "Restarting web1, web2 of the stack in var/"
        assert f"web1: ready again, process {after['web1']}" in lines
        assert lines.index("web2: draining") > lines.index(f"web1: ready again, process {after['web1']}")
        states = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()["backends"]
        assert [backend["state"] for backend in states] == ["ready", "ready"]


def test_it_stops_and_says_why_when_one_does_not_come_back(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path)
    with Stack(tmp_path, root=root).started() as stack:
        before = stack.pids()
        (root / "wsgi.py").write_text("raise RuntimeError('broken on purpose')\n")
        ended = rolling(root)
        assert ended.returncode == 1
        assert "script/rolling stops: web1 does not come back: it ends when it is started" in ended.stderr
        assert stack.pids()["web2"] == before["web2"]
        assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).json()["instance"] == "web2"
        states = requests.get(f"{stack.admin_url}/status", timeout=PATIENCE).json()["backends"]
        assert [backend["state"] for backend in states] == ["ready", "ready"]


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
    assert ended.returncode == 1
    assert ended.stderr == "script/rolling: no stack runs from this checkout; script/server starts one\n"
