"""Pages of the console in tests: going to a view, and what pages complained of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import ConsoleMessage, Page

#: Milliseconds for whatever a page is to show. Generous: a busy machine must not fail a test.
PATIENCE = 15_000


class Complaints:
    """What pages complained of. Browsers report each refused request and each lost connection as an error in the console:
    a test that provokes one says so by `allow`."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._allowed: list[str] = []

    def allow(self, pattern: str) -> None:
        self._allowed.append(pattern)

    def allow_refusals(self) -> None:
        self.allow(r"^Failed to load resource: the server responded with a status of [45]")

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._lines.append(str(error)))

    def _console(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self._lines.append(line.text)

    @property
    def unexpected(self) -> list[str]:
        return [line for line in self._lines if not any(re.search(each, line) for each in self._allowed)]


def open_view(page: Page, stack_url: str, view: str, **state: Any) -> Page:
    """Go to a view in the given state and wait until it is there."""
    page.goto(f"{stack_url}/#{urlencode({'view': view, **state})}")
    page.locator(f"#panel-{view}:not([aria-busy])").wait_for()
    return page


def thread_seconds(page: Page) -> float:
    """For how long the main thread of the page had a core, since the page was made."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return float(metrics["ThreadTime"])


@contextmanager
def longest_task(page: Page) -> Iterator[list[float]]:
    """Appends the seconds on a core of the longest task that the page had meanwhile: so long nothing else was done."""
    found: list[float] = []
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
    try:
        yield found
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    found.append(
        max(event["tdur"] for event in events if event["name"] == "RunTask" and "tdur" in event) / 1e6
    )
