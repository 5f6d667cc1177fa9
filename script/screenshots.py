"""Makes pictures of the console and of the proxy's dashboard: each view, light and dark, narrow and wide, in the middle of its use.

    .venv/bin/python -m script.screenshots FOLDER [--url http://127.0.0.1:8080] [--view NAME …]

Without a URL it starts its own stack on free ports, with some load and an instance that is killed once for the dashboard
to show, and stops it. Needs what the tests need: Chromium and nginx.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import requests
from playwright.sync_api import Browser, Page, expect, sync_playwright
from proxy_tests.processes import descendants, until

from tests.stack.running import INSTANCES, Stack

#: Width and height in CSS pixels; the narrowest phone that is promised, and a desk.
SIZES = {"narrow": (360, 780), "wide": (1360, 850)}

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

PICTURES = [(size, scheme) for size in SIZES for scheme in SCHEMES]

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
    with contextlib.ExitStack() as ending:
        own = None if given.url else ending.enter_context(busy_stack())
        url = own.url if own else given.url.rstrip("/")
        browser = ending.enter_context(chromium())
        for view in given.view or VIEWS:
            for size, scheme in PICTURES:
                path = given.folder / f"console-{view}-{scheme}-{size}.png"
                take(browser, f"{url}/", view, path, scheme, size)
                print(path)
        if own and not given.view:
            kill_an_instance(own)
            for size, scheme in PICTURES:
                path = given.folder / f"dashboard-{scheme}-{size}.png"
                take_dashboard(browser, own.admin_url, path, scheme, size)
                print(path)
    return 0


@contextlib.contextmanager
def busy_stack() -> Iterator[Stack]:
    """A stack with some load, for the dashboard to have something to tell."""
    ended = threading.Event()
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)).started() as running:
        clients = [threading.Thread(target=ask, args=(running.url, ended, number)) for number in range(4)]
        for client in clients:
            client.start()
        try:
            yield running
        finally:
            ended.set()
            for client in clients:
                client.join()


def ask(url: str, ended: threading.Event, number: int) -> None:
    with requests.Session() as session:
        while not ended.wait(0.05):
            with contextlib.suppress(requests.ConnectionError):
                session.post(f"{url}/echo", data=TEXT, timeout=PATIENCE / 1000)
                session.get(f"{url}/echo/delay/0.0{number}", timeout=PATIENCE / 1000)


def kill_an_instance(stack: Stack) -> None:
    """And wait until another one has taken its place, and gets requests again."""
    before = stack.pids()["web1"]
    for pid in [*descendants(before), before]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: stack.pids()["web1"] != before, "another instance")
    until(lambda: all(one["healthy"] for one in backends(stack)), "its health")
    answered = sum(one["requests"] for one in backends(stack))
    until(lambda: sum(one["requests"] for one in backends(stack)) > answered + 100, "more requests")


def backends(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{stack.admin_url}/status", timeout=10).json()["backends"]
    return found


def take_dashboard(
    browser: Browser, url: str, path: Path, scheme: Literal["light", "dark"], size: str
) -> None:
    page = opened(browser, scheme, size)
    page.goto(url)
    page.locator('body[data-link="live"]').wait_for()
    expect(page.locator("#rows tr")).to_have_count(INSTANCES)
    finish(page, path, size)


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
    """One picture. Each has its own channel, so that it begins empty."""
    state, act = VIEWS[view]
    own = {"channel": f"lebowski-{scheme}-{size}"} if view == "channels" else {}
    page = opened(browser, scheme, size)
    page.goto(f"{url}#{urlencode({'view': view, **state, **own})}")
    page.locator(f"#panel-{view}:not([aria-busy])").wait_for()
    act(page)
    finish(page, path, size)


def opened(browser: Browser, scheme: Literal["light", "dark"], size: str) -> Page:
    width, height = SIZES[size]
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": width, "height": height}, device_scale_factor=1
    )
    context.set_default_timeout(PATIENCE)
    return context.new_page()


def finish(page: Page, path: Path, size: str) -> None:
    page.mouse.move(0, 0)
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    # A picture of the whole page would paint what is fixed to the window in its middle.
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": SIZES[size][0], "height": height})
    page.screenshot(path=path, animations="disabled")
    page.context.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
