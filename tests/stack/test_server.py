"""The whole stack as real processes: what script/server starts, says, keeps alive, and stops."""

from __future__ import annotations

import json
import os
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
import websockets.exceptions
from proxy_tests.processes import ROOT, alive, answers, descendants, until
from websockets.sync.client import connect

from tests.stack.checkout import copy_checkout, hand_over, open_to_everyone, python_for_everyone
from tests.stack.front import NGINX
from tests.stack.running import Stack

PATIENCE = 15

MIB = 1 << 20

#: What is promised for a stop, whatever runs.
STOP_PROMISE = 12

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def assert_nothing_left(stack: Stack, pids: list[int]) -> None:
    assert not [pid for pid in pids if alive(pid)]
    assert not any(answers(port) for port in stack.ports.all)
    assert not list(stack.var.glob("*.pid"))
    assert not list(stack.var.glob("*.sock"))
    assert not (stack.var / "stack.json").exists()


@pytest.fixture(scope="module")
def without_nginx(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A second stack from this checkout."""
    with Stack(tmp_path_factory.mktemp("second"), {"HELIOGRAPH_NGINX": "0"}).started() as running:
        yield running


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack in a folder of mode 0700, started by a link to its script/server from elsewhere."""
    folder = tmp_path_factory.mktemp("private")
    folder.chmod(0o700)
    root = copy_checkout(folder)
    (root / "app/static/here.txt").write_text("here\n")
    (folder / "server").symlink_to(root / "script/server")
    (folder / "elsewhere").mkdir()
    settings = {"HELIOGRAPH_LOG": "text"}
    with Stack(folder, settings, command=("../server",), root=folder / "elsewhere").started() as running:
        yield running


def test_every_layer_answers_and_the_request_id_goes_through_all_of_them(stack: Stack) -> None:
    for url in (stack.url, stack.proxy_url, *stack.instance_urls):
        answer = requests.get(f"{url}/healthz", timeout=PATIENCE)
        assert answer.json()["status"] == "ok"
    request_id = requests.get(f"{stack.url}/healthz?find=me", timeout=PATIENCE).headers["X-Request-Id"]
    until(lambda: request_id in stack.output, "the proxy's line with that id")
    if stack.has_nginx:
        log = stack.var / "nginx-access.log"
        until(lambda: request_id in log.read_text(), "nginx's line with that id")


def test_its_log_is_json_with_a_line_for_each_request_and_addresses_that_answer(stack: Stack) -> None:
    requests.get(f"{stack.url}/healthz?find=once", timeout=PATIENCE)
    requests.get(f"{stack.url}/healthz?find=then", timeout=PATIENCE)
    until(lambda: "find=then" in stack.output, "the line of the second request")
    lines = stack.lines()
    assert {line["part"] for line in lines} >= {"stack", "web1", "web2", "proxy"}
    [found] = [line for line in lines if "find=once" in str(line.get("target", line))]
    assert (found["part"], found["status"]) == ("proxy", 200)
    told = stack.announced()
    assert (told["service"], told["documentation"]) == (stack.url, f"{stack.url}/docs")
    assert told["dashboard"] == f"{stack.admin_url}/"
    for name in ("service", "dashboard", "documentation"):
        assert requests.get(str(told[name]), timeout=PATIENCE).status_code == 200
    assert [line for line in lines if str(line.get("message", "")).startswith("Limits: ")]


def test_instances_know_their_names(stack: Stack) -> None:
    names = [
        requests.get(f"{url}/healthz", timeout=PATIENCE).json()["instance"] for url in stack.instance_urls
    ]
    assert names == ["web1", "web2"]


def test_stack_json_tells_others_what_runs(stack: Stack) -> None:
    state = json.loads((stack.var / "stack.json").read_text())
    assert state["pid"] == stack.pid
    assert state["url"] == stack.url
    assert state["admin"] == stack.admin_url
    named = {part["name"]: part for part in state["parts"]}
    assert named["web2"]["port"] == stack.ports.base + 1
    assert all(alive(part["pid"]) for part in state["parts"])


def test_the_manager_needs_little_memory(stack: Stack) -> None:
    assert len(stack.pids()) >= 3
    assert psutil.Process(stack.pid).memory_full_info().uss < 20 * MIB


def test_every_process_has_the_hard_limit_of_descriptors(stack: Stack) -> None:
    for pid in stack.tree():
        if pid == stack.pid or os.getpgid(pid) in stack.pids().values():
            line = next(x for x in Path(f"/proc/{pid}/limits").read_text().splitlines() if "open files" in x)
            soft, hard = line.split()[3:5]
            assert soft == hard


@needs_nginx
def test_426_names_the_upgrade_through_all_layers(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/ws/echo", timeout=PATIENCE)
    assert answer.status_code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert "upgrade" in answer.headers["Connection"].lower()


@pytest.mark.parametrize("signum", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_lets_clients_finish_and_leaves_nothing(tmp_path: Path, signum: signal.Signals) -> None:
    with Stack(tmp_path).started() as stack:
        pids = stack.tree()
        with connect(f"{stack.websocket_url}/ws/echo", open_timeout=PATIENCE) as websocket:
            websocket.send("still there")
            assert websocket.recv(PATIENCE) == "still there"
            slow = requests.get(
                f"{stack.url}/echo/stream",
                params={"count": 20, "interval": 0.1},
                stream=True,
                timeout=PATIENCE,
            )
            begun = time.monotonic()
            stack.send(signum)
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                websocket.recv(PATIENCE)
        lines = list(slow.iter_lines())
        status = stack.wait()
        assert time.monotonic() - begun < STOP_PROMISE
        assert status == 0
        assert len(lines) == 20
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert_nothing_left(stack, pids)


@pytest.mark.slow
def test_killed_parts_come_back_while_the_others_serve(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as stack:
        os.kill(stack.pids()["web1"], signal.SIGKILL)
        stack.wait_for_output(r"web1 was ended by SIGKILL; starting it again in 0\.5 s")
        assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).status_code == 200
        stack.wait_for_output("web1 answers again")
        answer = requests.get(f"{stack.instance_urls[0]}/healthz", timeout=PATIENCE)
        assert answer.json()["instance"] == "web1"
        assert alive(stack.pids()["web1"])
        if stack.has_nginx:  # whose workers survive it and hold the port
            os.kill(stack.pids()["nginx"], signal.SIGKILL)
            stack.wait_for_output("nginx answers again")
            assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).status_code == 200


def test_a_killed_manager_leaves_nothing_running(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as stack:
        pids = stack.tree()
        stack.send(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids), "the end of all processes")
        assert not any(answers(port) for port in stack.ports.all)


@pytest.mark.slow
def test_a_second_stack_from_the_same_checkout_leaves_the_firsts_files_alone(
    stack: Stack, without_nginx: Stack
) -> None:
    assert without_nginx.var != stack.var
    assert f'listen = "127.0.0.1:{stack.ports.proxy}"' in (stack.var / "proxy.toml").read_text()
    others = tomllib.loads((without_nginx.var / "proxy.toml").read_text())
    assert others["listen"] == [
        f"127.0.0.1:{port}" for port in (without_nginx.ports.proxy, without_nginx.ports.nginx)
    ]
    assert json.loads((stack.var / "stack.json").read_text())["pid"] == stack.pid


def test_without_nginx_the_proxy_answers_at_the_port_in_front_too(without_nginx: Stack) -> None:
    assert not without_nginx.has_nginx
    assert without_nginx.announced()["service"] == without_nginx.url
    for url in (without_nginx.url, without_nginx.proxy_url):
        assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
        for private in ("/metrics", "/-/health", "/%6detrics/x"):
            assert requests.get(f"{url}{private}", timeout=PATIENCE).status_code == 404


@pytest.mark.slow
def test_a_user_without_privileges_runs_it_from_a_copy_of_his(tmp_path: Path) -> None:
    root = copy_checkout(tmp_path, python_for_everyone())
    user = hand_over(root)
    open_to_everyone(tmp_path)
    with Stack(tmp_path, root=root, command=("script/server",), user=user).started() as stack:
        pids = stack.tree()
        assert {os.stat(f"/proc/{pid}").st_uid for pid in pids} == {os.geteuid() if user is None else user}
        assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).status_code == 200
        assert stack.stop() == 0
        assert_nothing_left(stack, pids)


def test_every_layer_logs_text_where_that_is_wanted(private: Stack) -> None:
    requests.get(f"{private.url}/healthz?find=text", timeout=PATIENCE)
    until(lambda: "find=text" in private.output, "the proxy's line")
    assert [line for line in private.output.splitlines() if line.startswith("{")] == []
    [line] = [line for line in private.output.splitlines() if "find=text" in line]
    assert line.startswith("proxy | 127.0.0.1 - - [")
    if private.has_nginx:
        log = private.root.parent / "checkout/var/nginx-access.log"
        until(lambda: "find=text" in log.read_text(), "nginx's line")
        assert not log.read_text().startswith("{")


def test_the_state_folder_and_what_is_in_it_are_for_this_user_alone(private: Stack) -> None:
    requests.post(f"{private.url}/channels/secret", data="text", timeout=PATIENCE).raise_for_status()
    var = private.root.parent / "checkout" / "var"
    entries = [var, *var.rglob("*")]
    found = [path for path in entries if not path.is_symlink() and path.name != ".gitkeep"]
    files = {path.name for path in found if path.is_file()}
    assert {"stack.json", "proxy.toml", "channels.db", "channels.db-wal"} <= files
    if private.has_nginx:
        assert {"nginx.conf", "nginx-access.log", "nginx.pid"} <= files
    wrong = [
        f"{path.name} {path.stat().st_mode & 0o777:o}"
        for path in found
        if not path.is_socket() and path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    ]
    assert wrong == []


@needs_nginx
def test_nginx_serves_files_of_a_private_folder_and_as_root_says_how(private: Stack) -> None:
    assert ("nginx runs its workers as root" in private.output) == (os.geteuid() == 0)
    assert requests.get(f"{private.url}/static/here.txt", timeout=PATIENCE).text == "here\n"
    for path in (
        "heliograph.js",
        "console/lib/dom.js",
    ):  # by links, which lead out of the folder of static files
        answer = requests.get(f"{private.url}/static/{path}", timeout=PATIENCE)
        assert answer.content == (ROOT / "app/static" / path).read_bytes()


def test_it_runs_when_called_through_a_link_from_another_folder_and_installs_nothing(private: Stack) -> None:
    assert requests.get(f"{private.url}/healthz", timeout=PATIENCE).status_code == 200
    assert "Installing" not in private.output


@needs_nginx
def test_usr1_opens_nginxs_log_anew_and_no_request_fails(stack: Stack) -> None:
    log, old = stack.var / "nginx-access.log", stack.var / "nginx-access.log.old"
    requests.get(f"{stack.url}/healthz?before", timeout=PATIENCE)
    until(lambda: "?before" in log.read_text(), "the line before")
    log.rename(old)
    stack.send(signal.SIGUSR1)

    def written() -> bool:
        assert requests.get(f"{stack.url}/healthz?after", timeout=PATIENCE).status_code == 200
        return log.exists() and "?after" in log.read_text()

    until(written, "a line in the new log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert "?before" in old.read_text()
    for url in stack.instance_urls:
        assert requests.get(f"{url}/healthz", timeout=PATIENCE).status_code == 200
    assert "ended with" not in stack.output


@pytest.mark.slow
@pytest.mark.parametrize("name", ["proxy", "web1", pytest.param("nginx", marks=needs_nginx)])
def test_a_frozen_part_is_found_and_replaced_within_15_seconds(tmp_path: Path, name: str) -> None:
    with Stack(tmp_path).started() as stack:
        master = stack.pids()[name]
        frozen = [master] if name != "nginx" else descendants(master)
        begun = time.monotonic()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        stack.wait_for_output(f"{name} does not answer any more")
        assert time.monotonic() - begun < 15
        stack.wait_for_output(f"{name} answers again")
        assert requests.get(f"{stack.url}/healthz", timeout=PATIENCE).status_code == 200
        assert stack.stop() == 0
