"""Working with the Morse view in tests."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

from tests.stack.console.pages import open_view


def open_morse(page: Page, stack_url: str, **state: Any) -> Page:
    return open_view(page, stack_url, "morse", **state)


def code(page: Page) -> Locator:
    return page.get_by_role("region", name="Morse code")
