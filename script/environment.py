"""Makes `.venv`, installs a requirements file into it when something changed, then becomes a command of its Python.

    python -m script.environment --extension=[yes|no] REQUIREMENTS -- ARGUMENTS…

Runs on a bare Python 3.11 from the checkout's root, standard library only. A stamp in `.venv` says for each
requirements file what was installed; while it is true, nothing is installed. Two that start at once in one checkout
wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from heliograph.stack import children

ROOT = Path(__file__).resolve().parent.parent

#: What pip gets to clean up its temporary files after a Ctrl-C, before it is killed.
PIP_GRACE = 5.0

#: What the build of the codecs reads: a change of any of these installs them again.
BUILD_INPUTS = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "src/**/*.py",
    "src/**/*.py[xi]",
    "src/**/*.pxd",
    "src/**/py.typed",
)

#: What tells a usable Python of a .venv; script/bootstrap asks the same.
USABLE = "import sys, pip; sys.exit(sys.version_info < (3, 11))"


def files_of(requirements: Path) -> Iterator[Path]:
    """The requirements file, those it includes, and the sources of the codecs."""
    yield requirements
    for line in requirements.read_text().splitlines():
        if line.startswith("-r "):
            yield from files_of(requirements.parent / line.removeprefix("-r ").strip())
        elif line.startswith("./"):
            folder = requirements.parent / line.strip()
            yield from sorted({path for pattern in BUILD_INPUTS for path in folder.glob(pattern)})


def digest(requirements: Path) -> str:
    """Changes with anything that decides what an installation of this file results in."""
    total = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in files_of(requirements):
        content = path.read_bytes()
        total.update(f"{path.relative_to(requirements.parent)} {len(content)}\n".encode() + content)
    return total.hexdigest()


class Stamp:
    """What was installed into a .venv: each requirements file's digest, and how the extension was asked for."""

    def __init__(self, venv: Path) -> None:
        self._path = venv / "heliograph-installed.json"

    def read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    def holds(self, requirements: Path, extension: str) -> bool:
        """Whether nothing is to be installed. An `extension` that is not given takes whichever is there."""
        known = self.read()
        return known.get(requirements.name) == digest(requirements) and extension in (
            "",
            known.get("extension"),
        )

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def write(self, requirements: Path, extension: str) -> None:
        included = {path.name: digest(path) for path in files_of(requirements) if path.suffix == ".txt"}
        self._path.write_text(json.dumps({**included, "extension": extension}, indent=1))


def run(command: Sequence[str]) -> None:
    """Run a command to its end; exits when it fails."""
    if status := children.run(command, cwd=ROOT, grace=PIP_GRACE):
        sys.exit(
            f"The set-up failed: {' '.join(command)} ended with status {status}; its lines above say why."
        )


def usable(venv: Path) -> bool:
    """Asked under the lock: another set-up may have made it since we were started."""
    if Path(sys.prefix) == venv:
        return True
    try:
        asked = subprocess.run(
            [str(venv / "bin/python"), "-c", USABLE], stderr=subprocess.DEVNULL, check=False
        )
    except OSError:
        return False
    return asked.returncode == 0


def make(venv: Path) -> None:
    if venv.exists():
        say(".venv is broken or of another Python: making it anew")
    say(f"Making .venv with Python {sys.version.split()[0]}")
    run([sys.executable, "-m", "venv", "--clear", str(venv)])


def install(venv: Path, requirements: Path, extension: str) -> None:
    say(f"Installing {requirements.name} (the first time this takes a minute or two)")
    begun = time.monotonic()
    stamp = Stamp(venv)
    stamp.clear()
    shutil.rmtree(requirements.parent / "codecs" / "build", ignore_errors=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run([*pip, "-r", str(requirements)])
    stamp.write(requirements, extension)
    say(f"Installed in {time.monotonic() - begun:.0f} s")


def prepare(requirements: Path, extension: str) -> Path:
    """The Python of a .venv that has everything in `requirements`."""
    venv = ROOT / ".venv"
    python = venv / "bin/python"
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        hold(lock)
        if not usable(venv):
            make(venv)
        if not Stamp(venv).holds(requirements, extension):
            install(venv, requirements, extension)
    finally:
        os.close(lock)
    return python


def hold(lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Waiting: another set-up runs in this checkout")
        fcntl.flock(lock, fcntl.LOCK_EX)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> NoReturn:
    split = list(arguments).index("--")
    extension, requirements = arguments[0].removeprefix("--extension="), ROOT / arguments[1]
    try:
        with children.ending_on_signals():
            python = prepare(requirements, extension)
    except OSError as exc:
        sys.exit(f"The set-up failed: {exc}")
    os.execv(python, [str(python), *arguments[split + 1 :]])


if __name__ == "__main__":
    main(sys.argv[1:])
