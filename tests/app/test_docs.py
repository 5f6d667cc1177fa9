"""The documentation as a browser shows it, and the files of others that it is made of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from proxy_tests.processes import ROOT

from app.docs import PAGE_POLICY
from tests.serving import Server

VENDOR = ROOT / "app/static/vendor"


class Visit:
    """A page with everything it complained of and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str | None] = set()
        page.on("console", lambda message: self._console(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _request(self, url: str) -> None:
        if urlsplit(url).scheme != "data":
            self.hosts.add(urlsplit(url).netloc)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    page = browser.new_page()
    yield Visit(page)
    page.close()


def test_the_documentation_is_shown_and_loads_nothing_from_elsewhere(server: Server, visit: Visit) -> None:
    visit.page.goto(f"{server.url}/docs")
    visit.page.locator(".opblock", has_text="/echo/delay").first.wait_for(timeout=20_000)
    shown = visit.page.locator(".opblock").count()
    document = server.get("/openapi.json").json()
    assert shown == sum(len(methods) for methods in document["paths"].values())
    assert "/problems/decode-error" in visit.page.inner_text("#docs")
    assert visit.complaints == []
    assert visit.hosts == {f"127.0.0.1:{server.port}"}


def test_an_operation_can_be_tried_from_the_page(server: Server, visit: Visit) -> None:
    visit.page.goto(f"{server.url}/docs")
    block = visit.page.locator(".opblock", has_text="/healthz").first
    block.locator(".opblock-summary").click(timeout=20_000)
    block.get_by_role("button", name="Try it out").click()
    block.get_by_role("button", name="Execute").click()
    block.locator(".live-responses-table").get_by_text('"status"').first.wait_for(timeout=20_000)
    assert visit.complaints == []


def test_the_page_may_load_only_our_own(server: Server) -> None:
    answer = server.get("/docs")
    assert answer.headers["content-security-policy"] == PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    html = answer.body.decode()
    assert "style=" not in html
    assert not re.search(r"<script>|https?://", html)
    for path in re.findall(r'(?:src|href)="([^"]+)"', html):
        assert server.get(path).status == 200, path


def test_vendored_files_are_those_of_their_package() -> None:
    for library in json.loads((VENDOR / "vendor.json").read_text()):
        assert library["integrity"].startswith("sha512-")
        for name, checksum in library["files"].items():
            content = (VENDOR / library["folder"] / name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == checksum, name


def test_no_vendored_file_is_unlisted() -> None:
    listed = {
        f"{library['folder']}/{name}"
        for library in json.loads((VENDOR / "vendor.json").read_text())
        for name in library["files"]
    }
    found = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()}
    assert found == listed | {"vendor.json"}
