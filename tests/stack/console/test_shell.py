"""The shell of the console in Chromium, through nginx: tabs, sharing, its size, and its accessibility."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.console.views import VIEWS
from tests.stack.console.accessible import assert_accessible, assert_fits
from tests.stack.console.pages import Complaints, open_view, thread_seconds

NAMES = [name for name, _ in VIEWS]

#: Bytes on the wire of a first load, whichever view it shows. 150 KB are promised; the largest has 57 KB, and 117 uncompressed.
MAX_FIRST_LOAD = 100_000

#: Of Chromium's sum of layout shifts; web.dev calls up to 0.1 good.
MAX_SHIFT = 0.02

SHIFTS = """() => new Promise((resolve) => {
    const told = (list) => resolve(list.getEntries().map((entry) => entry.value));
    new PerformanceObserver(told).observe({ type: "layout-shift", buffered: true });
    requestAnimationFrame(() => requestAnimationFrame(() => resolve([])));
})"""


@pytest.mark.parametrize("look", ["light on a phone", pytest.param("dark on a desk", marks=pytest.mark.slow)])
@pytest.mark.parametrize("view", NAMES)
def test_axe_finds_nothing_and_everything_has_room(
    browser: Browser, complaints: Complaints, stack_url: str, view: str, look: str
) -> None:
    width, height = (360, 740) if "phone" in look else (1600, 900)
    scheme: Any = look.partition(" ")[0]
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
    context.on("page", complaints.watch)
    page = open_view(context.new_page(), stack_url, view)
    assert_accessible(page)
    assert_fits(page)
    context.close()


@pytest.mark.parametrize("view", NAMES)
def test_a_first_load_is_small_and_soon_ready_and_nothing_moves(
    context: BrowserContext, stack_url: str, view: str
) -> None:
    page = context.new_page()
    loaded = measured(page)
    open_view(page, stack_url, view)
    assert page.evaluate("performance.getEntriesByName('ready').length") == 1
    assert thread_seconds(page) < 1
    assert 20_000 < sum(loaded) < MAX_FIRST_LOAD
    assert sum(page.evaluate(SHIFTS)) < MAX_SHIFT


def measured(page: Page) -> list[int]:
    """Grows by the bytes on the wire of each file that the page loads, as nothing is cached."""
    loaded: list[int] = []
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.on("Network.loadingFinished", lambda event: loaded.append(int(event["encodedDataLength"])))
    return loaded


def test_tabs_go_by_mouse_and_by_keyboard_and_the_url_follows(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "codecs")
    page.get_by_role("tab", name="WebSocket").click()
    expect(page.get_by_role("tab", name="WebSocket")).to_have_attribute("aria-selected", "true")
    assert "view=websocket" in page.url
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Channels")).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("#panel-stack .layers")).to_be_visible()
    page.keyboard.press("ArrowRight")
    assert "view=codecs" in page.url
    expect(page).to_have_title("Codecs · Heliograph")
    page.go_back()
    expect(page.get_by_role("tab", name="This stack")).to_have_attribute("aria-selected", "true")
    assert page.locator("[role=tabpanel]:visible").count() == 1


def test_a_view_left_and_entered_again_is_as_it_was(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack", n="12")
    page.get_by_role("tab", name="Channels").click()
    assert "n=12" not in page.url
    page.get_by_role("tab", name="This stack").click()
    expect(page.get_by_label("Requests", exact=True)).to_have_value("12")
    assert "n=12" in page.url


@pytest.mark.parametrize("view", NAMES)
def test_a_link_with_nonsense_opens_a_view_that_works(
    page: Page, stack_url: str, complaints: Complaints, view: str
) -> None:
    """Names of members that every object has, markup, and broken encodings: refused by the server at most."""
    complaints.allow_refusals()
    names = (
        "endpoint",
        "codec",
        "direction",
        "subs",
        "kind",
        "n",
        "radix",
        "to",
        "from",
        "wpm",
        "tone",
        "after",
        "mode",
    )
    nonsense = "&".join(f"{name}=constructor" for name in names)
    page.goto(
        f"{stack_url}/#view={view}&{nonsense}&%E0%A4%A=%&text=%FF%3Cimg+src%3Dx%3E&channel=%00&__proto__=1"
    )
    page.locator(f"#panel-{view}:not([aria-busy])").wait_for()
    assert page.locator(f"#panel-{view} .card, #panel-{view} textarea").count() > 1
    assert page.locator("main img, main script").count() == 0


def test_an_unknown_view_shows_the_first(page: Page, stack_url: str) -> None:
    page.goto(f"{stack_url}/#view=%3Cimg%20src%3Dx%3E")
    expect(page.get_by_role("tab", name="Codecs")).to_have_attribute("aria-selected", "true")


def test_the_link_is_copied_and_never_reaches_the_server(
    context: BrowserContext, page: Page, stack_url: str
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_view(page, stack_url, "websocket", text="secret plans")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied").first).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.url
    other = context.new_page()
    other.goto(link)
    expect(other.get_by_role("textbox", name="Message")).to_have_value("secret plans")
    assert not [url for url in asked if "secret" in url.split("#")[0]]


def test_what_is_too_long_for_a_link_stays_in_the_page_and_is_said(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "websocket")
    page.get_by_role("textbox", name="Message").fill("x" * 5000)
    expect(page.locator("#withheld")).to_contain_text("2,000 characters, so not in the link: text")
    assert len(page.url) < 1000
    page.get_by_role("tab", name="This stack").click()
    page.get_by_role("tab", name="WebSocket").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("x" * 5000)
    page.get_by_role("textbox", name="Message").fill("short")
    expect(page.locator("#withheld")).to_be_empty()
    page.wait_for_url("**text=short*")


def test_the_back_button_forgets_nothing_of_the_view_that_is_left(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack", n="12")
    page.get_by_role("tab", name="WebSocket").click()
    page.get_by_role("textbox", name="Message").fill("y" * 5000)
    page.go_back()
    expect(page.get_by_label("Requests", exact=True)).to_have_value("12")
    page.get_by_role("tab", name="WebSocket").click()
    expect(page.get_by_role("textbox", name="Message")).to_have_value("y" * 5000)


def test_the_footer_says_who_gave_the_last_answer(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack")
    with page.expect_response("**/echo/request") as told:
        page.get_by_role("button", name="Send another").click()
    headers = told.value.headers
    expect(page.locator("[data-last=request]")).to_have_text(headers["x-request-id"])
    expect(page.locator("[data-last=instance]")).to_have_text(headers["x-instance"])
    expect(page.locator("[data-last=time]")).to_contain_text("ms")


def test_a_view_that_does_not_load_says_so(page: Page, stack_url: str, complaints: Complaints) -> None:
    complaints.allow("Failed to load resource: net::ERR_FAILED")
    page.route("**/stack.js", lambda route: route.abort())
    page.goto(f"{stack_url}/#view=stack")
    expect(page.get_by_role("alert").filter(has_text="This view did not load")).to_be_visible()


BODIES = [
    'it\'s "quoted" `x` $HOME \\n %s %% !!',
    "@/etc/passwd",
    "-d",
    "line\nline\r\n\ttab\n",
    "nul\0nul\\0%d\0'",
    "\u202eevil\u200f שלום ✓ 😀",
    "{a,b}[1-3]",
    " ",
]


def test_the_curl_command_sends_exactly_what_the_page_would(page: Page, stack_url: str) -> None:
    commands = with_module(
        page,
        stack_url,
        """({ curl }, bodies) => bodies.map((body) =>
            curl("POST", "/echo", { body, headers: { "X-Note": body.replace(/[^ -~]/g, "") } }))""",
        "curl",
        BODIES,
    )
    for command, body in zip(commands, BODIES, strict=True):
        done = subprocess.run(["sh", "-c", f"{command} -sS"], capture_output=True, check=True, timeout=20)
        assert done.stdout == body.encode()


PLACES = [
    (3, "ab\ncd", "ab↵[c]d"),
    (1, "😀é!", "😀[é]!"),
    (2, "ab", "ab[end]"),
    (99, "ab", "ab[end]"),
    (60, "x" * 60 + "\u202ey?" + "z" * 60, "…" + "x" * 24 + "[⟨U+202E⟩]y?" + "z" * 22 + "…"),
]


def test_a_problem_shows_the_place_in_a_text(page: Page, stack_url: str) -> None:
    shown = with_module(
        page,
        stack_url,
        """({ problemBox }, places) => places.map(([position, source]) => {
            const box = problemBox();
            box.show({ title: "Wrong", detail: "<b>x</b>", status: 400, position }, source);
            const place = box.node.querySelector(".problem-place");
            const mark = place.querySelector("mark");
            mark.textContent = `[${mark.textContent}]`;
            return [place.textContent, box.node.querySelectorAll("b").length];
        })""",
        "problem",
        PLACES,
    )
    assert shown == [[text, 0] for _, _, text in PLACES]


def with_module(page: Page, stack_url: str, function: str, module: str, argument: Any) -> Any:
    """What a function of a module of the console and an argument gives, in a page."""
    open_view(page, stack_url, "stack")
    return page.evaluate(
        f"async (argument) => ({function})(await import('/static/console/{module}.js'), argument)", argument
    )
