"""The proxy's page in Chromium, as an operator uses it, before a real proxy and backends that really die."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect
from proxy_tests.processes import until

from tests.stack.dashboard.conftest import Dashboard, OpenDashboard
from tests.stack.dashboard.running import Farm

#: Whatever chance does, a cell may not show this.
NONSENSE = re.compile(r"NaN|undefined|null|Infinity|\[object")


def test_each_backend_has_its_figures_and_the_totals_stand_above(farm: Farm, dashboard: Dashboard) -> None:
    for _ in range(20):
        farm.get("/")
    expect(dashboard.verdict).to_have_text("Both backends are up")
    for name in farm.names:
        row = dashboard.row(name)
        expect(row.locator(".chip")).to_have_text("Up")
        expect(row.locator(".check")).to_have_text(re.compile(r"^status 200, [\d.]+ ms$"))
        expect(row.locator(".value.rate")).to_have_text(re.compile(r"[1-9]"))
        expect(row.locator(".value.p50")).to_have_text(re.compile(r"^[\d.]+ ms$"))
        expect(row.locator(".value.active")).to_have_text("0")
        expect(row.get_by_role("button", name="Ready")).to_have_attribute("aria-pressed", "true")
    expect(dashboard.page.locator("#totals .value.rate")).not_to_have_text(re.compile("^[0–]$"))
    expect(dashboard.page.locator("#facts")).to_contain_text("round_robin · up ")
    assert not NONSENSE.search(dashboard.page.inner_text("body"))


def test_a_page_that_is_opened_now_shows_what_was_before(farm: Farm, open_dashboard: OpenDashboard) -> None:
    for _ in range(50):
        farm.get("/")
    first = open_dashboard(farm.url).live()
    line = first.row("web2").locator(".line.rate")
    expect(line).to_have_attribute("d", re.compile("^M"))
    later = open_dashboard(farm.url).live()
    # Steps take five seconds: these cannot have been drawn from what the page itself has seen.
    expect(later.row("web2").locator(".line.rate")).to_have_attribute("d", re.compile("^M"), timeout=2000)
    assert later.page.locator("#verdict .strip .up").get_attribute("d")


@pytest.mark.slow
def test_a_backend_that_dies_is_the_first_thing_one_sees_until_it_returns(
    farm: Farm, dashboard: Dashboard
) -> None:
    page = dashboard.page
    page.locator("#filter").focus()
    farm.kill()
    expect(dashboard.verdict).to_have_text("1 of 2 backends is down")
    expect(page.locator("#verdict-why")).to_have_text(re.compile("^web2 .*refused, for \\d+ s$"))
    expect(page).to_have_title("1 down · Heliograph proxy")
    expect(page.locator("link[rel=icon]")).to_have_attribute("href", "/icon-down.svg")
    row = dashboard.rows.first
    expect(row).to_have_attribute("data-name", "web2")
    expect(row.locator(".chip")).to_have_text("Down")
    expect(row.locator(".check")).to_contain_text("refused")
    box = row.bounding_box()
    assert box
    assert box["y"] + box["height"] < 900, "it is seen without scrolling"
    farm.revive()
    expect(dashboard.verdict).to_have_text("Both backends are up")
    expect(page).to_have_title("Heliograph proxy")
    expect(row).to_have_attribute("data-name", "web1")
    expect(page.locator("#verdict-why")).to_have_text(re.compile(r"^No change for \d s$"))


def test_rows_that_change_places_keep_the_focus(farm: Farm, dashboard: Dashboard) -> None:
    dashboard.row("web2").focus()
    farm.kill()
    expect(dashboard.rows.first).to_have_attribute("data-name", "web2")
    expect(dashboard.row("web2")).to_be_focused()
    farm.revive()
    expect(dashboard.rows.first).to_have_attribute("data-name", "web1")
    expect(dashboard.row("web2")).to_be_focused()


def test_rows_stay_where_they_are_under_a_moving_pointer(farm: Farm, dashboard: Dashboard) -> None:
    mouse, button = (
        dashboard.page.mouse,
        dashboard.row("web1").get_by_role("button", name="Drain").bounding_box(),
    )
    assert button
    farm.kill()

    def told() -> bool:
        mouse.move(button["x"] + time.monotonic() % 1 * 10, button["y"] + 5)
        return dashboard.verdict.inner_text() == "1 of 2 backends is down"

    until(told, "the verdict")
    assert dashboard.rows.first.get_attribute("data-name") == "web1"
    expect(dashboard.rows.first).to_have_attribute("data-name", "web2")


#: The button, the state, how it is shown, and what is asked before.
STATES = [
    ("Drain", "drain", "Draining", "Drain .web2."),
    ("Maint", "maint", "Maintenance", "Take .web2. into maintenance"),
]


@pytest.mark.parametrize(("button", "state", "shown", "question"), STATES)
def test_a_state_is_set_by_button_once_it_is_confirmed(
    farm: Farm, dashboard: Dashboard, button: str, state: str, shown: str, question: str
) -> None:
    row = dashboard.row("web2")
    row.get_by_role("button", name=button).click()
    expect(dashboard.dialog.get_by_role("heading")).to_have_text(re.compile(question))
    dashboard.dialog.get_by_role("button", name="Cancel").click()
    expect(dashboard.dialog).to_be_hidden()
    assert farm.backend("web2")["state"] == "ready"
    row.get_by_role("button", name=button).click()
    dashboard.dialog.locator("#change-yes").click()
    expect(dashboard.dialog).to_be_hidden()
    expect(row.locator(".chip")).to_have_text(shown)
    assert farm.backend("web2")["state"] == state
    expect(dashboard.verdict).to_have_text("1 of 2 backends is set aside")
    row.get_by_role("button", name="Ready").click()
    dashboard.dialog.locator("#change-yes").click()
    expect(row.locator(".chip")).to_have_text("Up")
    assert farm.backend("web2")["state"] == "ready"


@pytest.mark.parametrize(
    ("key", "state", "shown"), [("d", "drain", "Draining"), ("m", "maint", "Maintenance")]
)
def test_a_state_is_set_by_keyboard_once_it_is_confirmed(
    farm: Farm, dashboard: Dashboard, key: str, state: str, shown: str
) -> None:
    keyboard = dashboard.page.keyboard
    dashboard.page.locator("#filter").focus()
    keyboard.press("Tab")
    expect(dashboard.row("web1")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(dashboard.row("web2")).to_be_focused()
    keyboard.press(key)
    expect(dashboard.dialog).to_be_visible()
    keyboard.press("Escape")
    expect(dashboard.row("web2")).to_be_focused()
    assert farm.backend("web2")["state"] == "ready"
    keyboard.press(key)
    keyboard.press("Enter")
    expect(dashboard.row("web2").locator(".chip")).to_have_text(shown)
    expect(dashboard.row("web2")).to_be_focused()
    assert farm.backend("web2")["state"] == state
    keyboard.press("r")
    keyboard.press("Enter")
    expect(dashboard.page.locator("#said")).to_have_text(re.compile("web2.* is ready."))
    assert farm.backend("web2")["state"] == "ready"


def test_the_weight_is_changed_by_button_and_by_keyboard(farm: Farm, dashboard: Dashboard) -> None:
    row, weight = dashboard.row("web1"), dashboard.page.get_by_label("Weight", exact=True)
    row.get_by_role("button", name="Weight of web1: 1").click()
    expect(weight).to_have_value("1")
    weight.fill("7")
    dashboard.dialog.get_by_role("button", name="Change the weight").click()
    expect(row.get_by_role("button", name="Weight of web1: 7")).to_have_text("7")
    assert farm.backend("web1")["weight"] == 7
    row.focus()
    dashboard.page.keyboard.type("w")
    dashboard.page.keyboard.type("1001")
    dashboard.page.keyboard.press("Enter")
    expect(dashboard.dialog).to_be_visible()  # the browser says what is allowed
    dashboard.page.keyboard.press("Control+A")
    dashboard.page.keyboard.type("12")
    dashboard.page.keyboard.press("Enter")
    expect(row.get_by_role("button", name="Weight of web1: 12")).to_have_text("12")
    assert farm.backend("web1")["weight"] == 12


def test_a_change_that_would_stop_the_service_says_so_and_enter_does_not_do_it(
    farm: Farm, dashboard: Dashboard
) -> None:
    farm.admin_request("PUT", "/backends/web2/state", {"state": "maint"})
    expect(dashboard.row("web2").locator(".chip")).to_have_text("Maintenance")
    dashboard.row("web1").focus()
    dashboard.page.keyboard.press("d")
    expect(dashboard.dialog.locator(".warning")).to_contain_text("clients will be answered 503")
    dashboard.page.keyboard.press("Enter")
    expect(dashboard.dialog).to_be_hidden()
    assert farm.backend("web1")["state"] == "ready"


def test_a_write_that_is_refused_says_why_and_stays(farm: Farm, dashboard: Dashboard) -> None:
    farm.admin_request("GET", "/status")
    dashboard.page.route(
        "**/backends/web1/state",
        lambda route: route.continue_(url=route.request.url.replace("web1", "nobody")),
    )
    dashboard.row("web1").get_by_role("button", name="Drain").click()
    dashboard.dialog.locator("#change-yes").click()
    expect(dashboard.dialog.get_by_role("alert")).to_have_text('there is no backend "nobody"')
    expect(dashboard.dialog).to_be_visible()
    assert dashboard.complaints.pop().startswith(
        "Failed to load resource: the server responded with a status of 404"
    )


def test_keys_are_shown_and_work_where_the_table_has_the_focus_only(dashboard: Dashboard) -> None:
    page = dashboard.page
    page.get_by_role("button", name="Keyboard").click()
    expect(dashboard.dialog.get_by_role("heading")).to_have_text("Keyboard")
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(dashboard.dialog).to_be_hidden()
    dashboard.row("web1").focus()
    page.keyboard.press("?")
    expect(dashboard.dialog).to_be_visible()
    page.keyboard.press("Enter")
    for key, name in (("End", "web2"), ("k", "web1"), ("j", "web2"), ("Home", "web1"), ("ArrowUp", "web1")):
        page.keyboard.press(key)
        expect(dashboard.row(name)).to_be_focused()
    page.keyboard.press("Control+d")
    expect(dashboard.dialog).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("d")
    expect(dashboard.dialog).to_be_hidden()


def test_a_failed_exchange_is_listed_with_its_id_and_why_and_is_never_markup(
    farm: Farm, dashboard: Dashboard
) -> None:
    status, request_id = farm.get("/fail/<img/src=x/onerror=alert(1)>%E2%80%AE?secret=1")
    assert status == 500
    rows = dashboard.page.locator("#failed-rows tr")
    row = rows.filter(has_text=request_id)
    expect(row).to_have_count(1)
    expect(row.locator(".request")).to_have_text("GET /fail/<img/src=x/onerror=alert(1)>%E2%80%AE")
    expect(row).to_contain_text("the backend answered 500")
    expect(row.locator(".status")).to_have_text("500")
    assert dashboard.page.locator("img, #failed-rows script").count() == 0
    assert row.locator("bdi").count() >= 3
    _, newest = farm.get("/cut")
    expect(rows.first).to_contain_text(newest)
    expect(rows.first).to_contain_text("the answer was cut")
    assert "secret" not in dashboard.page.inner_text("#failed")


def test_the_filter_is_part_of_the_address(farm: Farm, open_dashboard: OpenDashboard) -> None:
    first = open_dashboard(farm.url).live()
    first.page.locator("#filter").fill("WEB2")
    expect(first.row("web1")).to_be_hidden()
    expect(first.page.locator("#shown")).to_have_text("1 of 2")
    again = open_dashboard(first.page.url).live()
    expect(again.row("web1")).to_be_hidden()
    expect(again.row("web2")).to_be_visible()
