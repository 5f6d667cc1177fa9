"""A pytest plugin: names the checks that failed before the tests, where the end of the output is all that one sees.

Loaded with `-p tests.failed_checks`; script/checks.py does so.
"""

from __future__ import annotations

import os

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if failed := os.environ.get("FAILED_CHECKS"):
        terminalreporter.write_line(f"Checks before the tests that failed: {failed}", red=True)
