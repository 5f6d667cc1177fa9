"""`heliograph export`: files for a deployment, from the settings of the project."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT, clean_environment

from tests.heliograph.cli.calling import HELIOGRAPH, called
from tests.stack.front import NGINX

PROXY = Path(PYTHON).parent / "heliograph-proxy"


def test_the_configuration_of_this_checkout_is_what_export_gives(tmp_path: Path) -> None:
    ended = called("export", "nginx", "-o", str(tmp_path), cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.conf")}
    assert written == {str(path.relative_to(ROOT)) for path in (ROOT / "nginx").rglob("*.conf")}
    for name in written:
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), name


def test_nginx_of_a_project_has_its_settings_and_nginx_takes_it(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        'proxy_port = 9123\nprivate = ["/internal"]\nstate = "my run"\n'
    )
    assert called("export", "nginx", cwd=tmp_path).returncode == 0
    text = (tmp_path / "nginx/nginx.conf").read_text()
    assert "127.0.0.1:9123" in text
    assert "^/internal(?:/|$)" in text
    if NGINX is None:
        pytest.skip("nginx is missing")
    (tmp_path / "my run").mkdir()
    checked = subprocess.run(
        [NGINX, "-t", "-p", str(tmp_path), "-c", "nginx/nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_a_procfile_comes_with_what_its_lines_name(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text(
        "proxy_port = 9123\nport_base = 9200\ninstances = 3\nnginx = 0\n"
    )
    ended = called("export", "procfile", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "Procfile\nconf/proxy.toml\n")
    lines = (tmp_path / "Procfile").read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == ["web", "proxy"]
    document = tomllib.loads((tmp_path / "conf/proxy.toml").read_text())
    assert document["listen"] == ["127.0.0.1:9123", "127.0.0.1:8080"]
    assert [one["address"] for one in document["backend"]] == [
        f"127.0.0.1:{port}" for port in (9200, 9201, 9202)
    ]
    checked = subprocess.run([PROXY, "check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_procfile_comes_without_the_secrets_of_the_proxy(tmp_path: Path) -> None:
    private = tmp_path / "private.toml"
    private.write_text(
        f'admin_token = "{"t" * 40}"\n[sticky]\ncookie = "c"\nsecret = "{"s" * 40}"\n'
        '[[backend]]\naddress = "127.0.0.1:9200"\n'
    )
    (tmp_path / "heliograph.toml").write_text('nginx = 0\nproxy_config = "private.toml"\n')
    assert called("export", "procfile", cwd=tmp_path).returncode == 0
    text = (tmp_path / "conf/proxy.toml").read_text()
    assert text.startswith("# Secret, and left out here: admin_token, [sticky] secret.\n")
    document = tomllib.loads(text)
    assert "admin_token" not in document
    assert (document["sticky"]["cookie"], document["sticky"].get("secret")) == ("c", None)
    assert "t" * 40 not in text
    assert "s" * 40 not in text


def test_a_shell_takes_the_line_of_a_factory(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "def create_app(name):\n    return lambda environ, start_response: []\n"
    )
    (tmp_path / "heliograph.toml").write_text("app = 'shop:create_app(\"a b\")'\nnginx = 0\n")
    assert called("export", "procfile", cwd=tmp_path).returncode == 0
    web = (tmp_path / "Procfile").read_text().splitlines()[0].removeprefix("web: ")
    command = f"{Path(HELIOGRAPH).parent}/{web} --check-config"
    checked = subprocess.run(
        command,
        shell=True,
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_procfile_has_the_import_path_and_is_for_gunicorn_only(tmp_path: Path) -> None:
    (tmp_path / "a src").mkdir()
    (tmp_path / "heliograph.toml").write_text('pythonpath = ["a src"]\n')
    assert called("export", "procfile", cwd=tmp_path).returncode == 0
    assert " --pythonpath 'a src' " in (tmp_path / "Procfile").read_text()
    (tmp_path / "heliograph.toml").write_text('command = "server --port {port}"\n')
    ended = called("export", "procfile", "-o", "other", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "HELIOGRAPH_COMMAND names another server" in ended.stderr
    assert not (tmp_path / "other").exists()


def test_nothing_that_differs_is_replaced_and_nothing_else_is_written_then(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "Procfile").write_text("web: my own\n")
    ended = called("export", "procfile", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "heliograph: Procfile is there already and is another one; -o DIR names another folder\n"
    )
    assert not (tmp_path / "nginx").exists()
    assert called("export", "procfile", "-o", "deploy", cwd=tmp_path).returncode == 0
    again = called("export", "procfile", "-o", "deploy", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")


def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "heliograph.toml").write_text("nginx = 0\n")
    (tmp_path / "pyproject.toml").write_text("[project\n")
    (tmp_path / "Procfile").write_bytes(b"\xff")
    docker, procfile = (called("export", kind, cwd=tmp_path) for kind in ("docker", "procfile"))
    for ended, told in ((docker, "pyproject.toml cannot be read"), (procfile, "Procfile is there already")):
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
        assert ended.stderr.startswith(f"heliograph: {told}")


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path: Path) -> None:
    ended = called("export", "floppy", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert ended.stderr.startswith("heliograph: export: 'floppy' is none of systemd, docker,")
    assert list(tmp_path.iterdir()) == []
