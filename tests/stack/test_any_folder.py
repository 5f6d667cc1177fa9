"""A stack in a folder that has an application and nothing of ours: what it is made from, what it writes, whose folder it takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, ROOT, clean_environment

from heliograph.given import SettingError
from heliograph.stack import folder, sources
from tests.stack.checkout import hand_over
from tests.stack.front import NGINX
from tests.stack.running import Stack, choose_ports

PATIENCE = 20.0

HELLO = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "<p>Hello</p>"
"""

RUN = (PYTHON, "-m", "heliograph.cli", "run", "hello:app")


def written(root: Path) -> set[str]:
    """What lies in a folder."""
    return {path.name for path in root.iterdir()}


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    root = tmp_path / "a project, ünïcode"
    root.mkdir()
    (root / "hello.py").write_text(HELLO)
    (root / "queue.py").write_text("raise ImportError('of the project, which Heliograph does not need')")
    return root


def test_one_file_is_enough_and_all_that_is_written_lies_in_the_state_folder(
    tmp_path: Path, hello: Path
) -> None:
    with Stack(tmp_path, {"PYTHONDONTWRITEBYTECODE": ""}, root=hello, command=RUN).started() as stack:
        assert stack.has_nginx == (NGINX is not None)
        for url in (stack.url, stack.proxy_url, *stack.instance_urls):
            answer = requests.get(url, timeout=PATIENCE)
            assert (answer.status_code, answer.text) == (200, "<p>Hello</p>")
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert requests.get(f"{stack.url}/static/x.css", timeout=PATIENCE).headers["X-Instance"] in (
            "web1",
            "web2",
        )
        assert requests.get(f"{stack.url}/-/health", timeout=PATIENCE).status_code == 404
    assert written(hello) == {"hello.py", "queue.py", "var"}
    assert [path.name for path in (hello / "var/pycache").rglob("hello*.pyc")]
    assert not {"stack.json", "nginx.pid"} & written(hello / "var")


def test_another_state_folder_and_one_stack_in_each(tmp_path: Path, hello: Path) -> None:
    state = tmp_path / "the state"
    with Stack(tmp_path, {"HELIOGRAPH_STATE": "../the state"}, root=hello, command=RUN).started() as stack:
        assert stack.var == state
        assert requests.get(stack.url, timeout=PATIENCE).text == "<p>Hello</p>"
        assert "proxy.toml" in written(state)
        environment = clean_environment({**choose_ports().settings(), "HELIOGRAPH_STATE": str(state)})
        second = subprocess.run(
            RUN, cwd=hello, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"Heliograph does not start: a stack runs in the state folder {state} already, process {stack.pid}, "
            f"at {stack.url}; name another one by HELIOGRAPH_STATE\n"
        )
        assert requests.get(stack.url, timeout=PATIENCE).text == "<p>Hello</p>"
    assert "var" not in written(hello)


def test_a_folder_of_another_user_or_of_all_is_no_state_folder(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(folder.StateError, match="is one that all users share; name another one"):
        folder.claim(shared)
    assert shared.stat().st_mode & 0o7777 == 0o1777
    (tmp_path / "theirs").mkdir()
    if hand_over(tmp_path / "theirs") is not None:
        with pytest.raises(folder.StateError, match="belongs to another user"):
            folder.claim(tmp_path / "theirs")


def test_without_permission_to_write_it_is_one_line(tmp_path: Path, hello: Path) -> None:
    (tmp_path / "file").touch()
    environment = clean_environment({**choose_ports().settings(), "HELIOGRAPH_STATE": "../file/state"})
    ended = subprocess.run(
        RUN, cwd=hello, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("Heliograph does not start: the state folder ")
    assert ended.stderr.endswith("; name another one by HELIOGRAPH_STATE\n")


def test_a_project_has_its_own_configurations_or_those_of_the_package(tmp_path: Path) -> None:
    assert sources.find(tmp_path, {}) == sources.find(tmp_path / "elsewhere", {})
    assert sources.find(ROOT, {}).proxy == ROOT / "conf/proxy.toml"
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx/nginx.conf").write_text("# for a container\n")
    (tmp_path / "balancer.toml").touch()
    found = sources.find(tmp_path, {"HELIOGRAPH_PROXY_CONFIG": "balancer.toml"})
    assert found.proxy == tmp_path / "balancer.toml"
    assert found.nginx == sources.TEMPLATES / "nginx/nginx.conf"
    with pytest.raises(
        SettingError, match=r"^HELIOGRAPH_PROXY_CONFIG='gone': a file that is there is allowed"
    ):
        sources.find(tmp_path, {"HELIOGRAPH_PROXY_CONFIG": "gone"})


def test_the_checkouts_configurations_are_the_templates() -> None:
    kinds = (
        sources.TEMPLATES / "proxy.toml",
        *(sources.TEMPLATES / "nginx").rglob("*"),
    )  # others are exported
    templates = [path for path in kinds if path.is_file()]
    differing = {
        path.name
        for path in templates
        if path.read_bytes()
        != (
            ROOT / ("conf" if path.suffix == ".toml" else ".") / path.relative_to(sources.TEMPLATES)
        ).read_bytes()
    }
    assert len(templates) > 8
    assert differing == set()
