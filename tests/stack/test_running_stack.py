"""The commands that find the running stack of a folder: `status`, `stop`, `proxy`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from proxy_tests.processes import PYTHON, alive, until

from heliograph.cli.arguments import NOT_RUNNING
from heliograph.stack import folder
from tests.heliograph.cli.calling import called
from tests.stack.running import Stack

HELLO = """\
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

RUN = (PYTHON, "-m", "heliograph.cli", "run", "hello:app")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    root = tmp_path_factory.mktemp("a project, ünïcode")
    (root / "hello.py").write_text(HELLO)
    logs = tmp_path_factory.mktemp("logs")
    with Stack(logs, {"HELIOGRAPH_NGINX": "0"}, root=root, command=RUN).started() as stack:
        yield stack


def status(stack: Stack, *arguments: str, cwd: Path | None = None) -> tuple[int, dict[str, Any]]:
    ended = called("status", "--json", *arguments, cwd=cwd or stack.root)
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout)


def test_status_tells_each_part_and_how_the_proxy_uses_it(running: Stack) -> None:
    returned, found = status(running)
    assert returned == 0
    assert found["manager"]["pid"] == running.pid
    assert found["state"] == str(running.root / "var")
    assert requests.get(found["url"], timeout=20).text == "hello"
    parts = {part["name"]: part for part in found["parts"]}
    assert {name: part["pid"] for name, part in parts.items()} == running.pids()
    assert all(part["answers"] and part["uptime"] > 0 and part["memory"] > 1 << 20 for part in parts.values())
    assert [parts[name]["backend"]["state"] for name in ("web1", "web2")] == ["ready", "ready"]
    lines = called("status", cwd=running.root).stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["part", "web1", "web2", "proxy"]


def test_another_folder_is_named_by_its_state_folder(running: Stack, tmp_path: Path) -> None:
    returned, found = status(running, "--state", str(running.root / "var"), cwd=tmp_path)
    assert (returned, found["manager"]["pid"]) == (0, running.pid)


def test_proxy_commands_reach_the_proxy_of_the_stack(running: Stack) -> None:
    for arguments, told in (
        (("drain", "web1"), "web1: drain, weight 1, "),
        (("weight", "web1", "3"), "web1: drain, weight 3, "),
        (("ready", "web1"), "web1: ready, weight 3, "),
        (("status",), "strategy "),
        (("check",), f"{running.root / 'var' / 'proxy.toml'}: ok, 2 backends"),
    ):
        ended = called("proxy", *arguments, cwd=running.root)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith(told)
    ended = called("proxy", "drain", "web9", cwd=running.root)
    assert (ended.returncode, ended.stderr) == (1, 'proxy: there is no backend "web9"\n')
    found = json.loads(called("proxy", "status", "--json", cwd=running.root).stdout)
    assert [one["name"] for one in found["backends"]] == ["web1", "web2"]


def test_a_part_that_does_not_answer_shows_and_is_status_1(running: Stack) -> None:
    pid = running.pids()["proxy"]
    running.send(signal.SIGSTOP)  # the manager would kill the proxy soon
    os.kill(pid, signal.SIGSTOP)
    try:
        returned, found = status(running)
    finally:
        os.kill(pid, signal.SIGCONT)
        running.send(signal.SIGCONT)
    assert returned == 1
    assert {part["name"]: part["answers"] for part in found["parts"]} == {
        "web1": True,
        "web2": True,
        "proxy": False,
    }


@pytest.mark.parametrize("command", [("status",), ("stop",), ("proxy", "status"), ("rolling",)])
def test_where_none_runs_the_status_is_3_and_a_line_tells_how_to_start_one(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    ended = called(*command, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (NOT_RUNNING, "")
    assert ended.stderr == f"heliograph: no stack runs in {tmp_path}/var; `heliograph run` starts one\n"


def test_what_a_stack_left_that_was_killed_is_no_running_stack(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "stack.json").write_text(json.dumps({"pid": 1, "parts": []}))
    assert called("stop", cwd=tmp_path).returncode == NOT_RUNNING


def test_stop_ends_all_in_order_and_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    logs = tmp_path / "logs"
    logs.mkdir()
    with Stack(logs, {"HELIOGRAPH_NGINX": "0"}, root=tmp_path, command=RUN).started() as stack:
        pids = stack.pids().values()
        ended = called("stop", cwd=tmp_path)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == f"The stack in {tmp_path}/var has ended.\n"
        assert not any(map(alive, pids))
        assert stack.wait() == 0
        assert "SIGTERM: stopping" in stack.output


@pytest.mark.slow
def test_a_stack_that_does_not_end_is_told(running: Stack) -> None:
    """It is stopped, so it does not; what it was sent waits for it, and it ends once it goes on."""
    running.send(signal.SIGSTOP)
    try:
        ended = called("stop", cwd=running.root)
        assert ended.returncode == 1
        assert ended.stderr == (
            f"heliograph: process {running.pid} has not ended after 20 s; a second `stop` kills what is left\n"
        )
    finally:
        running.send(signal.SIGCONT)
    until(lambda: not folder.running(running.root / "var"), "the stack to end")
