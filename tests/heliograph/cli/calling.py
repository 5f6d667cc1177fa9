"""Calls the command `heliograph` as people do: as a process, in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from proxy_tests.processes import PYTHON, clean_environment

HELIOGRAPH = str(Path(PYTHON).parent / "heliograph")


def called(
    *arguments: str, cwd: Path, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """In the environment of a shell that knows nothing of a running stack's settings."""
    return subprocess.run(
        [HELIOGRAPH, *arguments],
        cwd=cwd,
        env=clean_environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
