"""The Codecs view as people use it, in Chromium through nginx. What comes out is compared with what the codecs themselves give."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import wirecodes
from playwright.sync_api import BrowserContext, Page, expect

from tests.stack.console.accessible import assert_accessible
from tests.stack.console.codecs_view import area, choose, link, open_codecs, result, saved
from tests.stack.console.pages import Complaints

#: Bytes a second that a slow line sends, so that a transfer can be watched and cancelled.
SLOW = 2 << 20


def slow_line(page: Page, bytes_per_second: int) -> None:
    """-1: as fast as it goes."""
    conditions = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": bytes_per_second,
    }
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", conditions)


def test_what_is_typed_is_converted_as_it_is_typed(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url)
    page.get_by_label("Codec", exact=True).select_option("base64")
    area(page).fill("")
    area(page).press_sequentially("Übermut 🌊")
    expect(result(page)).to_have_text(wirecodes.get("base64").encode("Übermut 🌊".encode()).decode())
    expect(page.get_by_text("13 bytes → 20 bytes, 153.8 % of the input")).to_be_visible()
    expect(page.locator(".command-text").first).to_contain_text("/codecs/base64/encode")
    page.get_by_role("button", name="Use as input").click()
    expect(page.get_by_role("radio", name="Decode")).to_be_checked()
    expect(result(page)).to_have_text("Übermut 🌊")


def test_a_pipeline_grows_to_eight_stages_and_runs_backwards(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="zlib", text="over the line " * 9)
    add = page.get_by_role("button", name="Add a stage")
    add.click()
    data = ("over the line " * 9).encode()
    expect(result(page)).to_have_text(wirecodes.get("zlib+base64").encode(data).decode())
    for _ in range(6):
        add.click()
    expect(add).to_be_disabled()
    expect(page.locator(".stages select")).to_have_count(8)
    page.get_by_role("button", name="Use as input").click()
    expect(result(page)).to_have_text(data.decode().strip())
    page.get_by_role("radio", name="Encode").check()
    for stage in range(8, 2, -1):
        page.get_by_role("button", name=f"Remove stage {stage}").click()
    page.get_by_label("Stage 2", exact=True).select_option("base16")
    expect(result(page)).to_have_text(re.compile("^[0-9A-F]+$"))
    assert "codec=zlib%2Bbase16" in page.evaluate(
        "import('/static/console/state.js').then((state) => state.link())"
    )


def test_options_come_from_the_catalogue_and_go_with_the_request(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="gzip+base64", text="x" * 500)
    expect(result(page)).to_have_text(wirecodes.get("gzip+base64").encode(b"x" * 500).decode())
    page.get_by_label("level").fill("0")
    expect(result(page)).to_have_text(wirecodes.get("gzip+base64").encode(b"x" * 500, level=0).decode())
    expect(page.locator(".command-text").first).to_contain_text("level=0")
    page.get_by_label("Stage 1", exact=True).select_option("morse")
    area(page).fill("SOS")
    page.get_by_label("to", exact=True).select_option("prefix")
    expect(result(page)).to_have_text(wirecodes.get("morse+base64").encode("SOS", to="prefix").decode())


def test_an_error_shows_where_in_the_input_it_is(page: Page, complaints: Complaints, stack_url: str) -> None:
    complaints.allow_refusals()
    open_codecs(page, stack_url, codec="percent", do="decode", text="näiv🌊e %zz end")
    alert = page.get_by_role("alert").filter(has_text="cannot be decoded")
    expect(alert.locator("mark")).to_have_text("%")
    expect(alert).to_contain_text("at byte 11.Position 7")  # of characters
    assert_accessible(page)
    page.get_by_role("button", name="Go to the place").click()
    field = area(page)
    expect(field).to_be_focused()
    assert field.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)") == "%"
    page.keyboard.press("Delete")
    page.keyboard.type("-")
    expect(result(page)).to_have_text("näiv🌊e -zz end")
    expect(alert).to_be_hidden()


def test_an_error_in_a_later_stage_is_not_placed_in_the_input(
    page: Page, complaints: Complaints, stack_url: str
) -> None:
    complaints.allow_refusals()
    wrong = wirecodes.get("base64").encode(b"no morse: 123").decode()
    open_codecs(page, stack_url, codec="morse+base64", do="decode", text=wrong)
    alert = page.get_by_role("alert").filter(has_text="cannot be decoded")
    expect(alert).to_contain_text("no dot and no dash")
    expect(alert.locator("mark")).to_have_count(0)


def test_an_error_in_a_file_is_shown_with_the_bytes_around_it(
    page: Page, complaints: Complaints, stack_url: str
) -> None:
    complaints.allow_refusals()
    open_codecs(page, stack_url, codec="base16", do="decode")
    choose(page, "digits.txt", b"0A" * 70_000 + b"!" + b"0B" * 20_000)
    expect(page.locator(".problem mark")).to_have_text("21")
    expect(page.locator(".problem-place")).to_contain_text("30 41 30 41 21 30 42 30 42")


def test_bytes_are_typed_as_hexadecimal_digits(page: Page, stack_url: str) -> None:
    open_codecs(
        page,
        stack_url,
        codec="gzip",
        do="decode",
        form="hex",
        text=wirecodes.get("gzip").encode(b"abide").hex(),
    )
    expect(result(page)).to_have_text("abide")
    command = page.locator(".command-text").first.inner_text()
    assert os.popen(command).read() == "abide"
    field = area(page)
    field.fill("1f 8")
    expect(page.get_by_text("Two hexadecimal digits for each byte")).to_be_visible()
    assert field.get_attribute("aria-invalid") == "true"


def test_a_large_file_goes_with_progress_and_can_be_cancelled(
    page: Page, stack_url: str, tmp_path: Path
) -> None:
    content = os.urandom(2 << 20) + bytes(3 << 20)
    (tmp_path / "bowling.bin").write_bytes(content)
    open_codecs(page, stack_url, codec="zstd")
    slow_line(page, SLOW)
    page.locator("#panel-codecs input[type=file]").set_input_files(tmp_path / "bowling.bin")
    bar = page.get_by_role("progressbar", name="Converting")
    expect(page.get_by_text(re.compile(r"^Sending .* of 5\.00 MiB$"))).to_be_visible()
    page.wait_for_function("(bar) => bar.value > 0 && bar.value < bar.max", arg=bar.element_handle())
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled.")).to_be_visible()
    expect(bar).to_be_hidden()
    slow_line(page, -1)
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text(re.compile(r"^5\.00 MiB → 2\.00 MiB, 40\.0 %"))).to_be_visible()
    name, output = saved(page, "Save")
    assert name == "bowling.bin.zstd"
    assert wirecodes.get("zstd").decode(output) == content


def test_a_dropped_file_is_the_input(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="base64")
    page.locator(".pane").first.evaluate(
        """(pane) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["dropped"], "<img src=x>.txt"));
            for (const type of ["dragenter", "dragover", "drop"])
                pane.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
        }"""
    )
    expect(result(page)).to_have_text("ZHJvcHBlZA==")
    expect(page.get_by_role("group", name="Chosen file")).to_contain_text("<img src=x>.txt")
    assert_accessible(page)
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(area(page)).to_be_focused()


def test_a_link_shows_others_the_same(page: Page, context: BrowserContext, stack_url: str) -> None:
    open_codecs(page, stack_url, codec="zstd+ascii85", text="what a day", radix="4", **{"o.level": "7"})
    area(page).fill("<b>what</b> a day & night")
    expected = wirecodes.get("zstd+ascii85").encode(b"<b>what</b> a day & night", level=7).decode()
    expect(result(page)).to_have_text(expected)
    shared = link(page)
    other = context.new_page()
    other.goto(shared)
    expect(result(other)).to_have_text(expected)
    expect(other.get_by_label("level")).to_have_value("7")
    area(other).fill("x" * 3000)
    expect(other.locator("#withheld")).to_contain_text("text")


def test_keys_that_come_fast_do_not_show_an_older_answer(page: Page, stack_url: str) -> None:
    """An answer to what was typed before is held back until the later one is there."""
    held = []

    def hold(route: Any) -> None:
        held.append(route) if route.request.post_data == "slow" else route.continue_()

    page.route("**/codecs/base64/encode", hold)
    open_codecs(page, stack_url, codec="base64", text="start")
    area(page).fill("slow")
    limit = time.monotonic() + 10
    while not held and time.monotonic() < limit:
        page.wait_for_timeout(20)
    area(page).fill("quick")
    expect(result(page)).to_have_text("cXVpY2s=")
    assert held[0].request.failure is not None  # it was aborted
    expect(result(page)).to_have_text("cXVpY2s=")


def test_every_codec_of_the_catalogue_can_be_chosen(page: Page, stack_url: str) -> None:
    open_codecs(page, stack_url)
    offered = (
        page.get_by_label("Codec", exact=True)
        .locator("option")
        .evaluate_all("all => all.map((one) => one.value)")
    )
    assert sorted(offered) == sorted(wirecodes.names())
    assert json.loads(page.request.get(f"{stack_url}/codecs").body())["codecs"]
