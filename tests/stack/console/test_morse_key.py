"""The Morse key by real key events and the pointer, in Chromium through nginx: what is keyed is heard and read."""

from __future__ import annotations

import re
import time

import pytest
import wirecodes
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.stack.console.accessible import assert_accessible
from tests.stack.console.codecs_view import box
from tests.stack.console.hearing import TAP
from tests.stack.console.morse_view import code, open_morse

MORSE = wirecodes.get("morse")


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """One whose sound can be measured."""
    page = context.new_page()
    page.add_init_script(TAP)
    return page


def keyed(page: Page) -> Locator:
    return page.get_by_role("log", name="What you keyed")


class Hand:
    """Keys by the space bar or the mouse: real events of the browser, at times that are told with them, for a busy machine
    delivers them late, as it would a real key's."""

    def __init__(self, page: Page, unit: float, *, x: float | None = None, y: float = 0.0) -> None:
        self._page = page
        self._session = page.context.new_cdp_session(page)
        self._unit = unit
        self._place = None if x is None else {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._now = time.time()

    def key(self, code: str) -> None:
        """One letter, and the gap after it; a word's is `rest(4)` longer."""
        for element in code:
            self._send(down=True)
            self.rest(3 if element == "-" else 1)
            self._send(down=False)
            self.rest(1)
        self.rest(2)

    def rest(self, units: float) -> None:
        self._now += units * self._unit
        self._page.wait_for_timeout(max(0.0, 1000 * (self._now - time.time())))

    def _send(self, *, down: bool) -> None:
        if self._place:
            event = {
                **self._place,
                "type": "mousePressed" if down else "mouseReleased",
                "timestamp": self._now,
            }
            self._session.send("Input.dispatchMouseEvent", event)
        else:
            event = {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "timestamp": self._now}
            self._session.send("Input.dispatchKeyEvent", {**event, "type": "keyDown" if down else "keyUp"})


@pytest.mark.slow
def test_the_space_bar_is_a_key_and_what_it_keys_is_read_at_once(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url)
    page.locator(".key").focus()
    page.keyboard.down(" ")
    page.wait_for_function("() => tap.level() > 0.1")
    page.keyboard.up(" ")
    page.wait_for_function("() => tap.level() < 0.01")
    page.get_by_role("button", name="Clear").click()
    hand = Hand(page, 0.09)
    for letter in ("...", "---", "..."):
        hand.key(letter)
    expect(keyed(page)).to_have_text(re.compile("^SOS ?$"))
    expect(page.get_by_role("status", name="Your speed")).to_have_text(re.compile(r"^1[234] words a minute$"))
    hand.rest(4)
    hand.key("-")
    expect(keyed(page)).to_have_text("SOS T")
    assert_accessible(page)
    page.get_by_role("region", name="Key it yourself").get_by_role("button", name="Use as text").click()
    expect(page.get_by_role("textbox", name="Text")).to_have_value("SOS T")
    page.keyboard.type(" e")  # in a text the space bar is a space
    expect(code(page)).to_have_text("... --- ... / - / .")


def test_the_pointer_is_a_key_too_at_a_speed_of_its_own(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url)
    page.locator(".key").scroll_into_view_if_needed()
    place = box(page.locator(".key"))
    hand = Hand(page, 0.18, x=place["x"] + 20, y=place["y"] + 20)
    for letter in ("-.-", "."):
        hand.key(letter)
    expect(keyed(page)).to_have_text("KE")


def spelled(page: Page, text: str, unit: float, waver: float) -> str:
    """What the keyer reads of a text keyed at `unit` seconds, each moment off by up to `waver` units."""
    read: str = page.evaluate(
        """async ([code, unit, waver]) => {
            const [{ Keyer }, { lettersOf, schedule, timing }] = await Promise.all(
                ["keyer", "signals"].map((name) => import(`/static/console/${name}.js`)));
            const signs = await (await fetch("/codecs/morse/table")).json();
            const symbols = new Map(signs.map((sign) => [sign.code, sign.symbol]));
            let seed = 1;
            const off = () => (((seed = (seed * 48271) % 2147483647) / 2147483647) - 0.5) * 2 * waver * unit;
            const keyer = new Keyer(symbols);
            for (const { at, end } of schedule(lettersOf(code, symbols), timing(1.2 / unit)).signals) {
                keyer.down(at + off());
                keyer.up(end + off());
            }
            while (keyer.deadline !== null) keyer.tick(keyer.deadline);
            return keyer.reading.text;
        }""",
        [MORSE.encode(text).decode(), unit, waver],
    )
    return read


def test_a_hand_is_read_at_any_speed_though_it_wavers(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url)
    text = "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG 73"
    for unit in (0.03, 0.06, 0.12, 0.2, 0.35):
        for waver in (0, 0.2):
            assert spelled(page, text, unit, waver) == text, (unit, waver)
