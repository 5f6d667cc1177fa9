"""`python -m script.compile`: makes the compiled twin of the proxy's hot modules (see proxy/src/heliograph_proxy/compiled.py).

pip builds it in an environment of its own, so mypy and setuptools stay out of this one; it needs a C compiler and the
headers of Python. Does nothing when the twin of today's sources is there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from heliograph_proxy import compiled

#: What compiles; requirements-dev.txt has the same mypy, and a test says so.
BUILD_REQUIREMENTS = ("mypy==2.4.1", "setuptools==84.2.1")

_PROJECT = """\
[build-system]
requires = [{requires}]
build-backend = "setuptools.build_meta"

[project]
name = "heliograph-compiled"
version = "0"
"""

#: Types are checked by script/test, strictly; here those of other packages are not at hand, and must not be, or what is
#: compiled would depend on what happens to be installed.
_FLAGS = (
    "--no-site-packages",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    "--allow-subclassing-any",
    "--no-warn-return-any",
)

# -O1 compiles in half the
# time of -O3, and no difference could be measured: what is left is spent in Python's own functions.
_SETUP = """\
from mypyc.build import mypycify
from setuptools import setup

setup(
    packages=["heliograph_proxy.http1"],
    ext_modules=mypycify(
        [*{flags!r}, *{files!r}],
        opt_level="1",
        group_name="heliograph_{key}",
    ),
)
"""


def build(target: Path) -> None:
    """Compile into this folder, whole or not at all. CalledProcessError with pip's words in `stdout`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as name:
        project, result = Path(name, "project"), Path(name, "result")
        package = Path(compiled.__file__).parent
        shutil.copytree(package, project / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
        requires = ", ".join(f'"{one}"' for one in BUILD_REQUIREMENTS)
        (project / "pyproject.toml").write_text(_PROJECT.format(requires=requires))
        files = [f"proxy/{one}.py" for one in compiled.HOT]
        (project / "setup.py").write_text(_SETUP.format(flags=_FLAGS, files=files, key=compiled.key()))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-input"]
        subprocess.run(
            [*pip, "--no-deps", "--target", str(result), str(project)],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with contextlib.suppress(OSError):  # somebody else was faster
            os.rename(result, target)
    for old in target.parent.iterdir():
        if old.suffix == ".failed":
            old.unlink(missing_ok=True)
        elif old != target and not old.name.startswith("."):
            shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    target = compiled.folder(sys.prefix)
    if target.is_dir():
        return 0
    try:
        build(target)
    except subprocess.CalledProcessError as exc:
        print("\n".join(exc.stdout.splitlines()[-20:]), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
