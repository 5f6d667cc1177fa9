"""`heliograph doctor`: faults that are planted in a project are each named, with how to mend them."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_tests.processes import clean_environment, free_port, free_ports

from heliograph.cli.faults import CHECKS, Examined, examine, missing_nginx
from heliograph.given import Given
from heliograph.stack import folder, options
from heliograph.stack.plan import Layout, Project
from tests.heliograph.cli.calling import HELIOGRAPH, called
from tests.servers import PostgresServer, binary
from tests.stack.front import NGINX

PROJECT = Project(Path(), "wsgi:app", ())

APPLICATION = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return []
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Without a fault."""
    nginx, proxy, admin, base, *_ = free_ports(4 + 2)
    (tmp_path / "wsgi.py").write_text(APPLICATION)
    (tmp_path / "heliograph.toml").write_text(
        f"port = {nginx}\nproxy_port = {proxy}\nadmin_port = {admin}\nport_base = {base}\ninstances = 2\n"
        f"nginx = '{'auto' if NGINX else '0'}'\n"
    )
    return tmp_path


def faults(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    assert ended.stderr == ""
    found = json.loads(ended.stdout)["faults"]
    assert ended.returncode == (1 if found else 0)
    assert all("\n" not in one["problem"] and one["remedy"] for one in found)
    return {one["check"]: one for one in found}


def test_a_project_without_a_fault_is_status_0_and_nothing_is_written(project: Path) -> None:
    before = set(project.iterdir())
    ended = called("doctor", cwd=project, settings={"PYTHONDONTWRITEBYTECODE": "1"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split() for line in ended.stdout.splitlines()] == [
        ["ok", name] for name in ("settings", *CHECKS)
    ]
    assert set(project.iterdir()) == before


def test_all_faults_at_once_are_each_named_with_how_to_mend_them(project: Path) -> None:
    (project / "wsgi.py").write_text("import nowhere_to_be_found\n")
    (project / "a-file").touch()
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        nobody_listens = free_port()
        settings = {
            "HELIOGRAPH_PROXY_PORT": str(port),
            "HELIOGRAPH_AUTH_SECRET": "too-short-a-secret",
            "HELIOGRAPH_STATE": "a-file/state",
            "HELIOGRAPH_CHANNELS": f"redis://:pass-word@127.0.0.1:{nobody_listens}/0",
            "HELIOGRAPH_RATE": "many",
        }
        limited = ["bash", "-c", 'ulimit -n 512; exec "$@"', "bash", HELIOGRAPH, "doctor", "--json"]
        ended = subprocess.run(
            limited, cwd=project, env=clean_environment(settings), capture_output=True, text=True, check=False
        )
    found = faults(ended)
    named = {
        "settings": ("HELIOGRAPH_", "allowed"),
        "ports": (f"port {port} ", "is taken"),
        "descriptors": ("512", "4096"),
        "engine": (f"redis://127.0.0.1:{nobody_listens}/0", "cannot be reached"),
        "folders": ("HELIOGRAPH_STATE", "a-file is no folder"),
        "application": ("wsgi:app", "nowhere_to_be_found"),
    }
    assert set(found) == set(named)
    for name, words in named.items():
        assert all(word in found[name]["problem"] for word in words), found[name]
    assert "too-short" not in ended.stdout
    assert "pass-word" not in ended.stdout


def test_a_missing_package_of_an_engine_is_named_with_its_extra(project: Path, tmp_path: Path) -> None:
    """The package is hidden from the process, as it is not there for one that never installed the extra."""
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text("import sys\nsys.modules['redis'] = None\n")
    settings = {"PYTHONPATH": str(hiding), "HELIOGRAPH_CHANNELS": "redis://127.0.0.1/0"}
    ended = called("doctor", cwd=project, settings=settings)
    assert ended.returncode == 1
    assert (
        "WRONG  engine: HELIOGRAPH_CHANNELS is redis://127.0.0.1/0: redis:// needs a package" in ended.stdout
    )
    assert "       To mend it: pip install 'heliograph[redis]'\n" in ended.stdout


def test_settings_that_name_what_is_not_there_are_told(project: Path) -> None:
    settings = {"HELIOGRAPH_STATIC": "/static/=assets", "HELIOGRAPH_TLS_CERT": "missing.pem"}
    ended = called("doctor", "--json", cwd=project, settings=settings)
    found = {one["problem"].split("=")[0]: one for one in json.loads(ended.stdout)["faults"]}
    assert (ended.returncode, set(found)) == (1, {"HELIOGRAPH_STATIC", "HELIOGRAPH_TLS_KEY"}), ended.stdout
    static = found["HELIOGRAPH_STATIC"]
    assert "'assets': a folder that is there" in static["problem"]
    assert "make the folder" in static["remedy"]
    (project / "assets").mkdir()
    mended = called("doctor", "--json", cwd=project, settings={"HELIOGRAPH_STATIC": "/static/=assets"})
    assert faults(mended) == {}


def test_a_machine_without_nginx_is_told_unless_nginx_is_not_wanted(project: Path) -> None:
    for wanted, count in (("auto", 1), ("0", 0)):
        settings = options.load(Given({"HELIOGRAPH_NGINX": wanted}))
        found = list(missing_nginx(Examined(project, Given({}), Layout(settings, None), PROJECT)))
        assert len(found) == count
        assert all(
            "no nginx binary" in problem and "heliograph[nginx]" in remedy for problem, remedy in found
        )


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    if not Path(binary("initdb")).exists():
        pytest.skip("postgresql is missing")
    with PostgresServer() as server:
        yield server


def test_a_clock_that_differs_from_that_of_the_database_is_told(
    project: Path, postgres: PostgresServer
) -> None:
    """The database tells another time to those who find the function of this schema first."""
    with postgres.connect() as connection:
        connection.execute("CREATE SCHEMA later")
        connection.execute(
            "CREATE FUNCTION later.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
            "AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$"
        )
    right = called("doctor", "--json", cwd=project, settings={"HELIOGRAPH_CHANNELS": postgres.url})
    assert faults(right) == {}
    url = f"{postgres.url}?options=-csearch_path%3Dlater,pg_catalog"
    found = faults(called("doctor", "--json", cwd=project, settings={"HELIOGRAPH_CHANNELS": url}))
    assert set(found) == {"engine"}
    assert "3600 s behind that of postgresql://127.0.0.1" in found["engine"]["problem"]
    assert "NTP" in found["engine"]["remedy"]
    with postgres.connect() as connection:  # it was asked only
        assert connection.execute("SELECT to_regclass('heliograph_state')").fetchone() == (None,)


def test_the_ports_of_a_stack_that_runs_here_are_no_fault(project: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        front, admin, base, *_ = free_ports(3 + 2)
        ports = {"PORT": front, "ADMIN_PORT": admin, "PORT_BASE": base, "PROXY_PORT": taken.getsockname()[1]}
        environ = Given({f"HELIOGRAPH_{name}": str(port) for name, port in ports.items()})
        layout = Layout(options.load(environ), shutil.which("true"))
        here = Examined(project, environ, layout, PROJECT)
        found = dict(examine(here))
        assert len(found["ports"]) == 1
        claimed = folder.claim(here.state)
        try:
            assert dict(examine(here))["ports"] == []
        finally:
            claimed.release()
