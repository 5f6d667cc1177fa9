"""Sockets that a proxy is started with: whose they are, which it takes, and that it leaves them as they were."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from heliograph_proxy.inherited import InheritedSocket, InheritedSockets, from_environment
from heliograph_proxy.values import Address

from proxy_tests import activation
from proxy_tests.processes import PYTHON, free_ports, until


def configuration(folder: Path, listen: str, admin: int) -> list[str]:
    file = folder / "proxy.toml"
    file.write_text(
        f'listen = {listen}\nadmin = "127.0.0.1:{admin}"\n[log]\naccess = ""\n'
        f'[[backend]]\nname = "b1"\naddress = "127.0.0.1:9"\n'
    )
    return [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(file)]


def answer(family: int, address: object) -> bytes:
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(address)  # type: ignore[arg-type]
        client.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(65536)


@contextmanager
def ended(process: object) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()  # type: ignore[attr-defined]
        process.wait()  # type: ignore[attr-defined]


def test_it_serves_on_the_sockets_it_is_started_with_and_a_killed_one_refuses_nobody(tmp_path: Path) -> None:
    tcp, admin = free_ports(2)
    path = tmp_path / "proxy.sock"
    with ExitStack() as stack:
        first = stack.enter_context(activation.listener(tcp))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(path))
        unix.listen()
        third = stack.enter_context(activation.listener(admin))
        command = configuration(tmp_path, f'["127.0.0.1:{tcp}", "unix:{path}"]', admin)
        sockets, names, log = [third, first, unix], "admin:listen:listen", tmp_path / "log"
        # Nothing listens yet, but a client can already connect.
        early = stack.enter_context(socket.create_connection(("127.0.0.1", tcp), 30))
        early.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        process = activation.start(command, sockets, names, log)
        with ended(process):
            assert early.recv(65536).startswith(b"HTTP/1.1 50"), log.read_text()
            assert answer(socket.AF_UNIX, str(path)).startswith(b"HTTP/1.1 50")
            assert answer(socket.AF_INET, ("127.0.0.1", admin)).startswith(b"HTTP/1.1 200")
            process.send_signal(signal.SIGKILL)
            process.wait()
        waiting = stack.enter_context(socket.create_connection(("127.0.0.1", tcp), 30))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        process = activation.start(command, sockets, names, log)
        with ended(process):
            assert waiting.recv(65536).startswith(b"HTTP/1.1 50"), log.read_text()
            process.terminate()
            assert process.wait(30) == 0
        # Closed in the process alone.
        assert path.exists()
        socket.create_connection(("127.0.0.1", tcp), 30).close()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            "listen:admin",
            'LISTEN_FDS: descriptor 3 ("listen") on 127.0.0.1:{other} fits no address of the configuration: '
            "admin 127.0.0.1:{admin}, listen 127.0.0.1:{port}",
        ),
        ("listen", "LISTEN_FDNAMES: has 1 names for 2 descriptors"),
    ],
)
def test_a_socket_that_does_not_fit_stops_the_start_with_one_line(
    tmp_path: Path, names: str, said: str
) -> None:
    port, admin, other = free_ports(3)
    command = configuration(tmp_path, f'"127.0.0.1:{port}"', admin)
    log = tmp_path / "log"
    with activation.listener(other) as wrong, activation.listener(admin) as right:
        process = activation.start(command, [wrong, right], names, log)
        with ended(process):
            assert process.wait(30) == 1
    assert log.read_text() == f"proxy: {said.format(port=port, admin=admin, other=other)}\n"


def test_what_is_for_another_process_is_left_alone_and_forgotten() -> None:
    told = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDNAMES": "listen", "OTHER": "1"}
    from_environment(told).check_all_taken()
    assert told == {"OTHER": "1"}


def test_what_an_earlier_generation_has_bound_for_an_older_configuration_is_closed() -> None:
    with activation.listener() as bound:
        copy = os.dup(bound.fileno())
        sockets = InheritedSockets([InheritedSocket(copy, "listen", socket.socket(fileno=copy), owned=True)])
        assert sockets.take("listen", Address("127.0.0.1", 1)) is None
        sockets.check_all_taken()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(copy)


def test_a_descriptor_that_is_no_listening_socket_is_named(tmp_path: Path) -> None:
    port, admin = free_ports(2)
    command = configuration(tmp_path, f'"127.0.0.1:{port}"', admin)
    log = tmp_path / "log"
    with socket.socket() as plain:
        process = activation.start(command, [plain], "", log)
        with ended(process):
            assert process.wait(30) == 1
    assert log.read_text() == 'proxy: LISTEN_FDS: descriptor 3 ("unknown") is no listening stream socket\n'


def test_a_socket_under_another_name_is_found_by_its_address(tmp_path: Path) -> None:
    port, admin = free_ports(2)
    command = configuration(tmp_path, f'"localhost:{port}"', admin)
    with activation.listener(port) as sock:
        process = activation.start(command, [sock], "heliograph-proxy.socket", tmp_path / "log")
        with ended(process):
            until(lambda: "listening on" in (tmp_path / "log").read_text(), "the start")
            assert answer(socket.AF_INET, ("127.0.0.1", port)).startswith(b"HTTP/1.1 50")
