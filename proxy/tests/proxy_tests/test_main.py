"""The command line and the process: started, signalled and looked at from outside."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest

from proxy_tests.backends import Backend, Peer, Received, websocket_echo
from proxy_tests.conftest import TRACEBACK, Client, until
from proxy_tests.processes import PYTHON, ROOT, Process, free_ports
from proxy_tests.test_tunnel import upgrade


def wait(process: Process) -> int:
    """Its exit status; the backends of the test go on meanwhile."""
    until(lambda: not process.running(), "the process to end")
    return process.wait()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, "-m", "heliograph_proxy", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def command_beside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in a native thread, so that backends can answer meanwhile."""
    result: subprocess.CompletedProcess[str] = gevent.get_hub().threadpool.apply(command, arguments)
    return result


class Running:
    """A proxy as a process."""

    def __init__(
        self,
        directory: Path,
        backend: Backend,
        extra: str = "",
        listen: str = "",
        descriptors: int = 0,
        launcher: Sequence[str] = (),
    ) -> None:
        self.port, self.admin = free_ports(2)
        self.file = directory / "proxy.toml"
        self.log = directory / "access.log"
        self.file.write_text(
            f'listen = "{listen or f"127.0.0.1:{self.port}"}"\nadmin = "127.0.0.1:{self.admin}"\n'
            f'[[backend]]\nname = "b1"\naddress = "127.0.0.1:{backend.port}"\n[log]\naccess = "{self.log}"\n{extra}\n'
        )
        limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
        self.process = Process(
            [*limited, *launcher, PYTHON, "-m", "heliograph_proxy", "run", "-c", str(self.file)],
            directory / "out",
        )

    def ready(self) -> Running:
        until(
            lambda: "listening on" in self.process.output or not self.process.running(), "the proxy to listen"
        )
        assert self.process.running(), self.process.output
        until(lambda: self.status()["backends"][0]["last_check"], "the first check")
        return self

    def client(self) -> Client:
        return Client(self.port)

    def get(self, target: str = "/") -> int:
        with self.client() as client:
            return client.ask(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode()).status

    def status(self) -> dict[str, list[dict[str, object]]]:
        with Client(self.admin) as client:
            return dict(json.loads(client.ask(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n").body))


@contextmanager
def running(
    directory: Path, backend: Backend, extra: str = "", listen: str = "", descriptors: int = 0
) -> Iterator[Running]:
    one = Running(directory, backend, extra, listen, descriptors)
    try:
        yield one.ready()
    finally:
        if one.process.running():
            one.process.send(signal.SIGKILL)
        wait(one.process)
    assert TRACEBACK not in one.process.output.lower(), one.process.output


def test_check_says_yes_or_what_is_wrong(tmp_path: Path) -> None:
    good = command("check", "-c", "conf/proxy.toml")
    assert (good.returncode, good.stderr) == (0, "")
    file = tmp_path / "bad.toml"
    file.write_text('listen = "nowhere"\n')
    bad = command("check", "-c", str(file))
    assert bad.returncode == 1
    assert bad.stderr.count("\n") == 2
    assert all(part in bad.stderr for part in (str(file), "listen", "host:port", "at least one [[backend]]"))


def test_a_taken_port_is_named_and_the_start_fails(tmp_path: Path, backend: Backend) -> None:
    one = Running(tmp_path, backend, listen=f"127.0.0.1:{backend.port}")
    assert wait(one.process) == 1
    assert one.process.output.splitlines() == [
        f"proxy: 127.0.0.1:{backend.port}: cannot be listened on: Address already in use"
    ]


def test_a_log_that_cannot_be_written_stops_the_start(tmp_path: Path, backend: Backend) -> None:
    one = Running(tmp_path, backend)
    wrong = one.file.read_text().replace(str(one.log), "/nowhere/at/all")
    one.file.write_text(wrong)
    result = command("run", "-c", str(one.file))
    one.process.send(signal.SIGKILL)
    wait(one.process)
    assert (result.returncode, "/nowhere/at/all" in result.stderr, result.stderr.count("\n")) == (1, True, 1)


def test_it_raises_its_descriptor_limit_and_says_its_limits(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        soft, hard = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        assert soft == hard
        assert f"{hard} descriptors, 20000 connections" in proxy.process.output.splitlines()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_is_in_flight_finish(tmp_path: Path, backend: Backend, number: int) -> None:
    def slow(peer: Peer, request: Received) -> None:
        gevent.sleep(0.3)
        peer.answer(b"finished")

    backend.script = slow
    with running(tmp_path, backend) as proxy, proxy.client() as client, proxy.client() as idle:
        client.send(b"GET /last HTTP/1.1\r\nHost: test\r\n\r\n")
        until(lambda: backend.requests, "the request in flight")
        proxy.process.send(number)
        assert idle.ended()
        answer = client.response()
        assert (answer.body, answer.field("Connection")) == (b"finished", "close")
        assert wait(proxy.process) == 0
        with pytest.raises(ConnectionRefusedError):
            proxy.client()
        assert json.loads(proxy.log.read_text())["target"] == "/last"


def test_tunnels_are_relayed_until_the_time_to_drain_is_over(tmp_path: Path, backend: Backend) -> None:
    backend.script = websocket_echo
    with running(tmp_path, backend, "[timeouts]\ndrain = 0.5") as proxy, proxy.client() as client:
        assert client.ask(upgrade()).status == 101
        proxy.process.send(signal.SIGTERM)
        gevent.sleep(0.2)
        client.send(b"still")
        assert client.read(5) == b"still"
        assert client.ended()
        assert wait(proxy.process) == 0


def test_a_second_signal_ends_it_at_once(tmp_path: Path, backend: Backend) -> None:
    backend.script = websocket_echo
    with running(tmp_path, backend) as proxy, proxy.client() as client:
        assert client.ask(upgrade()).status == 101
        proxy.process.send(signal.SIGTERM)
        until(lambda: "stopping" in proxy.process.output, "the stop to begin")
        proxy.process.send(signal.SIGTERM)
        assert wait(proxy.process) == 1


def test_a_unix_socket_is_served_and_removed(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "proxy.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with running(tmp_path, backend, listen=f"unix:{path}") as proxy:
        with gevent.socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert backend.requests[-1].field("X-Forwarded-For") == ["unix"]
        proxy.process.send(signal.SIGTERM)
        assert wait(proxy.process) == 0
    assert not path.exists()


def test_the_command_line_talks_to_a_running_proxy(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        for arguments, text in (
            (("status",), "b1"),
            (("drain", "b1"), "b1: drain"),
            (("maint", "b1"), "b1: maint"),
            (("weight", "b1", "5"), "weight 5"),
            (("ready", "b1"), "b1: ready, weight 5"),
            (("add", "b2", "127.0.0.1:9", "--weight", "2"), "b2: ready, weight 2"),
            (("status",), "127.0.0.1:9 "),
            (("remove", "b2"), "b2: removed"),
            (("reload",), "b1"),
        ):
            result = command_beside(*arguments, "-c", str(proxy.file))
            assert (result.returncode, result.stderr) == (0, "")
            assert text in result.stdout
        result = command_beside("drain", "b9", "-c", str(proxy.file))
        assert (result.returncode, result.stderr) == (1, 'proxy: there is no backend "b9"\n')
        result = command_beside("add", "b1", "127.0.0.1:9", "-c", str(proxy.file))
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    result = command("status", "-c", str(proxy.file))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)


def test_the_command_line_answers_in_json(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        for arguments, key, value in (
            (("status",), "strategy", "least_time"),
            (("drain", "b1"), "state", "drain"),
            (("weight", "b1", "5"), "weight", 5),
            (("add", "b2", "127.0.0.1:9"), "address", "127.0.0.1:9"),
            (("remove", "b2"), "removed", True),
            (("reload",), "strategy", "least_time"),
            (("check",), "errors", []),
        ):
            result = command_beside(*arguments, "--json", "-c", str(proxy.file))
            assert (result.returncode, result.stderr) == (0, "")
            assert json.loads(result.stdout)[key] == value


def test_check_lists_errors_and_warnings_in_json(tmp_path: Path) -> None:
    file = tmp_path / "proxy.toml"
    file.write_text('[[backend]]\nname = "b1"\naddress = "127.0.0.1:1"\nweight = -1\n[health]\ntimeout = 9\n')
    result = command("check", "--json", "-c", str(file))
    assert (result.returncode, result.stderr) == (1, "")
    found = json.loads(result.stdout)
    assert found["errors"] == [{"key": "backend[1].weight", "text": "must be a whole number from 0 to 1000"}]
    assert [one["key"] for one in found["warnings"]] == ["health.timeout"]


def test_sighup_reads_the_file_again_and_a_bad_file_changes_nothing(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        good = proxy.file.read_text()
        proxy.file.write_text(good.replace("b1", "renamed"))
        proxy.process.send(signal.SIGHUP)
        until(lambda: proxy.status()["backends"][0]["name"] == "renamed", "the new configuration")
        proxy.file.write_text(good + "[unknown]\n")
        proxy.process.send(signal.SIGHUP)
        until(lambda: "reload-failed" in proxy.process.output, "the error in the log")
        assert proxy.status()["backends"][0]["name"] == "renamed"
        assert proxy.get() == 200


def test_a_log_that_was_rotated_is_opened_anew(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        assert proxy.get("/before") == 200
        until(lambda: proxy.log.exists() and proxy.log.read_text(), "the first line")
        proxy.log.rename(tmp_path / "old.log")
        proxy.process.send(signal.SIGHUP)
        until(proxy.log.exists, "the new file")
        assert proxy.get("/after") == 200
        until(proxy.log.read_text, "the second line")
        assert "/after" in proxy.log.read_text()


def test_memory_stays_flat_while_a_large_body_passes(tmp_path: Path, backend: Backend) -> None:
    size = 200_000_000

    def large(peer: Peer, request: Received) -> None:
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 1_000_000):
            peer.send(bytes(1_000_000))

    backend.script = large
    with running(tmp_path, backend) as proxy, proxy.client() as client:
        before = resident(proxy.process.pid)
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        left = size - len(client.buffer)
        client.buffer = b""
        while left:
            left -= len(client.sock.recv(1_000_000))
        assert resident(proxy.process.pid) - before < 16_000_000


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_usr1_opens_the_log_anew_and_loses_no_line(tmp_path: Path, backend: Backend) -> None:
    old = tmp_path / "access.log.1"
    with running(tmp_path, backend) as proxy:
        assert proxy.get("/before") == 200
        proxy.log.rename(old)
        proxy.process.send(signal.SIGUSR1)
        until(proxy.log.exists, "the new log")
        assert proxy.get("/after") == 200
        until(lambda: "/after" in proxy.log.read_text(), "the line in the new log")
        assert [json.loads(line)["target"] for line in old.read_text().splitlines()] == ["/before"]
        assert proxy.log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file(tmp_path: Path, backend: Backend) -> None:
    old = tmp_path / "access.log.1"
    with running(tmp_path, backend) as proxy:
        proxy.log.rename(old)
        proxy.log.mkdir()
        proxy.process.send(signal.SIGUSR1)
        until(lambda: "reopen-failed" in proxy.process.output, "the line that says so")
        assert proxy.get("/after") == 200
        until(lambda: "/after" in old.read_text(), "the line in the old log")


def test_signals_without_a_meaning_are_ignored_with_a_line(tmp_path: Path, backend: Backend) -> None:
    with running(tmp_path, backend) as proxy:
        wanted = {signal.SIGTTIN, signal.SIGWINCH, signal.SIGALRM}
        for number in (signal.SIGTTOU, *wanted):
            proxy.process.send(number)
        until(lambda: proxy.process.output.count("signal-ignored") == len(wanted), "a line about each")
        assert all(f'"{number.name}"' in proxy.process.output for number in wanted)
        assert proxy.get() == 200
