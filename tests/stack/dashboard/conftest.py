"""A browser, a proxy with two backends for all tests of a file, and a page that notes what it complains of."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)

from tests.stack.dashboard.running import Farm


@pytest.fixture(scope="module")
def running_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with Farm(tmp_path_factory.mktemp("farm")) as farm:
        yield farm


@pytest.fixture
def farm(running_farm: Farm) -> Iterator[Farm]:
    yield running_farm
    running_farm.reset()


class Dashboard:
    """The page, as a test looks at it."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def live(self) -> Dashboard:
        expect(self.page.locator("body")).to_have_attribute("data-link", "live")
        expect(self.rows.first).to_be_attached()
        return self

    @property
    def rows(self) -> Locator:
        return self.page.locator("#rows tr")

    def row(self, name: str) -> Locator:
        return self.page.locator(f'#rows tr[data-name="{name}"]')

    @property
    def verdict(self) -> Locator:
        return self.page.locator("#verdict-text")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")


OpenDashboard = Callable[..., Dashboard]


@pytest.fixture
def open_dashboard(browser: Browser) -> Iterator[OpenDashboard]:
    """`open_dashboard(url, viewport=…, …)`. What the console says is an error unless the test takes it out."""
    contexts: list[BrowserContext] = []
    opened: list[Dashboard] = []

    def start(url: str, **options: object) -> Dashboard:
        contexts.append(browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options}))  # type: ignore[arg-type]
        opened.append(Dashboard(contexts[-1].new_page(), url))
        return opened[-1]

    yield start
    for context in contexts:
        context.close()
    assert [line for one in opened for line in one.complaints] == []


@pytest.fixture
def dashboard(farm: Farm, open_dashboard: OpenDashboard) -> Dashboard:
    return open_dashboard(farm.url).live()
