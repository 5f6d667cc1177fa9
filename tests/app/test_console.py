"""The page of the console as the application serves it; what it does in a browser is in tests/stack/console/."""

from __future__ import annotations

import re

from proxy_tests.processes import ROOT

from app.console.views import MODULES, POLICY, VIEWS
from tests.serving import Server

CONSOLE = ROOT / "app/console/static"

#: The modules of the console, and those that it shares with the proxy's page.
SCRIPTS = sorted([*CONSOLE.glob("*.js"), *CONSOLE.glob("lib/*.js")])


def test_the_front_page_is_the_console_and_names_who_answered(server: Server) -> None:
    answer = server.get("/")
    html = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["x-request-id"] in html
    assert f">{answer.headers['x-instance']}</dd>" in html
    for name, title in VIEWS:
        assert f'id="panel-{name}"' in html
        assert f">{title}</button>" in html


def test_the_page_may_load_only_our_own_and_nothing_inline(server: Server) -> None:
    answer = server.get("/")
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert answer.headers["referrer-policy"] == "no-referrer"
    html = answer.body.decode()
    assert not re.search(r"<script>|https?://|\sstyle=|\son\w+=", html)
    paths = re.findall(r'(?:src|href)="(/[^"]+)"', html)
    assert len(paths) > len(MODULES)
    for path in paths:
        assert server.get(path).status == 200, path


def test_scripts_make_no_markup() -> None:
    """What users type reaches the page as text only, so nothing that parses text as markup is ever called."""
    forbidden = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "text/html",
    )
    for path in SCRIPTS:
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
        assert [word for word in forbidden if word in code] == [], path.name


def test_every_answer_names_its_instance_errors_too(server: Server) -> None:
    name = server.get("/healthz").json()["instance"]
    for path in ("/", "/nowhere", "/echo", "/codecs", "/static/icon.svg"):
        assert server.get(path).headers["x-instance"] == name, path


def test_modules_are_small_and_open_with_their_contract() -> None:
    for path in SCRIPTS:
        lines = path.read_text().splitlines()
        assert lines[0] == "// @ts-check", path.name
        assert lines[1].startswith("// "), path.name
        assert len(lines) <= 300, path.name
