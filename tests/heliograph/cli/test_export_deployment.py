"""`heliograph export systemd|docker|compose|kubernetes`: what the tools of those say of the files."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, clean_environment

from heliograph.cli import export
from tests.heliograph.cli.calling import called
from tests.stack import certificates

TOOLS = Path(PYTHON).parent

#: Of `systemd-analyze security`: from 0, which is safe, to 10.
MAX_EXPOSURE = 3.0

SECRET = "s" * 40


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With a name that is no name of a unit, and a variable that systemd and Docker would expand."""
    folder = tmp_path / "My Shop 100%"
    folder.mkdir()
    return folder


def exported(kind: str, project: Path, settings: Mapping[str, str] | None = None) -> list[str]:
    ended = called(
        "export", kind, cwd=project, settings={"HELIOGRAPH_AUTH_SECRET": SECRET, **(settings or {})}
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    for name in ended.stdout.splitlines():
        assert SECRET not in (project / name).read_text()
    return ended.stdout.splitlines()


def checked(*command: str | Path) -> str:
    """What a tool says that must be content."""
    ended = subprocess.run(
        list(map(str, command)), env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is missing")
    return found


def test_systemd_takes_the_units_and_finds_them_hardened(project: Path) -> None:
    analyze = systemd_analyze()
    (project / "a src").mkdir()
    given = {"HELIOGRAPH_APP": 'shop:make("a $HOME")', "HELIOGRAPH_PYTHONPATH": "a src,."}
    names = exported("systemd", project, given)
    assert names == ["my-shop-100.service", "my-shop-100-instance@.service"]
    units = [project / name for name in names]
    assert checked(analyze, "verify", *units) == ""
    for unit in units:
        said = checked(analyze, "security", "--offline=true", unit)
        level = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
        assert level, said
        assert float(level[1]) < MAX_EXPOSURE
    stack, instance = (unit.read_text().splitlines() for unit in units)
    for lines in (stack, instance):
        assert r'Environment="HELIOGRAPH_APP=shop:make(\"a $HOME\")"' in lines
        assert "# Secret, and left out here: HELIOGRAPH_AUTH_SECRET." in lines
    assert "Type=notify" in stack
    assert re.fullmatch(
        r"ExecReload=\S+(?: -m heliograph\.cli)? reload",
        next(one for one in stack if one.startswith("ExecReload=")),
    )
    assert "CapabilityBoundingSet=" in stack
    assert f"WorkingDirectory={project}%" in stack  # written twice, it is one
    assert next(line for line in instance if line.startswith("ExecStart=")).endswith(
        r'--pythonpath "a src,." --bind ${INSTANCE_HOST}:%i "shop:make(\"a $$HOME\")"'
    )


def test_instances_of_another_server_have_no_unit_of_ours(project: Path) -> None:
    assert exported("systemd", project, {"HELIOGRAPH_COMMAND": "server --port {port}"}) == [
        "my-shop-100.service"
    ]


def test_the_right_to_listen_below_1024_is_given_only_where_it_is_needed(project: Path) -> None:
    analyze = systemd_analyze()
    (project / "heliograph.toml").write_text("port = 443\n")
    unit = project / exported("systemd", project)[0]
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit.read_text()
    assert checked(analyze, "verify", unit) == ""
    said = checked(analyze, "security", "--offline=true", unit)
    assert float(re.findall(r"exposure level for .*: ([\d.]+)", said)[0]) < MAX_EXPOSURE


@pytest.mark.parametrize(
    ("files", "installs"),
    [
        ({}, ""),
        (
            {"requirements.txt": "flask\n", "pyproject.toml": "[project]\nname = 'x'\n"},
            "-r requirements.txt ",
        ),
        ({"pyproject.toml": "[project]\nname = 'x'\n"}, ". "),
        ({"pyproject.toml": "[tool.ruff]\n"}, ""),
    ],
)
def test_the_image_has_what_the_project_needs(project: Path, files: Mapping[str, str], installs: str) -> None:
    for name, text in files.items():
        (project / name).write_text(text)
    assert exported("docker", project) == ["Dockerfile", ".dockerignore"]
    text = (project / "Dockerfile").read_text()
    assert re.search(rf"pip install --no-cache-dir {re.escape(installs)}'heliograph\[all\]==[\d.]+'", text)


def test_the_image_has_no_secrets_that_lie_in_the_project(project: Path) -> None:
    (project / "elsewhere").mkdir()
    (project / "#run [1]").symlink_to("elsewhere")
    (project / "heliograph.toml").write_text('state = "#run [1]"\n')
    exported("docker", project)
    lines = (project / ".dockerignore").read_text().splitlines()
    assert {r"/#run \[1]", "/elsewhere", "**/.env*", "**/*.env", "**/*.key"} <= set(lines)
    for folder, names in ((str(project / "run"), ["run"]), ("/elsewhere", []), ("..", []), (".", [])):
        assert export.hidden(project, folder) == names


def test_hadolint_takes_the_dockerfile_and_its_user_has_no_rights(project: Path) -> None:
    settings = {
        "HELIOGRAPH_PORT": "80",
        "HELIOGRAPH_APP": 'shop:make("a $HOME")',
        "HELIOGRAPH_INSTANCES": "3",
        "HELIOGRAPH_TRUSTED_PROXIES": "10.0.0.0/8\n10.1.0.1",
    }
    exported("docker", project, settings)
    assert checked(TOOLS / "hadolint", project / "Dockerfile") == ""
    final = (project / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in final
    assert r'HELIOGRAPH_APP="shop:make(\"a \$HOME\")"' in final
    assert 'HELIOGRAPH_INSTANCES="3"' in final
    assert 'HELIOGRAPH_TRUSTED_PROXIES="10.0.0.0/8 10.1.0.1"' in final
    assert "HELIOGRAPH_PORT=8080" in final  # a user without rights may not have the machine's 80 everywhere
    assert "-p 80:8080" in (project / "Dockerfile").read_text()


def test_containers_are_refused_for_a_project_with_https(project: Path) -> None:
    files = certificates.make(project)
    settings = {"HELIOGRAPH_TLS_CERT": str(files.certificate), "HELIOGRAPH_TLS_KEY": str(files.key)}
    ended = called("export", "kubernetes", "-o", "out", cwd=project, settings=settings)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("heliograph: HELIOGRAPH_TLS_CERT: no image has the key of HTTPS")
    assert not (project / "out").exists()


def test_compose_takes_its_file(tmp_path: Path) -> None:
    project = tmp_path / "null"  # in YAML this is no text
    project.mkdir()
    (project / "shop.py").write_text(
        "from heliograph.settings import TEXT, Options, option\n"
        "class Shop(Options):\n    shop: str = option(TEXT, '', 'its key', secret=True)\n"
    )
    settings = {
        "HELIOGRAPH_SETTINGS": "shop",
        "HELIOGRAPH_SHOP": SECRET,
        "HELIOGRAPH_CHANNELS": f"redis://:{SECRET}@127.0.0.1/0",
    }
    assert exported("compose", project, settings) == ["Dockerfile", ".dockerignore", "compose.yaml"]
    file = project / "compose.yaml"
    checked(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    text = file.read_text()
    services = re.findall(r"^  (\w+):$", text.partition("\nvolumes:")[0], re.MULTILINE)
    assert services == ["app", "redis", "postgres"]
    assert "read_only: true" in text
    names = "HELIOGRAPH_AUTH_SECRET, HELIOGRAPH_CHANNELS, HELIOGRAPH_SHOP"
    for other in (file, project / "Dockerfile"):
        assert f"# Secret, and left out here: {names}.\n" in other.read_text()
    assert "      HELIOGRAPH_SHOP: ${HELIOGRAPH_SHOP:?put it into .env}\n" in text
    assert text.count("      HELIOGRAPH_CHANNELS: ") == 1
    file.write_text(text.replace("read_only: true", "read_only: [true]"))
    with pytest.raises(AssertionError):  # so it does look
        checked(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)


def test_kubernetes_takes_its_objects(tmp_path: Path) -> None:
    files = []
    for folder, name in (("2024", "app-2024"), ("null", "null")):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / f"kubernetes/{name}.yaml")
        written = exported("kubernetes", tmp_path / folder, {"HELIOGRAPH_INSTANCES": "5"})
        assert written == ["Dockerfile", ".dockerignore", f"kubernetes/{name}.yaml"]
    said = checked(TOOLS / "kubernetes-validate", "--strict", *files)
    for kind in ("deployment", "service", "poddisruptionbudget"):
        for file in files:
            assert f"passed for resource {kind}/{file.stem}" in said
    text = file.read_text()
    assert '{ name: HELIOGRAPH_INSTANCES, value: "5" }' in text
    for wanted in (
        "readinessProbe:",
        "livenessProbe:",
        "startupProbe:",
        "preStop:",
        "readOnlyRootFilesystem: true",
    ):
        assert wanted in text
    file.write_text(text.replace("preStop:", "preStart:"))
    with pytest.raises(AssertionError):
        checked(TOOLS / "kubernetes-validate", "--strict", file)
