"""What `heliograph run` tells systemd, by the datagrams that reach a notify socket."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_tests.processes import PATIENCE, PYTHON

from heliograph.stack.notify import service_manager
from tests.stack.running import Stack

#: Of the watchdog, in seconds. The manager tells at least once in half of it.
PERIOD = 1.0

HELLO = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []
"""


@pytest.fixture
def notify() -> Iterator[socket.socket]:
    """In a folder of its own with a short name, as paths of sockets have at most 107 bytes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        listener.bind(os.path.join(folder, "notify"))
        yield listener


def next_message(listener: socket.socket, patience: float = PATIENCE) -> str:
    listener.settimeout(patience)
    return listener.recv(4096).decode()


def first_other(listener: socket.socket) -> str:
    """The next message that is not the watchdog's."""
    while (message := next_message(listener)) == "WATCHDOG=1":
        pass
    return message


def drain(listener: socket.socket) -> None:
    listener.setblocking(False)
    while True:
        try:
            listener.recv(4096)
        except BlockingIOError:
            return


def test_systemd_is_told_of_the_start_the_end_and_a_manager_that_works(
    tmp_path: Path, notify: socket.socket
) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    settings = {
        "NOTIFY_SOCKET": notify.getsockname(),
        "WATCHDOG_USEC": str(int(PERIOD * 1e6)),
        "HELIOGRAPH_NGINX": "0",
    }
    command = (PYTHON, "-m", "heliograph.cli", "run", "hello:application")
    with Stack(tmp_path, settings, command=command, root=tmp_path) as stack:
        assert next_message(notify) == "WATCHDOG=1"  # before anything answers
        assert first_other(notify) == "READY=1"
        assert "serving hello:application" in stack.output
        for pid in stack.pids().values():  # whoever else told systemd would be taken for the service
            assert notify.getsockname().encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert next_message(notify, PERIOD * 5) == "WATCHDOG=1"

        stack.send(signal.SIGSTOP)  # what stands still tells nothing
        os.waitid(os.P_PID, stack.pid, os.WSTOPPED)
        drain(notify)
        with pytest.raises(TimeoutError):
            next_message(notify, PERIOD * 2)
        stack.send(signal.SIGCONT)
        assert next_message(notify) == "WATCHDOG=1"

        stack.send(signal.SIGTERM)
        assert first_other(notify) == "STOPPING=1"
        assert stack.wait() == 0


def test_what_is_meant_for_another_process_or_reaches_nobody_is_left_out(notify: socket.socket) -> None:
    variables = {"NOTIFY_SOCKET": notify.getsockname(), "WATCHDOG_USEC": "2000000"}
    assert service_manager({**variables, "WATCHDOG_PID": str(os.getpid())}).watchdog == 2.0
    assert service_manager({**variables, "WATCHDOG_PID": "1"}).watchdog == 0.0
    service_manager({}).ready()
    os.unlink(notify.getsockname())
    service_manager(variables).ready()  # fails silently


def test_the_socket_may_have_an_abstract_name() -> None:
    name = f"heliograph-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        service_manager({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert next_message(listener) == "READY=1"
