"""A pytest plugin for continuous integration: a test may be skipped for the reasons below only, any other skip fails.

Loaded with `-p tests.only_allowed_skips`; script/test does so when CI=true.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

#: What a machine may lack all the same.
ALLOWED = re.compile(r"Python 2\.7|network namespaces?", re.IGNORECASE)


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not ALLOWED.search(reason):
        report.outcome = "failed"
        report.longrepr = f"Skips like this one are not allowed here: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _judge(report)
    return report
