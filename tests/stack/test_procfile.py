"""The Procfile, under honcho and as a platform uses it."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import requests
from proxy_tests.processes import PYTHON, ROOT, Process, free_port, until

from tests.stack.checkout import copy_checkout

PATIENCE = 15

#: What a platform's process gets: the .venv's commands by name.
BIN = str(Path(PYTHON).parent)


def lines() -> dict[str, str]:
    entries = (line.partition(": ") for line in (ROOT / "Procfile").read_text().splitlines())
    return {name: command for name, _, command in entries}


def command(name: str) -> list[str]:
    return ["env", f"PATH={BIN}:{os.environ['PATH']}", *shlex.split(lines()[name])]


def healthy(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).status_code == 200
    except requests.ConnectionError:
        return False


def test_it_names_web_proxy_and_nginx() -> None:
    assert list(lines()) == ["web", "proxy", "nginx"]


def test_web_listens_where_the_platform_says(tmp_path: Path) -> None:
    port = free_port()
    with Process(command("web"), tmp_path / "web", {"PORT": str(port), "HELIOGRAPH_OPEN": "1"}) as web:
        until(lambda: healthy(port), "web")
        assert web.stop() == 0


def test_web_refuses_to_listen_everywhere_for_everybody_unasked(tmp_path: Path) -> None:
    with Process(command("web"), tmp_path / "web", {"PORT": str(free_port())}) as web:
        assert web.wait() != 0
    assert "HELIOGRAPH_AUTH_SECRET" in web.output
    assert "HELIOGRAPH_OPEN=1" in web.output


def test_web_listens_on_loopback_without_a_port_of_a_platform(tmp_path: Path) -> None:
    port = free_port()
    with Process(command("web"), tmp_path / "web", {"HELIOGRAPH_PORT_BASE": str(port)}) as web:
        until(lambda: healthy(port), "web")
        assert f"http://127.0.0.1:{port}" in web.output


def test_honcho_runs_all_of_it(tmp_path: Path) -> None:
    """On ports of the test's own: everything else is what the Procfile says."""
    root = copy_checkout(tmp_path)
    web, proxy, front = free_port(), free_port(), free_port()
    for file, old, new in (
        ("conf/proxy.toml", "127.0.0.1:8000", f"127.0.0.1:{proxy}"),
        ("conf/proxy.toml", "127.0.0.1:8001", f"127.0.0.1:{free_port()}"),
        ("conf/proxy.toml", "127.0.0.1:8100", f"127.0.0.1:{web}"),
        ("nginx/nginx.conf", "127.0.0.1:8000", f"127.0.0.1:{proxy}"),
        ("nginx/nginx.conf", "127.0.0.1:8080", f"127.0.0.1:{front}"),
    ):
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new))
    settings = {"PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin", "HELIOGRAPH_OPEN": "1"}
    with Process(
        [PYTHON, "-m", "honcho", "start", "-p", str(web)], tmp_path / "honcho", settings, root
    ) as honcho:
        until(lambda: healthy(front), "nginx, proxy and web under honcho")
        pids = honcho.tree()
        honcho.stop()
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "the end of all of them")


def test_its_commands_are_those_of_the_contract() -> None:
    assert lines()["web"] == "gunicorn -c conf/gunicorn.conf.py wsgi:app"
    checked = subprocess.run(
        [PYTHON, "-m", "heliograph_proxy", "check", "-c", "conf/proxy.toml"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0
