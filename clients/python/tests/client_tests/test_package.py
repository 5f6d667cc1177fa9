"""The installed package: what importing it loads, its version, and its command."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

import heliograph_client
import pytest
from heliograph_client.__main__ import main


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has after a statement."""
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    return set(json.loads(result.stdout))


def test_importing_it_loads_only_websockets_and_the_standard_library() -> None:
    # An environment may load modules at its start, whatever is imported later: editable installs do.
    packages = {name.partition(".")[0] for name in loaded_by("import heliograph_client") - loaded_by("pass")}
    assert packages - set(sys.stdlib_module_names) == {"heliograph_client", "websockets"}
    assert not packages & {"gevent", "flask"}


def test_its_metadata_requires_nothing_but_websockets() -> None:
    assert [text.partition(">")[0] for text in requires("heliograph-client") or ()] == ["websockets"]


def test_the_version_is_that_of_the_distribution() -> None:
    assert heliograph_client.__version__ == version("heliograph-client")
    with pytest.raises(AttributeError, match="no_such_name"):
        heliograph_client.no_such_name  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "heliograph_client"],
        [str(Path(sys.executable).with_name("heliograph-client"))],
    ],
    ids=["module", "script"],
)
def test_the_command_lists_what_it_does(command: list[str]) -> None:
    result = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout.startswith("usage: heliograph-client [-h] subscribe|publish")


def test_the_command_shows_how_it_is_used() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["subscribe"])
