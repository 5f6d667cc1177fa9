"""The documentation holds through all layers, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_openapi import run_schemathesis
from tests.stack.running import Stack


@pytest.mark.slow
def test_schemathesis_finds_nothing_undocumented_through_the_whole_stack(
    stack: Stack, tmp_path: Path
) -> None:
    assert stack.has_nginx
    hidden = ("--exclude-path", "/metrics", "--exclude-path", "/readyz")  # nginx passes neither on
    done = run_schemathesis(stack.url, tmp_path, *hidden)
    assert done.returncode == 0, done.stdout + done.stderr
