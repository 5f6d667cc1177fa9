"""The page's appearance: fifty backends, narrow and wide, light and dark, with a screen reader, without jumps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ViewportSize, expect
from proxy_tests.processes import until

from tests.stack.dashboard.conftest import Dashboard, OpenDashboard
from tests.stack.dashboard.running import Farm

WIDE = ViewportSize(width=1400, height=900)
NARROW = ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """Fifty backends, of which one is down and one is drained, and an exchange has failed."""
    with Farm(tmp_path_factory.mktemp("crowd"), 50) as farm:
        farm.admin_request("PUT", "/backends/web5/state", {"state": "drain"})
        for _ in range(100):
            farm.get("/")
        farm.get("/fail")
        farm.kill()
        until(lambda: not farm.backend("web50")["healthy"], "a backend that is down")
        yield farm


def problems(dashboard: Dashboard, where: str | None = None) -> list[str]:
    """What axe says of the page, or of the part that a selector names."""
    found = Axe().run(dashboard.page, where).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}" for one in found]


def widest(dashboard: Dashboard) -> int:
    """By how much the page is wider than its window."""
    found: int = dashboard.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found


@pytest.mark.slow
def test_axe_finds_nothing(crowd: Farm, open_dashboard: OpenDashboard) -> None:
    dashboard = open_dashboard(f"{crowd.url}?filter=web5", viewport=WIDE, reduced_motion="reduce").live()
    page = dashboard.page
    expect(page.locator("#failed")).to_be_visible()
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        assert problems(dashboard) == []
        dashboard.row("web5").locator("[data-change=weight]").click()
        assert problems(dashboard, "#change") == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Keyboard").click()
        assert problems(dashboard, "#keys") == []
        page.keyboard.press("Escape")
    page.set_viewport_size(NARROW)
    assert problems(dashboard) == []


def test_nothing_is_wider_than_the_window(crowd: Farm, open_dashboard: OpenDashboard) -> None:
    dashboard = open_dashboard(crowd.url).live()
    for width in (360, 560, 800, 1149, 1150, 1400, 2560):
        dashboard.page.set_viewport_size({"width": width, "height": 900})
        assert widest(dashboard) <= 0, width
        for button in dashboard.row("web1").get_by_role("button").all():
            box = button.bounding_box()
            assert box
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 24, "large enough for a finger, as WCAG wants it"


def test_of_fifty_backends_the_one_that_is_down_comes_first(
    crowd: Farm, open_dashboard: OpenDashboard
) -> None:
    dashboard = open_dashboard(crowd.url).live()
    expect(dashboard.verdict).to_have_text("1 of 50 backends is down")
    expect(dashboard.rows).to_have_count(50)
    names = ["web50", *(f"web{number}" for number in range(1, 50))]
    assert dashboard.rows.evaluate_all("rows => rows.map((row) => row.dataset.name)") == names
    crowd.admin_request("PUT", "/backends/web49/state", {"state": "drain"})
    expect(dashboard.row("web49").locator(".chip")).to_have_text("Draining")
    height = dashboard.row("web2").bounding_box()
    assert height
    assert height["height"] < 45, "twenty rows are seen at once"
    # Sparklines are drawn where they can be seen.
    drawn = dashboard.rows.evaluate_all(
        "rows => rows.filter((row) => row.querySelector('.line.rate').hasAttribute('d')).length"
    )
    assert 5 < drawn < 40
    dashboard.row("web50").focus()
    dashboard.page.keyboard.press("End")
    expect(dashboard.row("web49")).to_be_focused()
    expect(dashboard.row("web49").locator(".line.rate")).to_have_attribute("d", re.compile("^M"))


def test_a_second_of_fifty_backends_costs_little_and_moves_nothing(
    crowd: Farm, open_dashboard: OpenDashboard
) -> None:
    dashboard = open_dashboard(crowd.url).live()
    page = dashboard.page
    expect(dashboard.row("web50").locator(".since")).to_have_text(re.compile(r"^for \d"))
    page.evaluate(
        """() => {
            globalThis.moved = [];
            const where = ({ node, previousRect: was, currentRect: is }) =>
                `${node.parentElement?.outerHTML.slice(0, 200)} ${was.x} ${was.y} ${was.width} ${is.x} ${is.y} ${is.width}`;
            new PerformanceObserver((list) => list.getEntries().forEach((entry) => moved.push(...entry.sources.map(where))))
                .observe({ type: "layout-shift", buffered: false });
            globalThis.changes = 0;
            new MutationObserver((list) => (changes += list.length))
                .observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    facts = page.locator("#facts")
    for _ in range(2):
        before = facts.inner_text()
        for _ in range(10):
            crowd.get("/")
        until(lambda before=before: facts.inner_text() != before, "another second")  # type: ignore[misc]
    assert page.evaluate("moved") == []
    # A check of each backend, the rates, the totals; not the thousands of nodes that there are.
    assert 0 < page.evaluate("changes") < 800


def test_reduced_motion_moves_nothing(crowd: Farm, open_dashboard: OpenDashboard) -> None:
    dashboard = open_dashboard(crowd.url, reduced_motion="reduce").live()
    found = dashboard.page.evaluate(
        "[...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length"
    )
    assert found == 0


DRAWING = """async () => {
    const draw = await import("/draw.js"), { delay } = await import("/lib/backoff.js");
    const { EventStreamParser } = await import("/lib/eventstream.js");
    const { FIRST: first, LONGEST: longest } = await import("/stream.js");
    const events = (pieces) => { const all = new EventStreamParser(); return pieces.flatMap((piece) => [...all.feed(piece)]); };
    const text = 'event: a\\ndata: {"x": "é"}\\n\\nevent: b\\ndata: [1]\\n\\n';
    return {
        rate: [0, 0.01, 0.1, 9.94, 12.5, 1234.4].map(draw.rate),
        seconds: [null, 0, 0.00042, 0.0042, 0.042, 0.9996, 1.25, 42.2].map(draw.seconds),
        duration: [-1, 0, 59.9, 60, 3599, 3600, 90000].map(draw.duration),
        roundUp: [0, 1, 1.1, 2, 4.9, 50.1, 999].map((number) => draw.roundUp(number, 1)),
        empty: draw.path([], 10, 1),
        gap: draw.path([null, 1, null], 4, 1),
        line: draw.path([0, 2, 1], 3, 1).line,
        stretches: draw.stretches([0, 4, 4, null, 4], 6, 4),
        waits: [0, 1, 2, 3, 4, 5, 99, 5000].map((n) => delay(n, { first, longest, random: () => 1 })),
        shortest: delay(0, { first, longest, random: () => 0 }),
        whole: events([text]),
        bytes: events([...text]),
        rest: events([text.slice(0, -1)]),
    };
}"""


def test_the_parts_that_only_compute_compute_this(crowd: Farm, open_dashboard: OpenDashboard) -> None:
    found = open_dashboard(crowd.url).page.evaluate(DRAWING)
    both = [["a", {"x": "é"}], ["b", [1]]]
    assert found == {
        "rate": ["0", "<0.1", "0.1", "9.9", "13", "1,234"],
        "seconds": ["–", "0.00 ms", "0.42 ms", "4.2 ms", "42 ms", "1.0 s", "1.3 s", "42 s"],
        "duration": ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 d 1 h"],
        "roundUp": [1, 1, 2, 2, 5, 100, 1000],
        "empty": {"line": "", "area": ""},
        "gap": {"line": "M2 1.0h.01", "area": "M2 20L2 1.0V20H2Z"},
        "line": "M0 19.0L1 1.0L2 1.0",
        "stretches": "M2 2H4M5 2H6",
        "waits": [500, 1000, 2000, 4000, 8000, 8000, 8000, 8000],
        "shortest": 250,
        "whole": both,
        "bytes": both,
        "rest": both[:1],
    }
