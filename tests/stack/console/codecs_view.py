"""Working with the Codecs view in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page

from tests.stack.console.pages import open_view


def open_codecs(page: Page, stack_url: str, **state: Any) -> Page:
    return open_view(page, stack_url, "codecs", **state)


def area(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Input")


def result(page: Page) -> Locator:
    return page.get_by_role("region", name="What came out")


def tree(page: Page) -> Locator:
    return page.get_by_role("region", name="Tree of the code")


def choose(page: Page, name: str, content: bytes) -> None:
    """A file of less than a mebibyte; larger ones come quicker by their path."""
    file: Any = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.locator("#panel-codecs input[type=file]").set_input_files(file)


def saved(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def box(locator: Locator) -> FloatRect:
    """Where something is that can be seen."""
    found = locator.bounding_box()
    assert found is not None
    return found


def link(page: Page) -> str:
    """To the state of the page, once that is in its URL."""
    shown: str = page.evaluate("import('/static/console/state.js').then((state) => state.link())")
    return shown
