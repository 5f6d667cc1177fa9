"""Gunicorn's configuration as a module of the library, for an application that is not this checkout's."""

from __future__ import annotations

from pathlib import Path

import requests
from proxy_tests.processes import PYTHON, ROOT, Process, free_port

PATIENCE = 15

APPLICATION = """\
import socket

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"patched: {socket.socket.__module__}".encode()]
"""


def test_any_folder_with_an_application_can_name_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(APPLICATION)
    port = free_port()
    command = [PYTHON, "-m", "gunicorn", "-c", "python:heliograph.server.config"]
    command += ["--bind", f"127.0.0.1:{port}", "mine:app"]
    with Process(command, tmp_path / "output", cwd=tmp_path).wait_for_port(port) as server:
        answer = requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
        assert answer.text == "patched: gevent._socket3"
        assert "Using worker: heliograph.server.worker.Worker" in server.output


def test_an_application_without_channels_may_listen_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(APPLICATION)
    port = free_port()
    command = [PYTHON, "-m", "gunicorn", "-c", "python:heliograph.server.config", "mine:app"]
    with Process(command, tmp_path / "output", {"PORT": str(port)}, cwd=tmp_path).wait_for_port(port):
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code == 200


def test_one_with_channels_may_not(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from flask import Flask\nfrom heliograph import Heliograph\n"
        "app = Flask(__name__)\nHeliograph(app, endpoints=('channels', 'events'))\n"
    )
    command = [PYTHON, "-m", "gunicorn", "-c", "python:heliograph.server.config"]
    command += ["--bind", f"0.0.0.0:{free_port()}", "mine:app"]
    with Process(command, tmp_path / "output", {"HELIOGRAPH_CHANNELS": "memory://"}, cwd=tmp_path) as server:
        assert server.wait() == 3
        assert server.output.count("beyond loopback") == 1
        assert "Traceback" not in server.output


def test_the_checkouts_configuration_is_the_librarys_after_a_check_of_all_settings() -> None:
    lines = (ROOT / "conf/gunicorn.conf.py").read_text().splitlines()
    statements = [line.partition("  #")[0] for line in lines if line and not line.startswith(('"""', "#"))]
    assert statements == [
        "from gevent import monkey",
        "from heliograph.server import plugins",
        "with plugins.read_once():",
        "    monkey.patch_all()",
        "from app.options import CodecOptions",
        "from heliograph.options import LIBRARY",
        "from heliograph.settings import from_environment",
        "from_environment((*LIBRARY, CodecOptions))",
        "from heliograph.server.closed_config import *",
    ]
