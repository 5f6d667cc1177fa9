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
    names = exported("systemd", project, {"HELIOGRAPH_APP": 'shop:make("a $HOME")'})
    assert names == ["my-shop-100.service", "my-shop-100-instance@.service"]
    units = [project / name for name in names]
    assert checked(analyze, "verify", *units) == ""
    for unit in units:
        said = checked(analyze, "security", "--offline=true", unit)
        level = re.search(r"Overall exposure level for .*: ([\d.]+)", said)
        assert level, said
        assert float(level[1]) < MAX_EXPOSURE
    stack, instance = (unit.read_text().splitlines() for unit in units)
    assert "Type=notify" in stack
    assert "CapabilityBoundingSet=" in stack
    assert f"WorkingDirectory={project}%" in stack  # written twice, it is one
    assert r'Environment="HELIOGRAPH_APP=shop:make(\"a $HOME\")"' in stack
    assert next(line for line in instance if line.startswith("ExecStart=")).endswith(
        r'--bind ${INSTANCE_HOST}:%i "shop:make(\"a $$HOME\")"'
    )


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
    assert export.hidden(project, "conf/tls.pem", str(project / "run"), "/elsewhere", "..", "") == [
        "conf/tls.pem",
        "run",
    ]


def test_hadolint_takes_the_dockerfile_and_its_user_has_no_rights(project: Path) -> None:
    settings = {
        "HELIOGRAPH_PORT": "80",
        "HELIOGRAPH_APP": 'shop:make("a $HOME")',
        "HELIOGRAPH_INSTANCES": "3",
    }
    exported("docker", project, settings)
    assert checked(TOOLS / "hadolint", project / "Dockerfile") == ""
    final = (project / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in final
    assert r'HELIOGRAPH_APP="shop:make(\"a \$HOME\")"' in final
    assert 'HELIOGRAPH_INSTANCES="3"' in final
    assert "HELIOGRAPH_PORT=8080" in final  # a user without rights may not have the machine's 80 everywhere
    assert "-p 80:8080" in (project / "Dockerfile").read_text()


def test_compose_takes_its_file(project: Path) -> None:
    assert exported("compose", project) == ["Dockerfile", ".dockerignore", "compose.yaml"]
    file = project / "compose.yaml"
    checked(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    text = file.read_text()
    services = re.findall(r"^  (\w+):$", text.partition("\nvolumes:")[0], re.MULTILINE)
    assert services == ["app", "redis", "postgres"]
    assert "read_only: true" in text
    file.write_text(text.replace("read_only: true", "read_only: [true]"))
    with pytest.raises(AssertionError):  # so it does look
        checked(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)


def test_kubernetes_takes_its_objects(project: Path) -> None:
    assert exported("kubernetes", project) == ["Dockerfile", ".dockerignore", "kubernetes/my-shop-100.yaml"]
    file = project / "kubernetes/my-shop-100.yaml"
    said = checked(TOOLS / "kubernetes-validate", "--strict", file)
    for kind in ("deployment", "service", "poddisruptionbudget"):
        assert f"passed for resource {kind}/my-shop-100" in said
    text = file.read_text()
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
