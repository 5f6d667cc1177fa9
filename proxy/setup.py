"""The optional compiled twin of the hot modules; everything else stands in pyproject.toml.

BUILD_EXTENSION unset tries to build it and goes on without where that fails, `yes` fails then, `no` leaves it out.
An editable install never has it: after an edit it would be of other sources.
"""

from __future__ import annotations

import atexit
import os
import runpy
import shutil
import tempfile
import traceback
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_CHOICES = ("", "yes", "no")

#: Which modules, and the name of their shared library.
_COMPILED: dict[str, Any] = runpy.run_path("src/heliograph_proxy/compiled.py")

#: Types are checked by the project's own tests, strictly; here those of other packages are not at hand, and must not
#: be, or what is compiled would depend on what happens to be installed.
_FLAGS = (
    "--config-file=",
    "--no-site-packages",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    "--allow-subclassing-any",
    "--no-warn-return-any",
)


def _extensions(folder: str) -> list[Extension]:
    """The hot modules as C. SystemExit where mypy finds an error, ImportError where there is no mypy."""
    from mypyc.build import mypycify  # noqa: PLC0415

    sources = [os.path.relpath(path) for path in _COMPILED["sources"]()]
    return mypycify(
        [*_FLAGS, f"--cache-dir={folder}/mypy", *sources],
        # Compiles in half the time of -O3, and no difference could be measured: what is left is spent in Python's own
        # functions.
        opt_level="1",
        group_name=_COMPILED["group"](),
        target_dir=folder,
    )


class BuildTwin(build_ext):
    """Builds all extensions or none. Their list is made when it is needed: nothing is compiled for an sdist."""

    _built: tuple[str, ...] = ()

    def run(self) -> None:
        if self.editable_mode or self.inplace:
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._built = self._build(folder)
        except (Exception, SystemExit):  # mypyc ends the process where it finds an error
            if CHOICE == "yes":
                raise
            traceback.print_exc()
            print("heliograph-proxy: the compiled twin cannot be built; the proxy runs at half the speed")

    def _build(self, folder: str) -> tuple[str, ...]:
        command = build_ext(self.distribution)
        command.build_lib, command.build_temp = f"{folder}/result", f"{folder}/objects"
        placeholder = self.distribution.ext_modules
        try:
            self.distribution.ext_modules = _extensions(folder)
            command.ensure_finalized()
            command.run()
        finally:
            self.distribution.ext_modules = placeholder
        shutil.copytree(command.build_lib, self.build_lib, dirs_exist_ok=True)
        return tuple(path.replace(command.build_lib, self.build_lib, 1) for path in command.get_outputs())

    def get_outputs(self) -> list[str]:
        return list(self._built)

    def get_output_mapping(self) -> dict[str, str]:
        return {}


CHOICE = os.environ.get("BUILD_EXTENSION", "")
if CHOICE not in _CHOICES:
    raise SystemExit(f"BUILD_EXTENSION={CHOICE}: must be yes, no or not set")

# Outside of the tree: setuptools packs whatever it finds in its folder, modules of an earlier build too.
_build = Path(tempfile.mkdtemp(prefix="heliograph-proxy-"))
atexit.register(shutil.rmtree, _build, ignore_errors=True)

setup(
    cmdclass={"build_ext": BuildTwin},
    ext_modules=[] if CHOICE == "no" else [Extension("heliograph_proxy.twin", [])],
    options={"build": {"build_base": str(_build)}},
)
