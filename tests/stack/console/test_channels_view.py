"""The Channels view in Chromium, through nginx: side by side, cut and resumed, shared by two browsers, through a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from proxy_tests.processes import until

from tests.stack.console.accessible import assert_accessible
from tests.stack.console.pages import Complaints, open_view
from tests.stack.running import Stack


def subscriber(page: Page, number: int) -> Locator:
    return page.get_by_role("region", name=f"Subscriber {number}")


def watching(page: Page, url: str, name: str, **state: Any) -> Page:
    """The view of a channel, with all its subscribers subscribed."""
    open_view(page, url, "channels", channel=name, **state)
    count = len(state.get("subs", "websocket.sse").split("."))
    expect(page.locator(".subscriber [role=status]", has_text="subscribed")).to_have_count(count)
    return page


def publish(page: Page, text: str, times: int = 1) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_label("times").fill(str(times))
    page.get_by_role("button", name="Publish").click()


def texts(where: Locator) -> list[str]:
    return where.locator(".message .excerpt bdi").all_inner_texts()


def offsets(where: Locator) -> list[int]:
    return [int(row[1:]) for row in where.locator(".message .sign").all_inner_texts()]


def test_all_subscribers_get_what_is_published_and_are_seen(page: Page, stack_url: str, name: str) -> None:
    watching(page, stack_url, name)
    expect(page.locator(".channels .badge", has_text="2 here")).to_be_visible()
    assert sorted(page.locator(".presence tbody td:nth-child(2)").all_inner_texts()) == ["sse", "websocket"]
    publish(page, "Mark it <b>zero</b>", times=3)
    expect(page.locator(".published")).to_contain_text("Stored as 3")
    for number in (1, 2):
        where = subscriber(page, number)
        expect(where.locator(".message.live")).to_have_count(3)
        assert texts(where) == ["Mark it <b>zero</b>"] * 3
        assert offsets(where) == [1, 2, 3]
        expect(where.locator(".resumed")).to_have_text("live only")
    assert_accessible(page)


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_who_was_cut_joins_again_and_gets_what_was_missed(
    page: Page, stack_url: str, name: str, transport: str
) -> None:
    watching(page, stack_url, name, subs=transport)
    where = subscriber(page, 1)
    publish(page, "before")
    expect(where.locator(".message.live")).to_have_count(1)
    where.get_by_role("switch").click()
    expect(where.locator("[role=status]")).to_have_text("cut")
    expect(page.locator(".channels .badge", has_text="0 here")).to_be_visible()
    publish(page, "meanwhile", times=4)
    expect(page.locator(".published")).to_contain_text("Stored as 5")
    where.get_by_role("switch").click()
    expect(where.locator(".resumed")).to_have_text("recovered: true")
    expect(where.locator(".message.missed")).to_have_count(4)
    publish(page, "after")
    expect(where.locator(".message.live")).to_have_count(2)
    assert texts(where) == ["before", *["meanwhile"] * 4, "after"]
    assert offsets(where) == [1, 2, 3, 4, 5, 6]
    expect(where.locator(".figures-line")).to_have_text("6 received, 4 missed before")


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_cursor_that_nobody_knows_is_lost_and_said(
    page: Page, stack_url: str, name: str, transport: str
) -> None:
    watching(page, stack_url, name, subs=transport)
    where = subscriber(page, 1)
    where.get_by_role("switch").click()
    where.get_by_label("Has everything up to (cursor)").fill("anotherepoch:7")
    publish(page, "unheard")
    expect(page.locator(".published")).to_contain_text("Stored as 1")
    where.get_by_role("switch").click()
    expect(where.locator(".message.lost")).to_contain_text("Lost")
    expect(where.locator(".resumed")).to_have_text("recovered: false")
    publish(page, "heard")
    expect(where.locator(".message.live")).to_have_count(1)
    assert texts(where) == ["heard"]


def test_a_cursor_that_is_none_is_refused_in_words(page: Page, stack_url: str, name: str) -> None:
    watching(page, stack_url, name, subs="websocket")
    where = subscriber(page, 1)
    where.get_by_role("switch").click()
    where.get_by_label("Has everything up to (cursor)").fill("<i>no cursor</i>")
    where.get_by_role("switch").click()
    expect(where.locator(".log")).to_contain_text("A cursor is epoch:offset.")
    expect(where.get_by_role("switch")).not_to_be_checked()


def test_a_link_opens_the_same_subscribers_and_message(
    page: Page, context: BrowserContext, stack_url: str, name: str
) -> None:
    watching(page, stack_url, name)
    publish(page, "shared <words>", times=2)
    expect(page.locator(".published")).to_contain_text("Stored as 2")
    page.get_by_role("button", name="Add a subscriber over WebSocket").click()
    subscriber(page, 3).get_by_role("button", name="From the earliest").click()
    expect(subscriber(page, 3).locator(".message.missed")).to_have_count(2)
    page.get_by_role("button", name="Remove subscriber 1").click()
    page.wait_for_url("**subs=sse.websocket-earliest*")
    other = context.new_page()
    other.goto(page.url)
    expect(subscriber(other, 2).locator(".message.missed")).to_have_count(2)
    expect(other.get_by_role("textbox", name="Message")).to_have_value("shared <words>")
    assert other.locator(".subscriber h3").all_inner_texts() == ["1 · SSE", "2 · WebSocket"]


def test_json_goes_as_json_and_what_is_none_is_refused_with_its_place(
    page: Page, stack_url: str, name: str, complaints: Complaints
) -> None:
    complaints.allow_refusals()
    watching(page, stack_url, name, subs="websocket", kind="json", message='{"rug": [1, "<u>"]}')
    page.get_by_role("button", name="Publish").click()
    expect(subscriber(page, 1).locator(".message")).to_contain_text(["Joined", '{"rug":[1,"<u>"]}'])
    publish(page, '{"rug": oops}')
    expect(page.get_by_role("alert").filter(has_text="400")).to_be_visible()


def test_the_curl_command_publishes_the_same(page: Page, stack_url: str, name: str) -> None:
    watching(page, stack_url, name, subs="sse", message="it's @ 100 %\n\u202eלבן")
    command = page.locator(".command-text").text_content() or ""
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["offset"] == 1
    message = subscriber(page, 1).locator(".message.live .excerpt bdi")
    expect(message).to_have_count(1)
    assert message.text_content() == "it's @ 100 %\n\u202eלבן"


def test_long_lines_are_cut_and_markup_stays_text(page: Page, stack_url: str, name: str) -> None:
    watching(page, stack_url, name)
    publish(page, "<img src=x onerror=alert(1)>\u202e" + "x" * 60_000)
    for number in (1, 2):
        row = subscriber(page, number).locator(".message.live")
        expect(row).to_contain_text("characters more")
        assert len(row.inner_text()) < 2500
    assert page.locator("main img").count() == 0


def test_streams_leave_connections_to_publish_by(page: Page, stack_url: str, name: str) -> None:
    open_view(page, stack_url, "channels", channel=name, subs="sse.sse.sse.sse.sse")
    expect(page.locator(".subscriber [role=status]", has_text="subscribed")).to_have_count(3)
    publish(page, "there is room")
    expect(page.locator(".message.live")).to_have_count(3)
    expect(page.get_by_role("button", name="Add a subscriber over SSE")).to_be_disabled()
    page.get_by_role("button", name="Add a subscriber over WebSocket").click()
    expect(page.locator(".channels .badge", has_text="4 here")).to_be_visible()


def test_leaving_before_anybody_is_subscribed_is_no_error(page: Page, stack_url: str, name: str) -> None:
    """Also for the browser, which would write it into its console; and nobody stays behind."""
    open_view(page, stack_url, "stack")
    for tab in ("Channels", "This stack") * 3:
        page.get_by_role("tab", name=tab).evaluate("(tab) => tab.click()")
    open_view(page, stack_url, "channels", channel=name, subs="websocket.websocket.websocket")
    page.get_by_role("tab", name="This stack").click()
    expect(page.locator(".layer")).to_have_count(4)
    until(lambda: subscribers(stack_url, name) == 0, "the end of all subscriptions")


def subscribers(url: str, name: str) -> int:
    with urllib.request.urlopen(f"{url}/channels/{name}/presence", timeout=5) as answer:
        return int(json.load(answer)["count"])


def test_a_name_that_is_none_is_said(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "channels", channel="<script>/")
    expect(page.get_by_role("alert").filter(has_text="No name of a channel")).to_be_visible()
    assert page.locator(".subscriber").count() == 0


@pytest.fixture
def two_browsers(browser: Browser, complaints: Complaints) -> Iterator[list[Page]]:
    contexts = [browser.new_context() for _ in range(2)]
    for each in contexts:
        each.on("page", complaints.watch)
    yield [each.new_page() for each in contexts]
    for each in contexts:
        each.close()


def test_two_browsers_see_the_same_also_when_an_instance_is_killed(
    two_browsers: list[Page], stack: Stack, name: str, complaints: Complaints
) -> None:
    complaints.allow_refusals()
    complaints.allow("^WebSocket connection to|net::ERR_")
    one, two = (watching(page, stack.url, name) for page in two_browsers)
    expect(one.locator(".channels .badge", has_text="4 here")).to_be_visible()
    publish(one, "from one")
    publish(two, "from two")
    everyone = [subscriber(page, number) for page in (one, two) for number in (1, 2)]
    for where in everyone:
        expect(where.locator(".message.live")).to_have_count(2)
    victim = one.locator(".presence tbody td:nth-child(3)").first.inner_text()
    pid = stack.pids()[victim]
    os.kill(pid, signal.SIGKILL)
    until(lambda: publishes(stack.url, name, "meanwhile"), "the other instance to take a message")
    for where in everyone:
        expect(where.locator("[role=status]")).to_have_text("subscribed")
    publish(two, "afterwards")
    for where in everyone:
        expect(where.locator(".message .excerpt", has_text="afterwards")).to_have_count(1)
    seen = [texts(where) for where in everyone]
    assert seen == [seen[0]] * 4
    assert [offsets(where) for where in everyone] == [list(range(1, len(seen[0]) + 1))] * 4
    assert seen[0][:2] == ["from one", "from two"]
    until(lambda: restored(stack, victim, pid), "both instances to be healthy again")


def publishes(url: str, name: str, text: str) -> bool:
    request = urllib.request.Request(f"{url}/channels/{name}", text.encode(), {"Content-Type": "text/plain"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return bool(answer.status == 201)
    except OSError:
        return False


def restored(stack: Stack, victim: str, pid: int) -> bool:
    """The stack as it was found: the instance runs again, and the proxy knows."""
    if stack.pids()[victim] == pid:
        return False
    with urllib.request.urlopen(f"{stack.admin_url}/status", timeout=5) as answer:
        return all(backend["healthy"] for backend in json.load(answer)["backends"])
