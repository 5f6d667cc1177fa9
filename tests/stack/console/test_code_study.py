"""A look into Huffman and Shannon-Fano codes in the Codecs view, and what must not hurt it: hostile and large inputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import wirecodes
from playwright.sync_api import Page, expect

from tests.stack.console.accessible import assert_fits
from tests.stack.console.codecs_view import area, box, choose, link, open_codecs, result, saved, tree
from tests.stack.console.pages import Complaints, longest_task


def test_a_large_file_is_looked_into_when_that_is_asked_for(
    page: Page, stack_url: str, tmp_path: Path
) -> None:
    (tmp_path / "large.bin").write_bytes(b"abracadabra" * 200_000)
    open_codecs(page, stack_url, codec="shannon-fano")
    page.locator("#panel-codecs input[type=file]").set_input_files(tmp_path / "large.bin")
    page.get_by_role("button", name="Look into the code of 2.10 MiB").click()
    expect(page.get_by_role("table", name="Words of the code").get_by_role("row")).to_have_count(6)
    expect(tree(page).locator("circle")).not_to_have_count(0)


def test_the_words_are_sorted_by_any_column_also_by_the_keyboard(page: Page, stack_url: str) -> None:
    text = "that rug really tied the room together"
    open_codecs(page, stack_url, text=text)
    symbols = wirecodes.huffman.analyse(text.encode())["symbols"]
    table = page.get_by_role("table", name="Words of the code")

    def shown(column: int) -> list[str]:
        return table.locator(f"tbody tr td:nth-child({column})").all_inner_texts()

    expect(table.get_by_role("columnheader", name="Count")).to_have_attribute("aria-sort", "descending")
    assert shown(1) == [each["text"] for each in symbols]
    table.get_by_role("button", name="Word").click()
    assert shown(6) == sorted(each["code"] for each in symbols)
    expect(table.get_by_role("columnheader", name="Word")).to_have_attribute("aria-sort", "ascending")
    expect(table.get_by_role("columnheader", name="Count")).not_to_have_attribute(
        "aria-sort", re.compile(".")
    )
    table.get_by_role("button", name="Word").press("Enter")
    assert shown(6) == sorted((each["code"] for each in symbols), reverse=True)
    assert "sort=-code" in link(page)
    page.reload()
    expect(table.get_by_role("columnheader", name="Word")).to_have_attribute("aria-sort", "descending")
    expect(table.locator("tbody tr")).to_have_count(len(symbols))


@pytest.mark.parametrize("radix", [2, 3])
def test_bars_are_as_long_as_the_codes_they_stand_for(page: Page, stack_url: str, radix: int) -> None:
    text = "that rug really tied the room together " * 20
    open_codecs(page, stack_url, text=text)
    page.get_by_label("Digits of the code").select_option(str(radix))
    analysis = wirecodes.huffman.analyse(text.encode(), radix=radix)
    fixed = analysis["comparison"]["fixed"]["expected_length"]
    cell = page.locator(".lengths tr", has_text="Fixed length").locator(".length-value")
    expect(cell).to_have_text(f"{fixed:.3f}")
    rows = page.locator(".lengths tbody tr")
    widths = rows.locator(".length-bar").evaluate_all(
        "bars => bars.map((bar) => bar.getBoundingClientRect().width)"
    )
    values = [float(value) for value in rows.locator(".length-value").all_inner_texts()]
    assert values[0] == round(analysis["expected_length"], 3)
    assert len(values) == 5
    assert [width / widths[0] for width in widths] == pytest.approx(
        [value / values[0] for value in values], rel=0.01
    )
    line, track = (box(rows.first.locator(each)) for each in (".limit", ".length-track"))
    reach = (line["x"] + line["width"] / 2 - track["x"]) / widths[0]
    assert reach == pytest.approx(analysis["entropy"] / analysis["expected_length"], rel=0.02)
    figures = page.locator(".figures").inner_text()
    assert f"{analysis['entropy']:.4f}" in figures
    assert f"{100 * analysis['efficiency']:.2f} %" in figures


def test_the_tree_is_zoomed_moved_and_saved(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, text="".join(map(chr, range(33, 120))))
    frame = tree(page)
    expect(frame.locator("rect")).to_have_count(87)
    picture = frame.locator("svg")
    width = float(picture.get_attribute("width") or 0)
    page.get_by_role("button", name="Zoom in").click()
    assert float(picture.get_attribute("width") or 0) == pytest.approx(1.25 * width)
    frame.press("-")
    frame.press("-")
    expect(page.locator(".zoom-value")).to_have_text("80 %")
    frame.press("0")
    before = frame.evaluate("frame => frame.scrollTop")
    frame.press("ArrowDown")  # by 40 pixels, and in browsers that means a little at a time
    page.wait_for_function(
        "([frame, top]) => frame.scrollTop === top + 40", arg=[frame.element_handle(), before]
    )
    place = box(frame)
    frame.evaluate("frame => frame.scrollTo({ top: 300, behavior: 'instant' })")
    page.mouse.move(place["x"] + 200, place["y"] + 200)
    page.mouse.down()
    page.mouse.move(place["x"] + 200, place["y"] + 120, steps=4)
    page.mouse.up()
    assert frame.evaluate("frame => frame.scrollTop") == pytest.approx(380, abs=2)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -250)
    page.keyboard.up("Control")
    expect(page.locator(".zoom-value")).to_have_text("200 %")
    page.get_by_role("button", name="Fit into the window").click()
    assert frame.evaluate("frame => frame.scrollHeight <= frame.clientHeight + 1")
    name, svg = saved(page, "Save SVG")
    assert name == "huffman-tree.svg"
    assert svg.decode() == wirecodes.huffman.tree(bytes(range(33, 120))).to_svg()
    assert "zoom=" in link(page)
    page.reload()
    expect(page.locator(".zoom-value")).not_to_have_text("100 %")


def test_codes_inside_a_pipeline_and_decoded_ones_are_looked_into(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="base16+huffman", text="aaab")
    words = page.get_by_role("table", name="Words of the code")
    expect(words.locator("tbody tr")).to_have_count(3)  # 6, 1 and 2: the digits
    coded = wirecodes.get("shannon-fano+base64").encode(b"mississippi").decode()
    open_codecs(page, stack_url, codec="shannon-fano+base64", do="decode", text=coded)
    expect(page.get_by_role("heading", name="Inside the Shannon-Fano code")).to_be_visible()
    expect(words.locator("tbody tr td:first-child")).to_have_text(["i", "s", "p", "m"])


HOSTILE = "<img src=x onerror=alert(1)>\u202egnp\u0000\u0007<script>1</script>\u2066&amp;"


def test_hostile_texts_are_shown_and_do_nothing(page: Page, complaints: Complaints, stack_url: str) -> None:
    complaints.allow_refusals()  # of a codec that there is not, in the end
    open_codecs(page, stack_url, codec="rot13", text=HOSTILE.replace("\0", ""))
    expect(result(page)).to_contain_text("⟨U+202E⟩")
    assert "\u202e" not in result(page).inner_text()
    page.get_by_label("Codec", exact=True).select_option("huffman")
    expect(tree(page).locator("text", has_text="BEL")).to_have_count(1)
    expect(tree(page).locator("text").filter(has_text=re.compile("^<$"))).to_have_count(1)
    choose(page, HOSTILE.replace("\0", "").replace("/", ""), HOSTILE.encode())
    expect(page.get_by_role("group", name="Chosen file")).to_contain_text(
        "<img src=x onerror=alert(1)>⟨U+202E⟩gnp"
    )
    expect(page.get_by_role("table", name="Words of the code")).to_contain_text("NUL")
    assert "\u202e" not in page.locator("#panel-codecs").inner_text()
    assert page.locator("#panel-codecs").locator("img, script, b").count() == 0
    open_codecs(
        page, stack_url, codec="<img src=x>", text="x", sort="<b>", zoom="x", radix="99", form="<", do="<"
    )
    expect(page.get_by_role("alert").filter(has_text="Known")).to_be_visible()


def test_a_line_of_a_mebibyte_and_all_symbols_do_not_freeze_the_page(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="base64")
    with longest_task(page) as seconds:
        area(page).evaluate(
            """(area) => {
                const clipboardData = new DataTransfer();
                clipboardData.setData("text/plain", "x".repeat(1 << 20));
                area.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
            }"""
        )
        expect(page.get_by_text("1.00 MiB → 1.33 MiB")).to_be_visible()
        assert len(result(page).inner_text()) <= 8192
        page.get_by_label("Codec", exact=True).select_option("huffman")
        choose(page, "all.bin", bytes(range(256)) * 4000)
        expect(tree(page).locator("rect")).to_have_count(256)
        expect(page.get_by_role("table", name="Words of the code").locator("tbody tr")).to_have_count(256)
        page.set_viewport_size({"width": 360, "height": 740})
        assert_fits(page)
    assert seconds[0] < 1
