"""Trees as a browser draws them: no text touches another, nothing is outside of the picture."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
import wirecodes

PROGRAMS = f"{os.environ.get('PATH', '')}:/usr/bin"

#: The one without windows first: a page costs a third of the processor time there.
CHROMIUM = shutil.which("chromium-headless-shell", path=PROGRAMS) or shutil.which("chromium", path=PROGRAMS)

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: What getBoundingClientRect says of the whole picture, of its texts and of its shapes.
BOXES = """() => {
    const box = (element) => {
        const {left, top, right, bottom} = element.getBoundingClientRect();
        return {left, top, right, bottom, text: element.textContent, kind: element.getAttribute("class")};
    };
    const all = (selector) => [...document.querySelectorAll(selector)].map(box);
    return {picture: all("svg")[0], texts: all("text"), boxes: all("rect"), shapes: all("path, circle, rect")};
}"""

CONTROLS = bytes([*range(32), 127])

#: A picture in, what BOXES says of it out.
Draw = Callable[[str], dict[str, Any]]

#: Name: data, radix.
TREES = {
    "no symbol": (b"", 2),
    "one symbol": (b"a", 2),
    "five symbols": (b"aaabbbcde", 2),
    "forty with all control characters": (CONTROLS + b"<&>\"'" * 90 + b"  ", 2),
    "two hundred and more, alike": (bytes(range(220)), 2),
    "two hundred and more, in ten digits": (b"".join(bytes([n]) * (n + 1) for n in range(256)), 10),
    "as deep as it gets": (b"".join(bytes([65 + n]) * 2**n for n in range(18)), 2),
    "a wide title": (b"a" * 3_000_000, 2),
}


@pytest.fixture(scope="module")
def draw() -> Iterator[Draw]:
    """A browser in a separate thread: playwright runs once a thread, and another suite may have one in this."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with ThreadPoolExecutor(1) as thread, ExitStack() as ending:
        running = thread.submit(playwright.sync_playwright().start).result()
        ending.callback(lambda: thread.submit(running.stop).result())
        launch = running.chromium.launch
        browser = thread.submit(launch, executable_path=CHROMIUM, headless=True, args=list(FLAGS)).result()
        page = thread.submit(browser.new_page).result()

        def drawn(picture: str) -> dict[str, Any]:
            page.set_content(picture)
            found: dict[str, Any] = page.evaluate(BOXES)
            return found

        yield lambda picture: thread.submit(drawn, picture).result()
        thread.submit(browser.close).result()


def touching(texts: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The texts that touch each other."""
    ordered = sorted(texts, key=lambda box: box["top"])
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other["top"] >= one["bottom"]:
                break
            if one["left"] < other["right"] and other["left"] < one["right"]:
                yield one["text"], other["text"]


def outside(boxes: list[dict[str, Any]], picture: dict[str, Any]) -> list[dict[str, Any]]:
    low, high = ("left", "top"), ("right", "bottom")
    return [
        box
        for box in boxes
        if any(box[side] < picture[side] for side in low) or any(box[side] > picture[side] for side in high)
    ]


@pytest.mark.parametrize("code", ["huffman", "shannon_fano"])
@pytest.mark.parametrize("name", TREES)
def test_no_text_touches_another_or_leaves_the_picture(draw: Draw, code: str, name: str) -> None:
    data, radix = TREES[name]
    seen = draw(getattr(wirecodes, code).tree(data, radix).to_svg())
    leaves = len(set(data))
    assert len(seen["boxes"]) == leaves
    assert len(seen["texts"]) >= 1 + 3 * leaves
    assert list(touching(seen["texts"])) == []
    others = [text for text in seen["texts"] if text["kind"] != "symbol"]
    assert list(touching(others + seen["boxes"])) == []
    assert outside(seen["texts"] + seen["shapes"], seen["picture"]) == []


def test_symbols_stay_in_their_boxes(draw: Draw) -> None:
    seen = draw(wirecodes.huffman.tree(bytes(range(256))).to_svg())
    symbols = [text for text in seen["texts"] if text["kind"] == "symbol"]
    assert len(symbols) == len(seen["boxes"]) == 256
    for text, box in zip(symbols, seen["boxes"], strict=True):
        assert box["left"] < text["left"] < text["right"] < box["right"], text
        assert box["top"] < (text["top"] + text["bottom"]) / 2 < box["bottom"], text


def test_control_characters_are_shown_by_name() -> None:
    picture = ElementTree.fromstring(wirecodes.huffman.tree(CONTROLS + b" \x80").to_svg())
    texts = ["".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"NUL", "HT", "LF", "CR", "ESC", "US", "DEL", "SP", "0x80"} <= set(texts)
    assert all(character.isprintable() for text in texts for character in text)


def test_leaves_stand_in_the_order_of_their_codes_with_probability_and_code() -> None:
    picture = ElementTree.fromstring(wirecodes.huffman.tree(b"aaabbbcde").to_svg())
    texts = [
        (element.get("class"), element.text) for element in picture.iter("{http://www.w3.org/2000/svg}text")
    ]
    codes = [text or "" for kind, text in texts if kind == "code"]
    assert codes == sorted(codes) == ["00", "01", "10", "110", "111"]
    assert [text for kind, text in texts if kind == "symbol"] == list("abecd")
    assert [text for kind, text in texts if kind == "share"] == ["33.33%", "33.33%", *["11.11%"] * 3]
    rows = [float(element.get("y") or 0) for element in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert all(after - before == rows[1] - rows[0] > 0 for before, after in pairwise(rows))
