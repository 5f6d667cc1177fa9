"""Several addresses on which one proxy listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from heliograph_proxy.check import check
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import parse

from proxy_tests.processes import PYTHON, Process, free_ports

ONE = {"name": "a", "address": "127.0.0.1:1"}


def test_it_answers_on_all_of_them_and_leaves_no_socket_file(tmp_path: Path) -> None:
    first, second, admin, nothing = free_ports(4)
    path = tmp_path / "proxy.sock"
    file = tmp_path / "proxy.toml"
    file.write_text(
        f'listen = ["127.0.0.1:{first}", "127.0.0.1:{second}", "unix:{path}"]\nadmin = "127.0.0.1:{admin}"\n'
        f'[[backend]]\nname = "b1"\naddress = "127.0.0.1:{nothing}"\n'
    )
    command = (PYTHON, "-m", "heliograph_proxy", "run", "-c", str(file))
    with Process(command, tmp_path / "log").wait_for_port(admin) as proxy:
        for family, address in (
            (socket.AF_INET, ("127.0.0.1", first)),
            (socket.AF_INET, ("127.0.0.1", second)),
            (socket.AF_UNIX, str(path)),
        ):
            with socket.socket(family) as client:
                client.settimeout(10)
                client.connect(address)
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 50")
        assert f"listening on 127.0.0.1:{first} and 127.0.0.1:{second} and unix:{path}, admin" in proxy.output
        assert proxy.stop() == 0
    assert not path.exists()


def test_a_list_of_one_is_one() -> None:
    assert parse({"backend": [ONE], "listen": ["[::1]:80"]}) == parse(
        {"backend": [ONE], "listen": "[::1]:80"}
    )


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ([], 'listen must be "host:port" or "unix:/path", or a list of these'),
        (["127.0.0.1:80", 81], 'listen must be "host:port"'),
        (["127.0.0.1:80", "127.0.0.1:80"], "listen must name each address once, not 127.0.0.1:80 twice"),
        (
            ["127.0.0.1:80", "127.0.0.1:8001"],
            "admin must be another address than listen, not 127.0.0.1:8001 too",
        ),
    ],
)
def test_a_wrong_list_is_named(listen: object, said: str) -> None:
    with pytest.raises(SettingsError, match=r"proxy\.toml: ") as refused:
        parse({"backend": [ONE], "listen": listen})
    assert said in str(refused.value).replace(": ", " ")


def test_every_one_of_them_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "proxy.toml"
    file.write_text(
        'listen = ["127.0.0.1:8000", "127.0.0.1:8002"]\n[[backend]]\nname = "a"\naddress = "localhost:8002"\n'
    )
    [error], _ = check(str(file))
    assert "must not be listen, where this proxy itself listens" in str(error)
