"""What importing the package costs, and that a program patches before anything else is imported. Each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from statistics import median

import pytest
from proxy_tests.processes import ROOT

import heliograph

#: Modules of the standard library that `import heliograph` may load beyond those that Python starts with.
MAX_STANDARD = 20

#: `import heliograph` takes at most this share of `import flask`.
MAX_SHARE = 1 / 5

#: Alternating measurements; the medians of both are compared.
ROUNDS = 5


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    return set(
        run(f"import sys; before = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)").split()
    )


def seconds(module: str) -> float:
    return float(
        run(f"import time; began = time.perf_counter()\nimport {module}\nprint(time.perf_counter() - began)")
    )


def test_importing_the_package_loads_hardly_anything() -> None:
    loaded = loaded_by("import heliograph")
    assert {name for name in loaded if name.startswith("heliograph")} == {"heliograph"}
    foreign = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"heliograph"}
    assert len(loaded - foreign) <= MAX_STANDARD


def test_importing_the_package_is_quick() -> None:
    pairs = [(seconds("heliograph"), seconds("flask")) for _ in range(ROUNDS)]
    ours, flask = (median(column) for column in zip(*pairs, strict=True))
    assert ours <= MAX_SHARE * flask


@pytest.mark.parametrize("name", heliograph.__all__)
def test_every_public_name_is_there_and_listed(name: str) -> None:
    assert name in dir(heliograph)
    assert run(f"from heliograph import {name}; print({name!r} in dir())") == "True\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'heliograph' has no attribute 'Telegraph'"):
        heliograph.Telegraph  # noqa: B018


@pytest.mark.parametrize("name", ["Settings", "Problem", "Message"])
def test_a_light_name_loads_no_framework(name: str) -> None:
    loaded = loaded_by(f"from heliograph import {name}")
    assert not loaded & {"flask", "werkzeug", "gevent", "pydantic"}


def test_settings_of_every_feature_load_no_framework() -> None:
    assert not loaded_by("import heliograph.options") & {"flask", "werkzeug", "gevent", "pydantic", "socket"}


#: Runs a program up to its call of `patch_all` and prints what had been imported by then, beyond what Python and gevent need.
AT_PATCHING = """
import sys
from gevent import monkey
before = set(sys.modules)

def patch_all(*args, **kwargs):
    print(*sorted(set(sys.modules) - before))
    sys.stdout.flush()
    import os
    os._exit(0)

monkey.patch_all = patch_all
import runpy
before |= set(sys.modules)
{start}
"""


@pytest.mark.parametrize(
    "start",
    ["runpy.run_module('app', run_name='__main__')", "runpy.run_path('wsgi.py')"],
    ids=["app", "wsgi"],
)
def test_a_program_patches_before_anything_else_is_imported(start: str) -> None:
    names = set(run(AT_PATCHING.format(start=start)).split())
    assert names <= {"app", "app.__main__", "<run_path>", "pkgutil"}, names
