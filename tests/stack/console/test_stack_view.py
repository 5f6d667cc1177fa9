"""The view of this stack in Chromium: what it tells is what the layers said, and nothing more."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect
from proxy_tests.processes import until

from tests.stack.console.pages import open_view
from tests.stack.running import Stack


def layers(page: Page) -> list[str]:
    return page.locator(".layer h3").all_inner_texts()


def test_the_layers_are_those_that_the_request_went_through(page: Page, stack: Stack) -> None:
    open_view(page, stack.url, "stack")
    expect(page.locator(".layer")).to_have_count(4)
    names = layers(page)
    assert names[:3] == ["Browser", "nginx", "Proxy"]
    assert names[3] in ("Instance web1", "Instance web2")
    open_view(page, stack.proxy_url, "stack")
    expect(page.locator(".layer")).to_have_count(3)
    assert layers(page)[1] == "Proxy"
    open_view(page, stack.instance_urls[1], "stack")
    expect(page.locator(".layer")).to_have_count(2)
    assert layers(page) == ["Browser", "Instance web2"]


def test_the_request_id_is_the_one_in_the_logs(page: Page, stack: Stack) -> None:
    open_view(page, stack.url, "stack")
    shown = page.locator(".way .figures dd.mono").inner_text()
    log = stack.var / "nginx-access.log"
    lines = until(
        lambda: [line for line in log.read_text().splitlines() if shown in line], "the line of the log"
    )
    assert [json.loads(line)["uri"] for line in lines] == ["/echo/request"]


def test_requests_spread_over_the_instances(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack")
    page.get_by_label("Requests", exact=True).fill("40")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".spread-result")).to_contain_text("40 answers from 2 instances")
    rows = page.locator(".bars li").all_inner_texts()
    assert [row.split()[0] for row in rows] == ["web1", "web2"]
    counts = [int(re.findall(r"(\d+) · \d+ %", row)[0]) for row in rows]
    assert sum(counts) == 40
    assert min(counts) > 0
    page.wait_for_url("**n=40*")


def test_a_run_can_be_stopped(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack", n="1000")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".spread-result")).to_contain_text(re.compile(r"^\d{1,3} answers"))
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


def test_the_last_answers_are_listed_those_of_other_views_too(page: Page, stack_url: str, name: str) -> None:
    open_view(page, stack_url, "channels", channel=name)
    page.get_by_role("button", name="Publish").click()
    expect(page.locator(".published")).to_contain_text("Stored as 1")
    page.get_by_role("tab", name="This stack").click()
    row = page.locator(".answers tbody tr").filter(has_text=f"POST /channels/{name}")
    expect(row).to_contain_text("201")
    expect(row).to_contain_text(re.compile(r"web[12]"))
    expect(row.locator("code").last).to_have_text(re.compile(r"^[0-9a-f]{32}$"))


def test_health_and_the_documentation_are_one_step_away(page: Page, stack_url: str) -> None:
    open_view(page, stack_url, "stack")
    expect(page.locator(".card", has_text="Ask an instance")).to_contain_text("compiled")
    page.get_by_role("link", name="Documentation").click()
    page.wait_for_url("**/docs")
