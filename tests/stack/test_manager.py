"""The manager over small real processes: the order of stopping, restarts, parts that cannot start, a killed manager."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from proxy_tests.processes import (
    PYTHON,
    ROOT,
    Process,
    alive,
    answers,
    clean_environment,
    descendants,
    free_ports,
    until,
)

from heliograph.stack.ending import FIRST_WAIT, LONGEST_WAIT, STEADY, STOPPING, how_it_ended, next_wait

KINDS = {"web1": "instance", "web2": "instance", "proxy": "proxy", "nginx": "nginx"}


class Stack(Process):
    """A manager over stand-ins. All of them behave well except where a test says otherwise."""

    def __init__(self, folder: Path, **behaviours: str) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        self.ports = dict(zip(KINDS, free_ports(len(KINDS)), strict=True))
        description = folder / "stack.json"
        description.write_text(json.dumps({"log": str(self.notes), "stages": self._stages(behaviours)}))
        super().__init__([PYTHON, "-m", "tests.stack.standin_manager", str(description)], folder / "output")

    def _stages(self, behaviours: Mapping[str, str]) -> list[list[dict[str, str]]]:
        items = {
            name: {
                "name": name,
                "kind": kind,
                "port": str(self.ports[name]),
                "behaviour": behaviours.get(name, "good"),
                "patience": "1" if behaviours.get(name) == "mute" else "30",
            }
            for name, kind in KINDS.items()
        }
        return [[items["web1"], items["web2"]], [items["proxy"]], [items["nginx"]]]

    def __enter__(self) -> Stack:
        return self

    def started(self) -> Stack:
        self.wait_for_output("everything answers")
        return self

    def children(self) -> list[int]:
        return self.tree()[1:]

    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()

    def pid_of(self, name: str) -> int:
        for pid in self.children():
            if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        raise AssertionError(f"{name} does not run:\n{self.output}")


def assert_gone(pids: list[int]) -> None:
    left = [pid for pid in pids if alive(pid)]
    assert not left, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_instances_end_before_the_proxy_and_the_proxy_before_nginx(
    tmp_path: Path, signum: signal.Signals
) -> None:
    with Stack(tmp_path, web1="slow", proxy="slow", nginx="patient").started() as stack:
        pids = stack.tree()
        assert stack.stop(signum) == 0
        assert_gone(pids)
    order = stack.noted().index
    assert order("nginx SIGQUIT") < order("web1 ends")
    assert order("web1 ends") < order("proxy SIGTERM")
    assert order("web2 ends") < order("proxy SIGTERM")
    assert order("proxy ends") < order("nginx SIGTERM") < order("nginx ends")


def test_an_interrupt_of_the_whole_group_reaches_the_manager_alone(tmp_path: Path) -> None:
    with Stack(tmp_path, nginx="patient").started() as stack:
        os.killpg(stack.pid, signal.SIGINT)
        assert stack.wait() == 0
    signals = sorted({line for line in stack.noted() if "SIG" in line})
    assert signals == ["nginx SIGQUIT", "nginx SIGTERM", "proxy SIGTERM", "web1 SIGTERM", "web2 SIGTERM"]


@pytest.mark.parametrize("act", ["ctrl-c", "close"])
def test_a_terminals_ctrl_c_and_its_end_stop_everything(tmp_path: Path, act: str) -> None:
    description = tmp_path / "stack.json"
    Stack(tmp_path).stop()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        command = [PYTHON, "-m", "tests.stack.standin_manager", str(description)]
        os.execve(PYTHON, command, clean_environment())
    shown = b""
    while b"everything answers" not in shown:
        shown += os.read(terminal, 4096)
    children = descendants(pid)
    if act == "ctrl-c":
        os.write(terminal, b"\x03")
        _, status = os.waitpid(pid, 0)
    os.close(terminal)
    if act == "close":
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert_gone(children)


@pytest.mark.slow
def test_parts_that_do_not_listen_are_killed_in_time(tmp_path: Path) -> None:
    with Stack(tmp_path, web2="deaf", proxy="deaf", nginx="deaf").started() as stack:
        pids = stack.tree()
        begun = time.monotonic()
        assert stack.stop() == 0
        assert time.monotonic() - begun < 12
        assert_gone(pids)
    assert "took too long to end" in stack.output


def test_all_patience_together_is_less_than_what_is_promised() -> None:
    assert sum(step.patience for step in STOPPING) <= 11


def test_a_second_interrupt_kills_what_is_left(tmp_path: Path) -> None:
    with Stack(tmp_path, web2="deaf").started() as stack:
        pids = stack.tree()
        stack.send(signal.SIGINT)
        until(lambda: "web2 SIGTERM" in stack.noted(), "the first signal's effect")
        begun = time.monotonic()

        def ended() -> bool:  # again and again: one that follows at once counts as the same wish
            stack.send(signal.SIGINT)
            return not stack.running()

        until(ended, "the end of the manager")
        assert time.monotonic() - begun < 4
        assert_gone(pids)


def test_a_signal_that_a_wrapper_passes_on_as_well_is_one_wish(tmp_path: Path) -> None:
    with Stack(tmp_path, web1="slow").started() as stack:
        stack.send(signal.SIGINT)
        stack.send(signal.SIGTERM)  # two of the same kind might arrive as one
        assert stack.wait() == 0
    assert "web1 ends" in stack.noted()


def test_a_part_that_is_killed_comes_back_and_it_says_so(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as stack:
        before, others = stack.pid_of("web2"), [stack.pid_of(name) for name in ("web1", "proxy", "nginx")]
        os.kill(before, signal.SIGKILL)
        stack.wait_for_output(r"web2 was ended by SIGKILL; starting it again in 0\.5 s")
        stack.wait_for_output("web2 answers again")
        assert stack.pid_of("web2") != before
        assert [stack.pid_of(name) for name in ("web1", "proxy", "nginx")] == others


def test_a_part_that_was_told_to_end_is_wanted_back_at_once(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as stack:
        os.kill(stack.pid_of("web1"), signal.SIGTERM)
        stack.wait_for_output("web1 ended with status 0; starting it again at once")
        stack.wait_for_output("web1 answers again")


def test_workers_of_a_killed_master_do_not_keep_its_port(tmp_path: Path) -> None:
    with Stack(tmp_path, web1="master").started() as stack:
        master = stack.pid_of("web1")
        workers = [pid for pid in stack.children() if pid != master and os.getpgid(pid) == master]
        assert len(workers) == 1
        os.kill(master, signal.SIGKILL)
        stack.wait_for_output("web1 answers again")
        assert_gone(workers)


@pytest.mark.parametrize("name", ["web2", "proxy", "nginx"])
def test_a_part_that_cannot_start_ends_everything_with_status_1(tmp_path: Path, name: str) -> None:
    with Stack(tmp_path, **{name: "broken"}) as stack:
        assert stack.wait() == 1
        assert f"{name:<5} | this is why" in stack.output
        # An instance says by this status that another try would end alike.
        times = "" if name == "web2" else ", 2 times"
        assert (
            f"{name} cannot start: it ended with status 3{times}; its own lines above say why" in stack.output
        )
        assert "everything answers" not in stack.output
        assert not any(answers(port) for port in stack.ports.values())


def test_a_part_that_never_answers_cannot_start(tmp_path: Path) -> None:
    with Stack(tmp_path, proxy="mute") as stack:
        assert stack.wait() == 1
        where = f"http://127.0.0.1:{stack.ports['proxy']}/healthz"
        assert (
            f"proxy cannot start: GET {where} is not answered well after 1 s; the last time: " in stack.output
        )
        assert "Connect call failed" in stack.output


def test_a_strangers_answer_on_its_port_does_not_make_a_part_ready(tmp_path: Path) -> None:
    with (
        Stack(tmp_path, web1="mute") as stack,
        socket.create_server(("127.0.0.1", stack.ports["web1"])) as stranger,
    ):
        stranger.settimeout(10)
        connection, _ = stranger.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert stack.wait() == 1
    assert "web1 cannot start" in stack.output
    assert f"the last time: process {os.getpid()} answers there, which is not ours" in stack.output


def test_a_stop_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    with Stack(tmp_path, proxy="mute") as stack:
        until(lambda: "proxy begins" in stack.noted(), "the proxy")
        pids = stack.tree()
        assert stack.stop(signal.SIGINT) == 0
        assert_gone(pids)


def test_a_killed_manager_takes_everything_along(tmp_path: Path) -> None:
    with Stack(tmp_path, web1="slow").started() as stack:
        children = stack.children()
        assert len(children) == len(KINDS)
        stack.send(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in children), "the end of its children")


def test_the_wait_doubles_up_to_a_bound_and_begins_anew_after_a_steady_life() -> None:
    waits = [0.0]
    for _ in range(7):
        waits.append(next_wait(waits[-1], lived=1.0, in_order=False))
    assert waits[1:] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert next_wait(LONGEST_WAIT, lived=STEADY, in_order=False) == FIRST_WAIT
    assert next_wait(LONGEST_WAIT, lived=1.0, in_order=True) == 0


def test_endings_are_told_in_words() -> None:
    assert how_it_ended(3) == "ended with status 3"
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-250) == "was ended by signal 250"


def test_a_terminal_that_takes_nothing_does_not_hold_us_up(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    capacity = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    assert os.write(writer, b"x" * capacity) == capacity
    program = "from heliograph.stack.terminal import say; say('not read by anybody')"
    try:
        ended = subprocess.run([PYTHON, "-c", program], cwd=ROOT, stderr=writer, timeout=20, check=False)
    finally:
        os.close(reader)
        os.close(writer)
    assert ended.returncode == 0


@pytest.mark.parametrize("name", ["web1", "proxy"])
def test_a_part_that_stops_answering_is_replaced(tmp_path: Path, name: str) -> None:
    with Stack(tmp_path).started() as stack:
        before = stack.pid_of(name)
        os.kill(before, signal.SIGSTOP)
        stack.wait_for_output(rf"{name} does not answer any more \(.*\); it is killed\n")
        stack.wait_for_output(rf"{name} answers again")
        assert stack.pid_of(name) != before
        assert "answer any more" not in stack.output.replace(f"{name} does not answer any more", "")
        assert stack.stop() == 0


def test_a_stopped_worker_is_seen_even_where_others_answer(tmp_path: Path) -> None:
    with Stack(tmp_path, nginx="pair").started() as stack:
        master = stack.pid_of("nginx")
        idle = next(pid for pid in descendants(master) if pid != master)
        os.kill(idle, signal.SIGSTOP)
        stack.wait_for_output(rf"nginx does not answer any more \(process {idle} is stopped\)")
        stack.wait_for_output("nginx answers again")
        assert stack.stop() == 0


def test_a_part_that_closes_its_listener_and_stays_is_replaced(tmp_path: Path) -> None:
    with Stack(tmp_path, proxy="closing").started() as stack:
        os.kill(stack.pid_of("proxy"), signal.SIGHUP)
        stack.wait_for_output(r"proxy does not answer any more \(.*Connect call failed.*\); it is killed")
        stack.wait_for_output("proxy answers again")
        assert stack.stop() == 0


def test_usr1_reaches_every_part_and_the_others_are_ignored_with_a_line(tmp_path: Path) -> None:
    with Stack(tmp_path).started() as stack:
        stack.send(signal.SIGUSR1)
        until(lambda: sum("SIGUSR1" in line for line in stack.noted()) == len(KINDS), "USR1 at all parts")
        for number in (signal.SIGTTOU, signal.SIGUSR2, signal.SIGHUP, signal.SIGTTIN, signal.SIGWINCH):
            stack.send(number)
        for name in ("SIGUSR2", "SIGHUP", "SIGTTIN", "SIGWINCH"):
            stack.wait_for_output(f"{name}: ignored")
        assert not [line for line in stack.noted() if "SIGHUP" in line]
        assert stack.stop() == 0
