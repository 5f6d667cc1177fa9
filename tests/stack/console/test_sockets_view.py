"""The WebSocket view in Chromium, through nginx: every endpoint, texts and files, times, ends, and what is hostile."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.stack.console.accessible import assert_accessible
from tests.stack.console.pages import Complaints, open_view

MIB = 1 << 20

#: Rows that the list of frames keeps.
MAX_FRAMES = 500


def connected(page: Page, stack_url: str, **state: Any) -> Page:
    open_view(page, stack_url, "websocket", **state)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".sockets .state")).to_have_text("connected")
    return page


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send text").click()


def frames(page: Page, kind: str) -> Locator:
    return page.locator(f".frame.{kind}")


def test_a_text_comes_back_with_direction_size_and_time(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    send(page, "Grüße")
    sent, received = frames(page, "sent"), frames(page, "received")
    expect(received).to_have_count(1)
    for row in (sent, received):
        expect(row.locator(".excerpt")).to_have_text("Grüße")
        expect(row.locator(".size")).to_have_text("7 B")
    expect(received.locator(".trip")).to_have_text(re.compile(r"^[\d.,]+ ms$"))
    assert sent.locator(".trip").count() == 0
    assert_accessible(page)
    page.get_by_role("button", name="Disconnect").click()
    expect(frames(page, "event").last).to_contain_text("Closed: 1000 (normal)")
    expect(page.get_by_role("button", name="Send text")).to_be_disabled()


def test_a_file_goes_as_bytes_and_its_name_is_text(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    name = "<img src=x onerror=alert(1)>\u202etxt.exe"
    page.get_by_label("Send a file").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": bytes(range(256))}
    )
    received = frames(page, "received")
    expect(received.locator(".size")).to_have_text("256 B")
    expect(received).to_contain_text("binary")
    expect(received.locator("bdi")).to_contain_text("00 01 02 03")
    expect(received).to_contain_text("128 bytes more")
    shown = frames(page, "sent").locator(".file-name")
    assert shown.text_content() == name
    assert page.locator(".frame img").count() == 0


ENDPOINTS = [
    ({"endpoint": "ping"}, "ping", "pong!"),
    ({"endpoint": "ping"}, "<b>pong</b>", "Only the text ping is answered here."),
    ({"endpoint": "codec", "options": "to=units"}, "SOS", "101010001110111011100010101"),
    ({"endpoint": "codec", "codec": "huffman+base64", "direction": "decode"}, "!!", "decode-error"),
    ({"endpoint": "channel"}, '{"type": "publish", "data": "<i>", "ref": 7}', '"ref": 7'),
    ({"endpoint": "events"}, "to <everybody>", "to <everybody>"),
]


@pytest.mark.parametrize(("state", "message", "answer"), ENDPOINTS, ids=[e[0]["endpoint"] for e in ENDPOINTS])
def test_each_endpoint_answers_and_its_answer_gets_a_time(
    page: Page, stack_url: str, name: str, state: dict[str, str], message: str, answer: str
) -> None:
    if state["endpoint"] in ("channel", "events"):
        state = {**state, "channel": name}
    connected(page, stack_url, **state)
    send(page, message)
    row = frames(page, "received").filter(has_text=answer)
    expect(row.first).to_be_visible()
    expect(page.locator(".frame.received .trip")).to_have_count(1)


def test_the_state_is_in_the_url_and_the_command_connects_to_the_same(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "websocket")
    page.get_by_label("Endpoint").select_option("codec")
    page.get_by_label("Codec or pipeline").fill("morse+rot13")
    page.get_by_label("Direction").select_option("decode")
    page.get_by_label("Options").fill("from=units&wpm=20")
    command = page.locator(".command-text").inner_text()
    assert command.startswith("python -m websockets 'ws://127.0.0.1:")
    assert "/ws/codecs/morse+rot13/decode?from=units&wpm=20'" in command
    page.wait_for_url("**wpm*")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_label("Codec or pipeline")).to_have_value("morse+rot13")
    expect(other.locator(".command-text")).to_have_text(command)


def test_why_a_connection_is_refused_is_told(page: Page, stack_url: str, complaints: Complaints) -> None:
    complaints.allow_refusals()
    complaints.allow("^WebSocket connection to .* failed")
    open_view(page, stack_url, "websocket", endpoint="codec", codec="nosuch")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="nosuch")).to_contain_text("404")
    expect(frames(page, "event").last).to_contain_text("Closed: 1006")
    page.get_by_label("Codec or pipeline").fill("morse")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".sockets .state")).to_have_text("connected")
    expect(page.get_by_role("alert").filter(has_text="nosuch")).to_have_count(0)


def test_a_message_that_is_too_long_for_the_service_ends_with_its_reason(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    page.get_by_label("Send a file").set_input_files(
        {"name": "big", "mimeType": "application/octet-stream", "buffer": b"x" * (MIB + 1)}
    )
    expect(frames(page, "event").last).to_contain_text("Closed: 1009 (message too long)")
    expect(page.locator(".sockets .state")).to_have_text("closed 1009")
    page.get_by_label("Send a file").set_input_files(
        {"name": "later", "mimeType": "text/plain", "buffer": b"x"}
    )
    expect(page.get_by_role("alert").filter(has_text="Not connected")).to_be_visible()


def test_a_line_of_a_mebibyte_is_cut_and_the_page_stays_quick(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    page.get_by_role("textbox", name="Message").evaluate(f"(box) => (box.value = '<'.repeat({MIB}))")
    page.get_by_role("button", name="Send text").click()
    received = frames(page, "received")
    expect(received).to_contain_text(f"… and {MIB - 2000:,} characters more")
    expect(received.locator(".size")).to_have_text("1.00 MiB")
    assert len(received.inner_text()) < 2500


def test_markup_and_marks_of_direction_stay_text(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    evil = "\u202e<script>alert(1)</script>\u2066<img src=x onerror=alert(2)>"
    send(page, evil)
    received = frames(page, "received")
    expect(received).to_have_count(1)
    assert received.locator("bdi").text_content() == evil
    assert page.locator("main script, main img").count() == 0
    assert received.locator("bdi").evaluate("(node) => getComputedStyle(node).unicodeBidi") == "isolate"


def test_the_list_keeps_the_last_frames_only(page: Page, stack_url: str) -> None:
    connected(page, stack_url)
    page.get_by_role("button", name="Send text").evaluate(
        "(button) => { for (let n = 0; n < 300; n++) button.click(); }"
    )
    expect(page.locator(".sockets .log")).to_contain_text(f"The last {MAX_FRAMES} of 601.")
    expect(page.locator(".frame")).to_have_count(MAX_FRAMES)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".frame")).to_have_count(0)
    expect(page.locator(".sockets .empty")).to_be_visible()


def test_leaving_the_view_ends_the_connection(page: Page, stack_url: str) -> None:
    with page.expect_websocket() as opened:
        connected(page, stack_url)
    page.get_by_role("tab", name="This stack").click()
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
