"""A virtualenv of Python 2.7 with the Autobahn testsuite, in `var/autobahn`; it is made when it is not there yet.

Whoever asks first makes it (half a minute), others wait meanwhile. A stamp says which requirements are installed.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.harness import ROOT, Unavailable

FOLDER = ROOT / "var" / "autobahn"

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: Twisted's setup asks for it while it is installed, by ways that know no index but PyPI's.
FIRST = "incremental"

#: Seconds that one step of the installation may take; compiling wsaccel is the longest.
PATIENCE = 300.0

MISSING = "Python 2.7 is not installed, and the Autobahn testsuite runs on nothing newer (pyenv install 2.7.18 makes one)"

#: What it must be able to do.
WORKS = "import sys, ssl, zlib; sys.exit(sys.version_info[:2] != (2, 7))"


def base_interpreter() -> Path:
    """A Python 2.7 of this machine. Unavailable where there is none."""
    for path in _candidates():
        try:
            asked = subprocess.run(
                [path, "-E", "-c", WORKS], capture_output=True, check=False, timeout=PATIENCE
            )
        except OSError:
            continue
        if asked.returncode == 0:
            return path
    raise Unavailable(MISSING)


def _candidates() -> Iterator[Path]:
    """pyenv's own come first: what it has put on the PATH may only say which version to choose."""
    yield from sorted((Path.home() / ".pyenv" / "versions").glob("2.7*/bin/python2.7"), reverse=True)
    for name in ("python2.7", "python2"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def with_testsuite() -> Path:
    """The virtualenv's interpreter. Unavailable, with the reason, where it cannot be made."""
    base = base_interpreter()
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp, wanted = FOLDER / "installed", f"{base}\n{REQUIREMENTS.read_text()}"
    python = FOLDER / "venv" / "bin" / "python"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text() == wanted and python.exists()):
            stamp.unlink(missing_ok=True)
            _install(base, python)
            stamp.write_text(wanted)
    return python


def _install(base: Path, python: Path) -> None:
    print("Making a virtualenv of Python 2.7 with the Autobahn testsuite: half a minute", flush=True)
    pip = [str(python), "-E", "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    pinned = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith(FIRST))
    virtualenv = [
        sys.executable,
        "-m",
        "virtualenv",
        "-q",
        "--clear",
        "--no-download",
        "--no-periodic-update",
    ]
    _step([*virtualenv, "--app-data", str(FOLDER / "seed"), "-p", str(base), str(FOLDER / "venv")])
    _step([*pip, pinned])
    _step([*pip, "-r", str(REQUIREMENTS)])


def _step(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"{' '.join(command)} took longer than {PATIENCE:g} s") from exc
    if done.returncode:
        said = done.stderr.strip()[-1000:]
        raise Unavailable(f"the Autobahn testsuite could not be installed, {' '.join(command)} says:\n{said}")
