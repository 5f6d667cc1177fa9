"""Makes pictures of the console: each view, light and dark, narrow and wide, as people see it in the middle of using it.

    .venv/bin/python -m script.screenshots FOLDER [--url http://127.0.0.1:8080] [--view NAME …]

Without a URL it starts a stack of its own on free ports, and stops it. Needs what the tests need: Chromium and nginx.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stack.running import Stack

#: Width and height in CSS pixels; the narrowest phone that is promised, and a desk.
SIZES = {"narrow": (360, 780), "wide": (1360, 850)}

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

#: Milliseconds for a view to show what it is asked for.
PATIENCE = 15_000

TEXT = "The Dude abides. I don't know about you, but I take comfort in that."

FLAGS = ("--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")


def codecs(page: Page) -> None:
    page.locator("#panel-codecs svg").first.wait_for()


def morse(page: Page) -> None:
    page.locator("#panel-morse svg").first.wait_for()


def websocket(page: Page) -> None:
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".sockets .state")).to_have_text("connected")
    for text in ("SOS", "Where is the rug? #1", "The Dude abides"):
        page.get_by_role("textbox", name="Message").fill(text)
        page.get_by_role("button", name="Send text").click()
    page.get_by_label("Send a file").set_input_files(
        {"name": "rug.bin", "mimeType": "application/octet-stream", "buffer": bytes(range(80))}
    )
    expect(page.locator(".frame.received")).to_have_count(4)


def channels(page: Page) -> None:
    """The first is cut, misses two messages, and joins again; the second was there all the time."""
    expect(page.locator(".subscriber [role=status]", has_text="subscribed")).to_have_count(3)
    publish, message = page.get_by_role("button", name="Publish"), page.get_by_role("textbox", name="Message")
    first = page.get_by_role("region", name="Subscriber 1")
    for text in ("Where's the money?", "It's down there somewhere.", "Let me take another look."):
        message.fill(text)
        before = page.locator(".published").inner_text()
        publish.click()
        expect(page.locator(".published")).not_to_have_text(before)
        if first.get_by_role("switch").is_checked():
            expect(first.locator(".message.live").last).to_contain_text(text)
            first.get_by_role("switch").click()
    first.get_by_role("switch").click()
    expect(first.locator(".message.missed")).to_have_count(2)
    expect(page.locator(".channels .badge", has_text="3 here")).to_be_visible()


def stack(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".spread-result")).to_contain_text("answers from")
    page.get_by_role("button", name="Send another").click()
    page.get_by_role("button", name="Ask an instance").click()
    expect(page.locator(".answers tbody tr")).to_have_count(4)


#: What each view shows: its state in the URL, and what is done in it.
VIEWS: dict[str, tuple[dict[str, str], Callable[[Page], None]]] = {
    "codecs": ({"codec": "huffman", "text": TEXT}, codecs),
    "morse": ({"text": "CQ CQ DE DUDE"}, morse),
    "websocket": ({"endpoint": "codec", "codec": "morse", "options": "to=text"}, websocket),
    "channels": ({"subs": "websocket.sse.websocket"}, channels),
    "stack": ({}, stack),
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/screenshots", description="Makes pictures of the console.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", help="of a running stack; without it one is started")
    parser.add_argument("--view", action="append", choices=VIEWS, help="only this one; may be given again")
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with stack_at(given.url) as url, chromium() as browser:
        for view in given.view or VIEWS:
            for size in SIZES:
                for scheme in SCHEMES:
                    path = given.folder / f"console-{view}-{scheme}-{size}.png"
                    take(browser, f"{url}/", view, path, scheme, size)
                    print(path)
    return 0


@contextlib.contextmanager
def stack_at(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)).started() as running:
        yield running.url


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        sys.exit("script/screenshots needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def take(
    browser: Browser, url: str, view: str, path: Path, scheme: Literal["light", "dark"], size: str
) -> None:
    """One picture. A channel of its own for each, so that it begins empty."""
    width, height = SIZES[size]
    state, act = VIEWS[view]
    own = {"channel": f"lebowski-{scheme}-{size}"} if view == "channels" else {}
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, device_scale_factor=1
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{url}#{urlencode({'view': view, **state, **own})}")
    page.locator(f"#panel-{view}:not([aria-busy])").wait_for()
    act(page)
    page.mouse.move(0, 0)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    # A picture of the whole page would paint what is fixed to the window in its middle.
    page.set_viewport_size({"width": width, "height": page.evaluate("document.documentElement.scrollHeight")})
    page.screenshot(path=path, animations="disabled")
    context.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
