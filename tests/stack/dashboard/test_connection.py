"""The page when the proxy is not there, and when it asks for a token."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

from playwright.sync_api import expect
from proxy_tests.processes import until

from tests.stack.dashboard.conftest import OpenDashboard
from tests.stack.dashboard.running import Farm


def test_it_says_that_it_is_stale_and_goes_on_when_the_proxy_is_back(
    tmp_path: Path, open_dashboard: OpenDashboard
) -> None:
    with Farm(tmp_path) as farm:
        dashboard = open_dashboard(farm.url).live()
        _, old = farm.get("/fail/before")
        expect(dashboard.page.locator("#failed-rows")).to_contain_text(old)
        farm.stop_proxy()
        expect(dashboard.verdict).to_have_text("No connection to the proxy")
        expect(dashboard.page.locator("#link-text")).to_have_text("Stale")
        expect(dashboard.page.locator("#verdict-why")).to_contain_text("all below is of")
        expect(dashboard.page).to_have_title("Stale · Heliograph proxy")
        dashboard.row("web1").get_by_role("button", name="Drain").click()
        dashboard.dialog.locator("#change-yes").click()
        expect(dashboard.dialog.get_by_role("alert")).to_contain_text("did not answer")
        dashboard.page.keyboard.press("Escape")
        expect(dashboard.page.locator("#link-wait")).to_have_text(re.compile(r"next try in \d s"))
        retry = dashboard.page.locator("#retry")
        expect(retry).to_be_visible()
        farm.start_proxy()
        # It may have found the proxy by itself a moment ago; then the button is gone.
        retry.dispatch_event("click")
        dashboard.live()
        expect(dashboard.verdict).to_have_text("Both backends are up")
        expect(dashboard.page.locator("#failed-rows")).not_to_contain_text(old)
        _, new = farm.get("/fail/after")
        expect(dashboard.page.locator("#failed-rows")).to_contain_text(new)
    # What the browser itself says of connections that are refused; of anything else there was nothing.
    dashboard.complaints[:] = [line for line in dashboard.complaints if "net::ERR_" not in line]


def test_it_goes_on_with_the_successor_of_the_proxy_and_tells_of_the_older_one(
    tmp_path: Path, open_dashboard: OpenDashboard
) -> None:
    with Farm(tmp_path, extra="[timeouts]\nhead = 60.0\n") as farm:
        dashboard = open_dashboard(farm.url).live()
        with socket.create_connection(("127.0.0.1", farm.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            until(lambda: farm.admin_request("GET", "/status")["connections"] == 1, "the connection")
            farm.proxy.send(signal.SIGUSR2)
            successor = int(farm.proxy.wait_for_output(r'"handover-done", "successor": (\d+)')[1])
            try:
                expect(dashboard.verdict).to_have_text(
                    f"Both backends are up. Generation 1 (process {farm.proxy.pid}) still has 1 connection, "
                    "0 of them tunnels and streams"
                )
                client.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
                expect(dashboard.verdict).to_have_text("Both backends are up")
                assert farm.proxy.wait() == 0
            finally:
                os.kill(successor, signal.SIGKILL)
    dashboard.complaints[:] = [line for line in dashboard.complaints if "net::ERR_" not in line]


def test_with_a_token_it_asks_for_it_and_then_reads_and_writes(
    tmp_path: Path, open_dashboard: OpenDashboard
) -> None:
    token = "geheim+/=~&%41"
    with Farm(tmp_path, token=token) as farm:
        dashboard = open_dashboard(farm.url)
        expect(dashboard.dialog).to_contain_text("This proxy asks for one.")
        assert dashboard.complaints == []
        dashboard.page.get_by_role("textbox", name="Token").fill("wrong")
        dashboard.page.keyboard.press("Enter")
        expect(dashboard.dialog).to_contain_text("the admin token is needed")
        until(lambda: dashboard.complaints and dashboard.complaints.pop(), "the browser's word of the 401")
        dashboard.page.get_by_role("textbox", name="Token").fill(token)
        dashboard.page.keyboard.press("Enter")
        dashboard.live()
        dashboard.row("web2").get_by_role("button", name="Drain").click()
        dashboard.dialog.locator("#change-yes").click()
        expect(dashboard.row("web2").locator(".chip")).to_have_text("Draining")
        assert farm.backend("web2")["state"] == "drain"
        dashboard.page.reload()
        dashboard.live()
