"""Our distributions as they are published: built, and installed alone into empty virtual environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from proxy_tests.processes import ROOT, clean_environment

#: Each distribution and its folder.
FOLDERS = {
    "heliograph": ".",
    "heliograph-proxy": "proxy",
    "heliograph-client": "clients/python",
    "wirecodes": "codecs",
}

#: The versions of Python that are supported, by their minor number.
MINORS = range(11, 15)

#: The program uv of the environment that the tests run in.
UV = str(Path(sys.prefix, "bin/uv"))


def pythons() -> dict[str, str]:
    """A Python of each supported version that this machine has: on the PATH, or made by pyenv."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for name in (f"3.{minor}" for minor in MINORS):
        on_path = shutil.which(f"python{name}")
        by_pyenv = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python{name}"))
        for candidate in (*filter(None, [on_path]), *map(str, by_pyenv)):
            if name not in found and _is(candidate, name):
                found[name] = candidate
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def _is(python: str, version: str) -> bool:
    """Asked, as a shim of pyenv is there for versions that do not run."""
    program = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    told = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return told.stdout.strip() == version


def run(command: list[str], environment: Mapping[str, str] | None = None, cwd: Path = ROOT) -> str:
    """What a command prints, which has to succeed."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        env={**clean_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def build(into: Path) -> None:
    """Source archives of all distributions, and of each the wheel that is made from it, without compiled extensions."""
    run([UV, "build", "--all-packages", "--no-create-gitignore", "-o", str(into)], {"BUILD_EXTENSION": "no"})


class Installed:
    """A virtual environment with one distribution and what that requires."""

    def __init__(self, folder: Path, name: str, python: str, wheels: Path, *, bytecode: bool = False) -> None:
        """`bytecode`: made as it is installed, as pip does, so that running it writes nothing there."""
        self.folder = folder
        run([UV, "venv", "--quiet", "--python", python, str(folder)])
        install = [UV, "pip", "install", "--quiet", "--python", str(folder), "--find-links", str(wheels)]
        # What the lock has: it is known to work, and in uv's cache where this Python runs the tests.
        # With bytecode, as pip does: running it writes nothing there then.
        run(
            [
                *install,
                "--constraint",
                str(self._locked()),
                "--only-binary",
                ":all:",
                "--compile-bytecode",
                name,
            ]
        )

    def _locked(self) -> Path:
        lines = (ROOT / "requirements.txt").read_text().splitlines()
        constraints = self.folder / "constraints.txt"
        constraints.write_text("\n".join(line for line in lines if not line.startswith((".", "#"))))
        return constraints

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def told(self, name: str, *arguments: str) -> str:
        """What a program of it prints, called in its own folder, where no checkout can be found."""
        return run([self.program(name), *arguments], {"PATH": os.defpath}, self.folder)
