"""`heliograph new`: what it makes, and that it works as made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, clean_environment
from websockets.sync.client import connect

from tests.heliograph.cli.calling import called
from tests.stack.running import Stack

PATIENCE = 20


@pytest.fixture
def made(tmp_path: Path) -> Path:
    ended = called("new", "a notebook, ünïcode", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    return tmp_path / "a notebook, ünïcode"


def test_a_project_has_an_application_its_tests_settings_and_a_readme(made: Path) -> None:
    files = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert files == {
        ".gitignore",
        "README.md",
        "app.py",
        "heliograph.toml",
        "pytest.ini",
        "templates/index.html",
        "tests/test_app.py",
    }
    assert (made / "README.md").read_text().startswith("# a notebook, ünïcode\n")


def test_its_tests_pass_as_made(made: Path) -> None:
    ended = subprocess.run(
        [PYTHON, "-m", "pytest", "-q"],
        cwd=made,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout
    assert "/ws/shout" not in ended.stdout + ended.stderr, "lines of the log are the tests' captured output"


def test_it_runs_as_made(made: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    run = (PYTHON, "-m", "heliograph.cli", "run")
    with Stack(logs, {"HELIOGRAPH_NGINX": "0"}, root=made, command=run).started() as stack:
        page = requests.get(stack.url, timeout=PATIENCE)
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert requests.post(f"{stack.url}/notes", data={"text": "tea"}, timeout=PATIENCE).json() == {
            "offset": 1
        }
        with connect(f"{stack.websocket_url}/ws/shout", open_timeout=PATIENCE) as socket:
            socket.send("tea")
            assert socket.recv(timeout=PATIENCE) == "TEA"
        events = f"{stack.url}/channels/notes/events?after=earliest"
        with requests.get(events, stream=True, timeout=PATIENCE) as stream:
            lines = (line for line in stream.iter_lines(decode_unicode=True) if line.startswith("data:"))
            assert next(lines) == 'data: {"text": "tea"}'


@pytest.mark.parametrize("name", ["used", "a-file"])
def test_what_is_there_already_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thing").touch()
    (tmp_path / "a-file").touch()
    ended = called("new", name, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert {path.name for path in tmp_path.rglob("*")} == {"used", "thing", "a-file"}
