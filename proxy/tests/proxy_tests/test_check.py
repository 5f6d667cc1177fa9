"""`heliograph-proxy check`: all that is wrong with a file, and what is odd."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from heliograph_proxy import check as checking
from heliograph_proxy.check import check

from proxy_tests.processes import PYTHON, ROOT

BACKEND = '[[backend]]\nname = "b1"\naddress = "127.0.0.1:1000"\n'

#: Becomes the command that follows it. Root may write everywhere but for the capability CAP_DAC_OVERRIDE.
WITHOUT_CAPABILITY = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)
os.execv(sys.argv[1], sys.argv[1:])
"""


def keys(folder: Path, text: str) -> tuple[list[str], list[str]]:
    """The keys of errors and warnings."""
    file = folder / "proxy.toml"
    file.write_text(text)
    errors, warnings = check(str(file))
    assert all("\n" not in str(one) and str(one).startswith(f"{file}: ") for one in errors + warnings)
    return [one.key for one in errors], [one.key for one in warnings]


def test_the_shipped_file_has_neither_errors_nor_warnings() -> None:
    assert check(str(ROOT / "conf/proxy.toml")) == ([], [])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BACKEND + BACKEND.replace("b1", "b2"), "backend[2].address"),
        (BACKEND + BACKEND.replace("b1", "b2").replace("127.0.0.1", "localhost"), "backend[2].address"),
        (
            BACKEND + BACKEND.replace("b1", "b2").replace("127.0.0.1", "[::ffff:127.0.0.1]"),
            "backend[2].address",
        ),
        ('listen = "127.0.0.1:1000"\n' + BACKEND, "backend[1].address"),
        (BACKEND.replace("1000", "8001"), "backend[1].address"),
        (BACKEND + '[log]\naccess = "/nowhere/at/all"\n', "log.access"),
        (BACKEND + '[log]\naccess = "/"\n', "log.access"),
        ('listen = "unix:/nowhere/socket"\n' + BACKEND, "listen"),
        ('strategy = "no.module:Here"\n' + BACKEND, "strategy"),
    ],
)
def test_what_cannot_work_is_an_error(tmp_path: Path, text: str, key: str) -> None:
    assert keys(tmp_path, text)[0] == [key]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (BACKEND + "weight = 0\n", "backend[1].weight"),
        (BACKEND + "backup = true\n", "backend"),
        (BACKEND.replace("127.0.0.1", "no-such-host.invalid"), "backend[1].address"),
        ('admin_token = "short"\n' + BACKEND, "admin_token"),
        ('listen = "192.0.2.1:80"\n' + BACKEND, "listen"),
        (BACKEND + "[limits]\nheader_bytes = 64\n", "limits.header_field_bytes"),
        (BACKEND + "[health]\ninterval = 0.5\n", "health.timeout"),
        (BACKEND + "[health]\ntimeout = 9\n", "health.timeout"),
    ],
)
def test_what_is_odd_is_a_warning(
    tmp_path: Path, text: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "LOOKUP_SECONDS", 0.5)
    assert keys(tmp_path, text) == ([], [key])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[[backend]]\nname = "b1"\naddress = "b1"\n', ["backend[1].address"]),
        ("", ["backend"]),
        ('admin = "127.0.0.1:8000"\n' + BACKEND + "[health]\nrise = 0\n", ["health.rise", "admin"]),
        ('admin = "0.0.0.0:8001"\n' + BACKEND + "[health]\nrise = 0\n", ["health.rise", "admin_token"]),
    ],
)
def test_an_error_hides_none_of_the_others(tmp_path: Path, text: str, found: list[str]) -> None:
    text += '[timeouts]\nhead = 0\n[log]\naccess = "/nowhere/at/all"\n[limits]\nheader_bytes = 64\n'
    errors, warnings = keys(tmp_path, text)
    assert set(errors) == {*found, "timeouts.head", "log.access"}
    assert warnings == ["limits.header_field_bytes"]


def test_a_socket_in_a_folder_of_another_may_be_handed_over(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(0o500)
    file = tmp_path / "proxy.toml"
    file.write_text(f'listen = "unix:{locked}/s"\n[[backend]]\nname = "a"\naddress = "127.0.0.1:1"\n')
    command = [PYTHON, "-c", WITHOUT_CAPABILITY, PYTHON, "-m", "heliograph_proxy", "check", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "only a socket that is handed over works there" in done.stdout + done.stderr


def test_all_errors_are_told_with_the_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "proxy.toml"
    file.write_text(
        'listne = "x"\n'
        + BACKEND
        + "wieght = 2\n"
        + BACKEND.replace("b1", "b2").replace("1000", "1001")
        + "weight = -1\n[health]\nrise = 0\ninterval = 0.1\n[log]\naccess = '/nowhere/log'\n"
    )
    ended = subprocess.run(
        [PYTHON, "-m", "heliograph_proxy", "check", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = [line.removeprefix(f"proxy: {file}: ") for line in ended.stderr.splitlines()]
    found = [line.split(": ")[0] for line in lines]
    assert found[:4] == ["listne", "backend[1].wieght", "backend[2].weight", "health.rise"]
    assert "did you mean listen?" in lines[0]
    assert "did you mean weight?" in lines[1]
