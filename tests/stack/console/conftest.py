"""A stack, a browser and pages for the tests of the console: one of each for all of them, through nginx.

Each `page` has one context and begins with an empty tab; `open_view` (pages.py) goes to a view. A page that complains in
its console (errors, warnings, breaches of the Content-Security-Policy) or throws fails its test.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.stack.console.pages import PATIENCE, Complaints
from tests.stack.running import Stack


@pytest.fixture(scope="session")
def stack_url(stack: Stack) -> str:
    """Where users go: nginx."""
    return stack.url


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    found = Complaints()
    yield found
    assert found.unexpected == []


@pytest.fixture
def context(browser: Browser, complaints: Complaints) -> Iterator[BrowserContext]:
    """For tests that need several pages; each of them is watched."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE)
    context.on("page", complaints.watch)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A channel's, of this test only."""
    return f"t{zlib.crc32(request.node.nodeid.encode()):x}"
