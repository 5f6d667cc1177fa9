"""Channels that ask for tokens, in both views that speak to them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import jwt
import pytest
from playwright.sync_api import Page, expect

from tests.heliograph.channels.instance import Instance
from tests.stack.console.pages import Complaints, open_view

SECRET = "a secret of at least thirty-two bytes"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance that asks for tokens."""
    with Instance(tmp_path_factory.mktemp("guarded"), {"HELIOGRAPH_AUTH_SECRET": SECRET}) as running:
        yield running


def token_for(name: str) -> str:
    claims = {"sub": "dude", "exp": time.time() + 600, "publish": [name], "subscribe": [name]}
    return jwt.encode(claims, SECRET, "HS256")


@pytest.mark.parametrize("transport", ["websocket", "sse"])
def test_a_token_opens_a_guarded_channel_and_is_not_in_the_link(
    page: Page, guarded: Instance, name: str, complaints: Complaints, transport: str
) -> None:
    complaints.allow_refusals()
    open_view(page, guarded.url, "channels", channel=name, subs="sse")
    where = page.get_by_role("region", name="Subscriber 1")
    expect(where.locator("[role=status]")).to_have_text("refused")
    expect(where.locator(".log")).to_contain_text("401")
    token = token_for(name)
    page.get_by_label("Token").fill(token)
    page.get_by_label("Token").press("Enter")
    expect(where.locator("[role=status]")).to_have_text("subscribed")
    page.get_by_role("textbox", name="Message").fill("abide")
    page.get_by_role("button", name="Publish").click()
    expect(where.locator(".message.live")).to_have_count(1)
    expect(page.locator(".command-text")).to_contain_text(re.compile("Authorization: Bearer TOKEN"))
    assert token not in page.url


def test_a_token_becomes_a_ticket_for_a_socket(
    page: Page, guarded: Instance, name: str, complaints: Complaints
) -> None:
    complaints.allow_refusals()
    complaints.allow("^WebSocket connection to .* failed")
    open_view(page, guarded.url, "websocket", endpoint="events", channel=name)
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="401")).to_be_visible()
    page.get_by_label("Token").fill(token_for(name))
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".sockets .state")).to_have_text("connected")
    page.get_by_role("button", name="Send text").click()
    expect(page.locator(".frame.received")).to_have_count(1)
    assert "ticket" not in page.locator(".sockets").inner_text()
