"""Copies of this checkout with an environment of their own, for tests that break something or run as another user.

Such an environment takes its packages from the one the tests run in, so making it needs no network and no time.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from proxy_tests.processes import ROOT

from script.setup import COMPLETE, PROFILES, key

#: What a running stack reads: links in app lead to clients and proxy. The distributions that are installed as wheels come from the
#: environment of the tests.
PARTS = (
    "app",
    "clients",
    "conf",
    "nginx",
    "proxy",
    "script",
    "src",
    "heliograph.toml",
    "wsgi.py",
    "Procfile",
    "pyproject.toml",
    "uv.lock",
)

_NOT_COPIED = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")


def copy_checkout(folder: Path, python: str | None = None) -> Path:
    """A working copy in `folder`/checkout, set up: its script/server installs nothing."""
    root = folder / "checkout"
    root.mkdir()
    for name in PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, symlinks=True, ignore=_NOT_COPIED)
        else:
            shutil.copy2(source, root / name)
    (root / "var").mkdir()
    make_environment(root, python or sys.executable)
    return root


def make_environment(root: Path, python: str) -> None:
    """The environment that script/server of this copy looks for, with the library of the copy and our packages."""
    asked = [python, "-c", "import sys; print(sys.version, end='')"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    venv = root / ".venvs" / key(root, PROFILES["app"], "", version)
    subprocess.run([python, "-m", "venv", "--without-pip", str(venv)], check=True)
    [packages] = venv.glob("lib/python3.*/site-packages")
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"{root / 'src'}\nimport site; site.addsitedir({ours!r})\n")
    (venv / COMPLETE).touch()
    (root / ".venv").symlink_to(venv)


def open_to_everyone(folder: Path) -> None:
    """Let other users reach a folder of pytest's, whose parents are private."""
    top = Path(tempfile.gettempdir())
    for parent in (folder, *folder.parents):
        if not parent.is_relative_to(top) or parent == top:
            break
        parent.chmod(0o755)


def hand_over(folder: Path) -> int | None:
    """Give a folder of pytest's to a user without privileges: his id, or None where the tests have none either."""
    if os.geteuid() != 0:
        return None
    open_to_everyone(folder)
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    return nobody.pw_uid


def python_for_everyone() -> str:
    """A Python of our version that any user may run."""
    if os.geteuid() != 0:
        return sys.executable
    version = f"python3.{sys.version_info.minor}"
    candidates = (sys.executable, f"/usr/local/bin/{version}", f"/usr/bin/{version}")
    for candidate in candidates:
        try:
            subprocess.run(
                [candidate, "-c", ""], user="nobody", cwd="/", check=True, stderr=subprocess.DEVNULL
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    raise AssertionError(f"other users may run none of {', '.join(candidates)}")
