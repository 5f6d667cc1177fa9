"""What axe-core says of a page, and whether it fits its window."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def assert_accessible(page: Page) -> None:
    """axe-core finds nothing, in any of its rules."""
    found = Axe().run(page).response["violations"]
    told = [
        f"{each['id']}: {each['help']}: {[node['html'][:200] for node in each['nodes']]}" for each in found
    ]
    assert not told, "\n".join(told)


def assert_fits(page: Page) -> None:
    """Nothing makes the page scroll sideways."""
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room, f"{width} px in a window of {room}"
