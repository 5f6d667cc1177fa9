"""Each distribution is built, has what belongs in it, and works alone on each Python of this machine."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from proxy_tests.processes import PATIENCE, Process, free_port, free_ports, until

from tests.packaging.installing import FOLDERS, UV, Installed, build, pythons, run
from tests.serving import Server

PYTHONS = pythons()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build(folder)
    return folder


def wheel(built: Path, name: str) -> Path:
    [found] = built.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return found


def sdist(built: Path, name: str) -> Path:
    [found] = built.glob(f"{name.replace('-', '_')}-[0-9]*.tar.gz")
    return found


def contents(archive: Path) -> set[str]:
    """The names of its files, those of a source archive without the folder they all lie in."""
    if archive.suffix == ".whl":
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as opened:
        return {member.name.partition("/")[2] for member in opened if member.isfile()}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_has_the_whole_package_and_nothing_else(built: Path, name: str) -> None:
    package = name.replace("-", "_")
    found = contents(wheel(built, name))
    here = Path(FOLDERS[name], "src", package)
    sources = {str(path.relative_to(here.parent)) for path in here.rglob("*.py")}
    pages = {str(path.relative_to(here.parent)) for path in here.glob("admin/page/**/*") if path.is_file()}
    pages |= {
        str(path.relative_to(here.parent)) for path in here.glob("stack/templates/**/*") if path.is_file()
    }
    assert sources | pages | {f"{package}/py.typed"} <= found
    assert {path.partition("/")[0].partition("-")[0] for path in found} == {package}
    assert [path for path in found if path.endswith("licenses/LICENSE")]
    own = [
        path for path in found if not path.startswith("heliograph/cli/skeleton/")
    ]  # which has a test for others
    assert not [path for path in own if re.search(r"tests?/|test_|\.so$|\.c$|__pycache__", path)]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_source_archive_has_what_its_wheel_is_built_from(built: Path, name: str) -> None:
    found = contents(sdist(built, name))
    assert {"LICENSE", "README.md", "VERSION", "pyproject.toml", "PKG-INFO"} <= found
    assert not [path for path in found if re.search(r"^app/|\.so$|__pycache__", path)]
    tests = {path for path in found if path.startswith("tests/")}
    assert not tests or name == "wirecodes"  # whose tests need nothing of the checkout


@pytest.mark.parametrize("name", FOLDERS)
def test_its_metadata_says_what_it_is(built: Path, name: str) -> None:
    archive = zipfile.ZipFile(wheel(built, name))
    [path] = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
    metadata = archive.read(path).decode()
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", metadata.partition("\n\n")[0], re.MULTILINE))
    version = Path(FOLDERS[name], "VERSION").read_text().strip()
    assert (fields["Name"], fields["Version"], fields["License-Expression"]) == (name, version, "MIT")
    assert fields["Requires-Python"] == ">=3.11"
    assert fields["Description-Content-Type"] == "text/markdown"


def test_all_have_one_version() -> None:
    assert len({Path(folder, "VERSION").read_text() for folder in FOLDERS.values()}) == 1


# Alone, on each Python of this machine.


Install = Callable[[str], Installed]


@pytest.fixture(params=PYTHONS)
def install(request: pytest.FixtureRequest, tmp_path: Path, built: Path) -> Install:
    return lambda name: Installed(tmp_path / name, name, PYTHONS[request.param], built)


def test_the_library_shows_its_commands(install: Install) -> None:
    installed = install("heliograph")
    assert installed.told("heliograph", "--help").startswith("usage: heliograph COMMAND")
    lacks = "import heliograph, importlib.util as u; print([n for n in ('redis', 'psycopg', 'app') if u.find_spec(n)])"
    assert installed.told("python", "-c", lacks) == "[]\n"


def test_the_codecs_encode_and_decode(install: Install) -> None:
    installed = install("wirecodes")
    (installed.folder / "message").write_text("CQ CQ DE SOS")
    encoded = installed.told("wirecodes", "encode", "morse", "message")
    assert encoded.startswith("-.-. --.- / ")
    (installed.folder / "encoded").write_text(encoded)
    assert installed.told("wirecodes", "decode", "morse", "encoded") == "CQ CQ DE SOS"


CONFIGURATION = """\
listen = "127.0.0.1:{proxy}"
admin = "127.0.0.1:{admin}"

[[backend]]
name = "files"
address = "127.0.0.1:{backend}"

[health]
path = "/"
"""


def test_the_proxy_serves_a_plain_server_of_files(install: Install, tmp_path: Path) -> None:
    installed = install("heliograph-proxy")
    backend, proxy, admin = free_port(), *free_ports(2)
    (tmp_path / "file").write_text("of the server behind")
    (tmp_path / "proxy.toml").write_text(CONFIGURATION.format(backend=backend, proxy=proxy, admin=admin))
    serve = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(tmp_path), str(backend)]
    balance = [installed.program("heliograph-proxy"), "run", "-c", str(tmp_path / "proxy.toml")]
    with (
        Process(serve, tmp_path / "serve.log").wait_for_port(backend),
        Process(balance, tmp_path / "proxy.log", cwd=tmp_path).wait_for_port(proxy) as running,
    ):
        until(lambda: got(proxy, "/file") == (200, b"of the server behind"), "the file by way of the proxy")
        status, page = got(admin, "/")
        assert status == 200
        assert b"<html" in page.lower()
        assert running.stop() == 0


def got(port: int, target: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_client_publishes_and_subscribes(install: Install, server: Server) -> None:
    installed = install("heliograph-client")
    url, channel = f"http://127.0.0.1:{server.port}", f"installed-{os.urandom(4).hex()}"
    installed.told("heliograph-client", "publish", url, channel, '{"id": 7}', "--json")
    told = installed.told(
        "heliograph-client", "subscribe", url, channel, "--after", "earliest", "--count", "1"
    )
    events = [json.loads(line) for line in told.splitlines()]
    assert {"id": 7} in [event.get("data") for event in events]
    loaded = installed.told("python", "-c", "import sys, heliograph_client; print(*sys.modules)").split()
    assert not {"gevent", "flask"} & set(loaded)


# Without a compiler.


COMPILED = ("wirecodes", "heliograph-proxy")


def built_without_compiler(archive: Path, into: Path, extension: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [UV, "build", "--quiet", "--wheel", "-o", str(into), str(archive)],
        env={**os.environ, "CC": "/bin/false", "BUILD_EXTENSION": extension},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wirecodes", "heliograph-proxy"])
def test_where_nothing_can_be_compiled_it_is_built_without(built: Path, tmp_path: Path, name: str) -> None:
    ended = built_without_compiler(sdist(built, name), tmp_path, "")
    assert ended.returncode == 0, ended.stderr
    assert not [path for path in contents(wheel(tmp_path, name)) if path.endswith(".so")]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_where_nothing_can_be_compiled_and_it_must_be_it_is_refused(
    built: Path, tmp_path: Path, name: str
) -> None:
    assert built_without_compiler(sdist(built, name), tmp_path, "yes").returncode != 0
    assert not list(tmp_path.glob("*.whl"))


def test_importing_the_client_here_loads_neither_gevent_nor_flask() -> None:
    loaded = run([sys.executable, "-c", "import sys, heliograph_client; print(*sys.modules)"]).split()
    assert not {"gevent", "flask"} & set(loaded)
