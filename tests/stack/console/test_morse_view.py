"""The Morse view as people use it, in Chromium through nginx: seen, heard, keyed by real keys."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import wirecodes
from playwright.sync_api import BrowserContext, Page, expect

from tests.stack.console.accessible import assert_accessible
from tests.stack.console.codecs_view import link
from tests.stack.console.hearing import TAP, heard, rendered, stretches
from tests.stack.console.morse_view import code, open_morse
from tests.stack.console.pages import Complaints

MORSE = wirecodes.get("morse")


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """One whose sound can be measured."""
    page = context.new_page()
    page.add_init_script(TAP)
    return page


def rectangles(page: Page) -> list[tuple[float, float]]:
    """Where each signal of the timeline begins and ends, in pixels."""
    found: list[list[float]] = page.locator(".keying rect:not(.lamp)").evaluate_all(
        "all => all.map(({ x, width }) => [x.baseVal.value, x.baseVal.value + width.baseVal.value])"
    )
    return [(begin, end) for begin, end in found]


def in_units(signals: list[tuple[float, float]]) -> str:
    """The keying in digits, as `to=units` writes it, with a unit as long as the shortest signal."""
    unit = min(end - begin for begin, end in signals)
    lengths = [round((end - begin) / unit) for begin, end in signals]
    gaps = [round((after[0] - before[1]) / unit) for before, after in pairwise(signals)] + [1]
    return "".join("1" * length + "0" * gap for length, gap in zip(lengths, gaps, strict=True))


def test_a_text_becomes_code_and_a_timeline_in_proportion_to_its_units(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url, text="x")
    page.get_by_role("textbox", name="Text").fill("SOS, 73 <SK>")
    expect(code(page)).to_have_text(MORSE.encode("SOS, 73 <SK>").decode())
    expect(page.locator(".keying .letter")).to_have_count(7)
    assert page.locator(".keying .letter text").all_text_contents() == ["S", "O", "S", ",", "7", "3", "<SK>"]
    assert in_units(rectangles(page)) == MORSE.encode("SOS, 73 <SK>", to="units").decode()
    expect(page.get_by_role("img", name=re.compile("^Keying of SOS, 73 <SK>, "))).to_be_visible()


def test_farnsworth_widens_the_gaps_only(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url, text="EE E", wpm=20, farnsworth=10)
    expect(page.locator(".keying .letter")).to_have_count(3)
    signals = rectangles(page)
    unit = signals[0][1] - signals[0][0]
    share = (60 * 20 - 37.2 * 10) / (10 * 20) / 19 / 0.06  # units, of the gaps' units
    gaps = [(after[0] - before[1]) / unit for before, after in pairwise(signals)]
    assert gaps == pytest.approx([3 * share, 7 * share], rel=1e-3)


def test_a_long_text_is_drawn_only_where_it_can_be_seen(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url, text="paris " * 300)
    letters = page.locator(".keying .letter")
    expect(letters.first).to_be_visible()
    assert letters.count() < 60
    page.get_by_role("region", name="Timeline").evaluate(
        "line => line.scrollTo({ left: 1e9, behavior: 'instant' })"
    )
    expect(page.locator(".keying [data-letter='1499']")).to_be_visible()
    assert letters.count() < 60


@pytest.mark.parametrize(("wpm", "tone"), [(20, 600), (45, 1200)])
def test_the_sound_has_the_tone_and_the_lengths_of_the_keying(
    page: Page, stack_url: str, wpm: int, tone: int
) -> None:
    open_morse(page, stack_url)
    rate = 24_000
    samples = rendered(page, MORSE.encode("PARIS K").decode(), wpm, tone, rate)
    found = stretches(samples, rate, tone)
    unit = 1.2 / wpm
    expected = re.findall("1+|0+", MORSE.encode("PARIS K", to="units").decode().rstrip("0"))
    assert [length / unit for _, length in found] == pytest.approx([len(run) for run in expected], abs=0.12)
    assert [down for down, _ in found] == [run[0] == "1" for run in expected]
    wav = (
        b"RIFF"
        + (36 + 2 * len(samples)).to_bytes(4, "little")
        + b"WAVEfmt \x10\0\0\0\1\0\1\0"
        + rate.to_bytes(4, "little")
    )
    wav += (2 * rate).to_bytes(4, "little") + b"\2\0\x10\0data" + (2 * len(samples)).to_bytes(4, "little")
    wav += b"".join(round(32767 * value).to_bytes(2, "little", signed=True) for value in samples)
    assert MORSE.decode(wav, from_="wav") == b"PARIS K"


def watch_letters(page: Page) -> None:
    """Notes in `lit` which letters light up, and when on the sound's clock: a busy test would miss them."""
    page.evaluate(
        """() => {
            globalThis.lit = [];
            new MutationObserver(() => {
                const letter = document.querySelector(".keying .lit")?.dataset.letter ?? null;
                if (letter && letter !== lit.at(-1)?.letter) lit.push({ letter, at: tap.now() });
            }).observe(document.querySelector(".keying"), { subtree: true, attributes: true, attributeFilter: ["class"] });
        }"""
    )


def wait_for_letter(page: Page, number: int) -> None:
    page.wait_for_function("(number) => lit.at(-1)?.letter === number", arg=str(number))


def test_playing_sounds_and_lights_up_the_letter_that_sounds(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url, text="oj m", wpm=20, tone=700)
    watch_letters(page)
    play = page.get_by_role("button", name="Play", exact=True)
    play.click()
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    page.get_by_role("button", name="Stop", exact=True).wait_for(state="hidden")
    sound = heard(page, 700)
    assert max(sound.level) > 0.15
    assert min(sound.level) < 0.01
    assert sound.peak == pytest.approx(700, abs=30)
    lit = page.evaluate("lit")
    assert [each["letter"] for each in lit] == ["0", "1", "2"]
    unit = 1.2 / 20
    seen = [(each["at"] - page.evaluate("tap.edges[0]")) / unit for each in lit]
    spans = ((0, 11), (14, 27), (34, 41))  # of the letters; what is late by a frame is late by 0.3 units
    assert all(begin - 1 <= at <= end + 3 for (begin, end), at in zip(spans, seen, strict=True)), seen


def test_stopping_is_silence_and_a_letter_can_be_picked(page: Page, stack_url: str) -> None:
    # It sounds for most of a minute: axe takes long on a slow machine, and must not find the end.
    open_morse(page, stack_url, text="ttttt o ooooo ooooo ooooo ooooo", wpm=8)
    watch_letters(page)
    page.locator(".keying [data-letter='2']").click()
    wait_for_letter(page, 2)
    assert_accessible(page)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".keying .lit")).to_have_count(0)
    page.wait_for_function("() => tap.level() < 0.001")
    then = page.evaluate("(tap.levels.length = 0) || tap.now()")
    page.wait_for_function("(then) => tap.now() > then + 1", arg=then)  # two letters more would have sounded
    assert max(heard(page, 600).level) < 0.001
    page.get_by_role("region", name="Timeline").press("Enter")
    wait_for_letter(page, 0)
    page.get_by_role("spinbutton", name="Speed").fill("16")
    page.get_by_role("spinbutton", name="Speed").press("Tab")
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()  # it goes on, faster
    wait_for_letter(page, 5)
    page.get_by_role("tab", name="Codecs").click()
    page.wait_for_function("() => tap.level() < 0.001")


def test_speed_and_tone_are_in_the_sound_the_link_and_the_command(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url, text="paris paris")
    page.get_by_role("slider", name="Tone, Hz").fill("900")
    page.get_by_role("spinbutton", name="Speed").fill("30")
    page.get_by_role("slider", name=re.compile("Farnsworth")).fill("15")
    expect(page.get_by_text("units of 40 ms")).to_be_visible()
    expect(page.locator(".command-text")).to_contain_text("to=wav&wpm=30&farnsworth=15&tone=900")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save WAV").click()
    content = Path(download.value.path()).read_bytes()
    assert content == MORSE.encode("paris paris", to="wav", wpm=30, farnsworth=15, tone=900)
    assert "tone=900" in link(page)
    page.reload()
    expect(page.get_by_role("slider", name="Tone, Hz")).to_have_value("900")
    expect(page.get_by_role("spinbutton", name="Speed")).to_have_value("30")
    expect(page.get_by_role("textbox", name="Text")).to_have_value("paris paris")


def test_a_recording_is_read(page: Page, complaints: Complaints, stack_url: str) -> None:
    complaints.allow_refusals()
    open_morse(page, stack_url)
    choose = page.locator("#panel-morse input[type=file]")

    def choose_recording(content: bytes) -> None:
        choose.set_input_files({"mimeType": "audio/wav", "name": "<b>.wav", "buffer": content})

    choose_recording(MORSE.encode("the dude abides", to="wav", tone=440, wpm=27))
    expect(page.get_by_text("THE DUDE ABIDES", exact=True)).to_be_visible()
    page.get_by_role("region", name="Listen").get_by_role("button", name="Use as text").click()
    expect(page.get_by_role("textbox", name="Text")).to_have_value("THE DUDE ABIDES")
    expect(code(page)).to_have_text(MORSE.encode("the dude abides").decode())
    choose_recording(b"no sound at all")
    expect(page.get_by_role("alert").filter(has_text="cannot be decoded")).to_be_visible()
    long = MORSE.encode("what a day " * 5, to="wav", rate=48000, wpm=40)
    assert len(long) > 1 << 20
    choose_recording(long)
    expect(page.locator(".heard")).to_have_text(re.compile("^(WHAT A DAY ?){5}$"))


def test_the_alphabet_is_sorted_and_heard(page: Page, stack_url: str) -> None:
    open_morse(page, stack_url)
    table = page.get_by_role("table", name="The Morse alphabet")
    first = table.locator("tbody tr td:first-child")
    assert first.all_inner_texts() == [sign["symbol"] for sign in wirecodes.morse.table()]
    table.get_by_role("button", name="Share").click()
    expect(table.get_by_role("columnheader", name="Share")).to_have_attribute("aria-sort", "descending")
    assert first.all_inner_texts()[:4] == ["E", "T", "A", "O"]
    table.get_by_role("button", name="Units").click()
    assert first.first.inner_text() == "<SOS>"
    table.get_by_role("button", name="Play <SOS>").click()
    page.wait_for_function("() => tap.level() > 0.1")
    expect(table.get_by_role("img", name="dot dot dot dash dash dash dot dot dot")).to_be_visible()


def test_a_character_without_code_is_shown_left_out_or_replaced(
    page: Page, complaints: Complaints, stack_url: str
) -> None:
    complaints.allow_refusals()
    open_morse(page, stack_url, text="so 🌊 s")
    expect(page.locator(".problem mark")).to_have_text("🌊")
    page.get_by_role("button", name="Go to the place").click()
    area = page.get_by_role("textbox", name="Text")
    assert area.evaluate("area => area.selectionStart") == 3
    page.get_by_label("A character without code").select_option("skip")
    expect(code(page)).to_have_text("... --- / ...")
    page.get_by_label("A character without code").select_option("replace")
    expect(code(page)).to_have_text("... --- / ..--.. / ...")
    expect(page.locator(".command-text")).to_contain_text("unknown=replace")
    assert "unknown=replace" in link(page)
    page.reload()
    expect(code(page)).to_have_text("... --- / ..--.. / ...")


def test_a_hostile_link_falls_back_to_what_is_usual(
    page: Page, complaints: Complaints, stack_url: str
) -> None:
    complaints.allow_refusals()  # a mark of direction has no code
    wrong = {"wpm": "<b>", "tone": "1e9", "farnsworth": "-1", "sort": "x", "unknown": "__proto__"}
    open_morse(page, stack_url, text="<SOS>\u202e e", **wrong)
    expect(page.get_by_role("spinbutton", name="Speed")).to_have_value("20")
    expect(page.get_by_role("slider", name="Tone, Hz")).to_have_value("600")
    expect(page.locator("#panel-morse .problem").first).to_be_visible()
