"""USR2: a proxy is replaced by its successor under clients that try nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import pytest
from heliograph_proxy.framebounds import CLOSE_FRAME
from heliograph_proxy.generations import Channel
from heliograph_proxy.handover import VARIABLE

from proxy_tests.activation import listener, start
from proxy_tests.backends import CLOSE, Backend, Peer, Received, handshake, websocket_echo
from proxy_tests.conftest import Client, until
from proxy_tests.processes import PYTHON, Process, alive
from proxy_tests.test_main import Running, command_beside
from proxy_tests.test_tunnel import upgrade

DRAIN = "[timeouts]\ndrain = {}\n"

#: Becomes the command that follows it, to whom the kernel does not tell how its children ended.
IGNORING = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""

#: The proxy as a program of a release.
PROGRAM = """
import os, sys
from heliograph_proxy.__main__ import main
print("started in", os.path.dirname(__file__), "by", sys.executable, flush=True)
sys.exit(main())
"""


def events_of(proxy: Running, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in proxy.process.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def generations(proxy: Running) -> list[int]:
    """The processes of a proxy, the first one first."""
    return [proxy.process.pid, *(event["successor"] for event in events_of(proxy, "handover-done"))]


def replace(proxy: Running) -> int:
    """Replace the newest process; the successor's id."""
    before = generations(proxy)
    os.kill(before[-1], signal.SIGUSR2)
    until(lambda: len(generations(proxy)) > len(before), "the successor")
    return generations(proxy)[-1]


@contextmanager
def replaceable(folder: Path, backend: Backend, extra: str = "", **more: Any) -> Iterator[Running]:
    proxy = Running(folder, backend, extra, **more)
    try:
        yield proxy.ready()
    finally:
        for pid in {*proxy.process.tree(), *generations(proxy)}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        proxy.process.wait()


def shown(proxy: Running) -> list[tuple[object, object, object]]:
    return [(row["generation"], row["tunnels"], row["weight"]) for row in proxy.status()["backends"]]


def text_frame(text: bytes) -> bytes:
    return b"\x81" + bytes([len(text)]) + text


class Asking:
    """Constant requests without a second try, over fresh and over kept connections."""

    def __init__(self, proxy: Running) -> None:
        self.proxy = proxy
        self.done = 0
        self.failed: list[str] = []
        self._stop = False
        self._greenlets = [gevent.spawn(self._run, kept) for kept in (False, False, True, True)]

    def _run(self, kept: bool) -> None:
        client: Client | None = None
        while not self._stop:
            try:
                client = client or self.proxy.client()
                answer = client.ask(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                assert answer.status == 200
                self.done += 1
                if not kept or answer.field("Connection") == "close":
                    client.sock.close()
                    client = None
            except Exception as exc:
                self.failed.append(repr(exc))
                client = None
            gevent.sleep(0.001)

    def stop(self) -> None:
        self._stop = True
        gevent.joinall(self._greenlets)


def test_rounds_of_successors_fail_no_request_and_keep_tunnels_and_streams(
    tmp_path: Path, backend: Backend
) -> None:
    goes_on = gevent.event.Event()

    def answer(peer: Peer, request: Received) -> Any:
        if request.line.split()[1] == b"/ws":
            return websocket_echo(peer, request)
        if request.line.split()[1] == b"/stream":
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            goes_on.wait()
            peer.send(b"data: 2\n\n")
            return CLOSE
        peer.answer(b"well")
        return None

    backend.script = answer
    with (
        replaceable(tmp_path, backend, DRAIN.format(60)) as proxy,
        proxy.client() as websocket,
        proxy.client() as stream,
    ):
        assert websocket.ask(upgrade()).status == 101
        stream.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
        stream.read_until(b"data: 1\n\n")
        assert command_beside("maint", "b1", "-c", str(proxy.file)).returncode == 0
        assert command_beside("ready", "b1", "-c", str(proxy.file)).returncode == 0
        assert command_beside("weight", "b1", "7", "-c", str(proxy.file)).returncode == 0
        asking = Asking(proxy)
        until(lambda: asking.done > 50, "requests")
        for _ in range(3):
            before = asking.done
            replace(proxy)
            until(lambda before=before: asking.done > before + 50, "requests of the successor")  # type: ignore[misc]
        asking.stop()
        assert asking.failed == []
        # The first generation has the tunnel and the stream, and the newest one tells of it.
        websocket.send(text_frame(b"still"))
        assert websocket.read(7) == text_frame(b"still")
        until(lambda: shown(proxy) == [(4, 0, 7), (1, 2, 7)], "the tunnel and the stream in the status")
        table = command_beside("status", "-c", str(proxy.file)).stdout.splitlines()
        assert [line.split()[-1] for line in table[1:]] == ["generation", "4", "1"]
        with Client(proxy.admin) as page:
            page.send(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            page.read_until(b"event: now\ndata: ")
            now = json.loads(page.read_until(b"\n"))
        assert (now["generation"], len(now["backends"])) == (4, 1)
        assert [(one["pid"], one["tunnels"]) for one in now["older"]] == [(proxy.process.pid, 2)]
        with Client(proxy.admin) as scraper:
            text = scraper.ask(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body.decode()
        assert 'heliograph_proxy_generation_tunnels{generation="4"} 0.0' in text
        assert 'heliograph_proxy_generation_tunnels{generation="1"} 2.0' in text
        assert 'heliograph_proxy_generation_connections{generation="1"} 2.0' in text
        goes_on.set()
        assert stream.read_until(b"data: 2\n\n")
        websocket.sock.close()
        until(lambda: not proxy.process.running(), "the first process to end")
        assert proxy.process.wait() == 0
        until(lambda: shown(proxy) == [(4, 0, 7)], "no more generation before")


def test_when_the_time_to_drain_is_over_websockets_get_a_close_frame_one_after_the_other(
    tmp_path: Path, backend: Backend
) -> None:
    got: list[bytes] = []

    def answer(peer: Peer, request: Received) -> Any:
        peer.send(handshake(request))
        if len(backend.requests) == 1:
            # The first is in the middle of a frame until it is told to end it.
            peer.send(b"\x81\x04ha")
            rest.wait()
            peer.send(b"lf" + text_frame(b"never seen"))
        else:
            peer.send(text_frame(b"whole"))
        data = peer.sock.recv(100)
        got.append(data)
        return CLOSE

    rest = gevent.event.Event()
    backend.script = answer
    with replaceable(tmp_path, backend, DRAIN.format(0.5)) as proxy, proxy.client() as cut:
        assert cut.ask(upgrade()).status == 101
        cut.read_until(b"ha")
        clients = [proxy.client() for _ in range(3)]
        for client in clients:
            assert client.ask(upgrade()).status == 101
            assert client.read(7) == text_frame(b"whole")
        replace(proxy)
        until(lambda: events_of(proxy, "drain-ended"), "the end of the drain")
        rest.set()
        assert cut.read(2) == b"lf"
        for client in (cut, *clients):
            assert client.read(4) == CLOSE_FRAME
            last = datetime.now(UTC)
            client.send(b"\x88\x82\0\0\0\0\x03\xf4")
            assert client.ended()
        # Three quarters of 10 s. The line came before the first one, and the last one before it was read.
        begun = datetime.fromisoformat(events_of(proxy, "drain-ended")[0]["time"])
        assert (last - begun).total_seconds() > 7
        assert got == [b"\x88\x82\0\0\0\0\x03\xf4"] * 4
        until(lambda: not proxy.process.running(), "the old process to end")
        assert proxy.process.wait() == 0


def test_a_successor_that_fails_changes_nothing_and_is_told_in_one_line(
    tmp_path: Path, backend: Backend
) -> None:
    with replaceable(tmp_path, backend) as proxy:
        good = proxy.file.read_text()
        asking = Asking(proxy)
        for bad, said in (
            ("[unknown]\n", "unknown: is not a key"),
            (f'[log]\naccess = "{tmp_path}/no/where"\n', "cannot be written"),
        ):
            proxy.file.write_text(good.split("[log]")[0] + bad)
            count = len(events_of(proxy, "handover-failed"))
            proxy.process.send(signal.SIGUSR2)
            until(lambda count=count: len(events_of(proxy, "handover-failed")) > count, "the line")  # type: ignore[misc]
            line = events_of(proxy, "handover-failed")[-1]
            assert said in line["reason"], line
            assert line["status"] == 1
            until(lambda line=line: not alive(line["successor"]), "its end")  # type: ignore[misc]
        proxy.file.write_text(good)
        # The next try, and a second signal during it, give one successor.
        proxy.process.send(signal.SIGUSR2)
        until(lambda: len(events_of(proxy, "handover-begun")) == 3, "the third try")
        proxy.process.send(signal.SIGUSR2)
        until(lambda: events_of(proxy, "handover-ignored"), "the second signal")
        until(lambda: events_of(proxy, "handover-done"), "the successor")
        until(lambda: not proxy.process.running(), "the old process to end")
        done = asking.done
        until(lambda: asking.done > done + 20, "requests of the successor")
        asking.stop()
        assert asking.failed == []
        assert len(events_of(proxy, "handover-begun")) == 3
        newest = generations(proxy)[-1]
        os.kill(newest, signal.SIGTERM)
        until(lambda: not alive(newest), "the end")
        with pytest.raises(ConnectionRefusedError):
            proxy.client()


def test_a_parent_that_ignores_its_children_changes_nothing_of_a_failure(
    tmp_path: Path, backend: Backend
) -> None:
    with replaceable(tmp_path, backend, launcher=[PYTHON, "-S", "-c", IGNORING]) as proxy:
        good = proxy.file.read_text()
        proxy.file.write_text(f"unknown = 1\n{good}")
        proxy.process.send(signal.SIGUSR2)
        until(lambda: events_of(proxy, "handover-failed") or not proxy.process.running(), "the line")
        assert "unknown: is not a key" in events_of(proxy, "handover-failed")[0]["reason"]
        proxy.file.write_text(good)
        replace(proxy)
        assert proxy.get() == 200


def test_a_successor_that_is_told_too_late_accepts_nothing(tmp_path: Path, backend: Backend) -> None:
    """The test is its predecessor."""
    with replaceable(tmp_path, backend) as stopped:
        stopped.process.send(signal.SIGKILL)
    ours, theirs = socket.socketpair()
    told = {"generation": 2, "channel": 4, "pid": os.getpid(), "older": [], "owned": [3]}
    with (
        theirs,
        listener(stopped.port) as listening,
        socket.create_connection(("127.0.0.1", stopped.port)),
    ):
        channel = Channel(ours.detach())
        channel.send({"backends": []})
        channel.refuse()
        command = [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(stopped.file)]
        late = start(
            command, [listening], "listen", tmp_path / "late", {VARIABLE: json.dumps(told)}, untold=[theirs]
        )
        until(lambda: late.poll() is not None, "its end")
        assert late.returncode == 1
        assert f"process {os.getpid()} goes on without this one" in (tmp_path / "late").read_text()
        listening.setblocking(False)
        listening.accept()[0].close()  # the client still waits for who accepts it
        channel.close()


def test_an_answer_that_comes_before_the_end_of_patience_counts() -> None:
    ours, theirs = socket.socketpair()
    predecessor, successor = Channel(ours.detach()), Channel(theirs.detach())
    assert successor.send({"ready": 1})
    predecessor.refuse()
    assert not successor.send({"ready": 2})
    assert list(predecessor.messages()) == [{"ready": 1}]
    predecessor.close()
    successor.close()


def test_a_stop_during_the_handover_ends_both(tmp_path: Path, backend: Backend) -> None:
    path = tmp_path / "proxy.sock"
    with replaceable(tmp_path, backend, listen=f"unix:{path}") as proxy:
        newest = replace(proxy)
        assert path.exists()
        until(lambda: not proxy.process.running(), "the old process to end")
        # The next successor waits for what it is to read.
        proxy.file.unlink()
        os.mkfifo(proxy.file)
        os.kill(newest, signal.SIGUSR2)
        until(lambda: len(events_of(proxy, "handover-begun")) == 2, "the second handover")
        os.kill(newest, signal.SIGTERM)
        last = events_of(proxy, "handover-begun")[-1]["successor"]
        until(lambda: not alive(newest) and not alive(last), "both to end")
        # What the first generation has bound, the last one removes.
        assert not path.exists()


def test_systemd_is_told_of_each_step(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gevent.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with replaceable(tmp_path, backend) as proxy:
            assert notified.recv(1000) == b"READY=1"
            proxy.process.send(signal.SIGHUP)
            assert notified.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert notified.recv(1000) == b"READY=1"
            newest = replace(proxy)
            assert {notified.recv(1000), notified.recv(1000)} == {f"MAINPID={newest}".encode(), b"READY=1"}
            until(lambda: not proxy.process.running(), "the old process to end")
            os.kill(newest, signal.SIGTERM)
            # Nothing of the old one, which is not the service any more.
            assert notified.recv(1000) == b"STOPPING=1"


def test_a_link_leads_to_a_new_release(tmp_path: Path, backend: Backend) -> None:
    current = tmp_path / "current"
    releases = [tmp_path / "one", tmp_path / "two"]
    for release in releases:
        release.mkdir()
        (release / "venv").symlink_to(Path(PYTHON).parent.parent)
        (release / "program.py").write_text(PROGRAM)
    current.symlink_to("one")
    with replaceable(tmp_path, backend) as proxy:
        proxy.process.stop()
        command = ["venv/bin/python", "-m", "program", "run", "-c", str(proxy.file)]
        proxy.process = Process(command, tmp_path / "out", {"PWD": str(current)}, current)
        proxy.ready()
        current.unlink()
        current.symlink_to("two")
        newest = replace(proxy)
        started = [line for line in proxy.process.output.splitlines() if line.startswith("started ")]
        assert started == [f"started in {one} by {one}/venv/bin/python" for one in releases]
        os.kill(newest, signal.SIGTERM)
        until(lambda: not alive(newest), "the end")


def test_a_folder_that_is_gone_is_no_obstacle(tmp_path: Path, backend: Backend) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    leaving = ["sh", "-c", f'cd {gone} && rmdir {gone} && exec "$@"', "sh"]
    with replaceable(tmp_path, backend, launcher=leaving) as proxy:
        replace(proxy)
        assert proxy.get() == 200


def test_process_1_is_not_replaced(tmp_path: Path, backend: Backend) -> None:
    own = ("unshare", "--map-root-user", "--pid", "--fork", "--kill-child")
    if not shutil.which("unshare") or subprocess.run([*own, "true"], check=False).returncode:
        pytest.skip("no process 1 of its own can be made here")
    with replaceable(tmp_path, backend, launcher=own) as proxy:
        (first,) = set(proxy.process.tree()) - {proxy.process.pid}
        os.kill(first, signal.SIGUSR2)
        until(lambda: events_of(proxy, "signal-ignored") or not proxy.process.running(), "the line")
        assert "this is process 1" in events_of(proxy, "signal-ignored")[0]["reason"]
        assert proxy.get() == 200


def test_under_a_manager_the_signal_is_refused_with_a_line(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The state folder of the stack, with the file that its manager has rendered.
    monkeypatch.setattr(
        "proxy_tests.processes.clean_environment", lambda _: {**os.environ, "HELIOGRAPH_STATE": str(tmp_path)}
    )
    with replaceable(tmp_path, backend) as proxy:
        proxy.process.send(signal.SIGUSR2)
        until(lambda: events_of(proxy, "signal-ignored"), "the line")
        assert "the manager of the stack replaces" in events_of(proxy, "signal-ignored")[0]["reason"]
        assert proxy.get() == 200
