"""What the admin listener's paths lead to, and what its writes do with anything they may be sent. The wire is test_admin's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from heliograph_proxy.admin.control import Control
from heliograph_proxy.admin.live import LiveStream
from heliograph_proxy.admin.views import INDEX, OPEN_VIEWS, PARTS, AdminAnswer, AdminViews, find
from heliograph_proxy.balancing.health import Checker
from heliograph_proxy.errors import BadRequest, Conflict, MethodNotAllowed, NotFound, Problem
from heliograph_proxy.server import build
from heliograph_proxy.settings import parse
from hypothesis import given
from hypothesis import strategies as st

FILES = [name for name in PARTS if name != INDEX]
SETTINGS = parse({"backend": [{"name": "a", "address": "127.0.0.1:1"}], "log": {"access": ""}})


class Setting:
    """A console of a proxy that does not run."""

    def __init__(self) -> None:
        self.runtime = build(SETTINGS)
        self.checker = Checker(self.runtime)
        control = Control(self.runtime, self.checker, "nowhere.toml")
        self.console = AdminViews(self.runtime, control, LiveStream(self.runtime))

    def ask(self, method: str, path: str, body: bytes = b"") -> AdminAnswer:
        view, caught = find(method, path)
        return view(self.console, caught, body)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, path, b"" if body is None else json.dumps(body).encode())
        assert isinstance(answer.body, bytes)
        return json.loads(answer.body or b"null")


@pytest.fixture
def setting() -> Iterator[Setting]:
    one = Setting()
    yield one
    one.checker.stop()


@pytest.mark.parametrize(
    ("method", "path", "view", "caught"),
    [
        ("GET", "/", AdminViews.show_page, ""),
        ("HEAD", "/page.js", AdminViews.show_page, "page.js"),
        ("GET", "/icon-down.svg", AdminViews.show_page, "icon-down.svg"),
        ("GET", "/status", AdminViews.show_status, ""),
        ("GET", "/metrics", AdminViews.show_metrics, ""),
        ("GET", "/events", AdminViews.show_events, ""),
        ("GET", "/live", AdminViews.show_live, ""),
        ("POST", "/backends", AdminViews.add, ""),
        ("DELETE", "/backends/a-1.b_2", AdminViews.remove, "a-1.b_2"),
        ("PUT", "/backends/a/state", AdminViews.set_state, "a"),
        ("PUT", "/backends/a/weight", AdminViews.set_weight, "a"),
        ("POST", "/reload", AdminViews.reload, ""),
    ],
)
def test_each_path_has_its_view(method: str, path: str, view: object, caught: str) -> None:
    assert find(method, path) == (view, caught)


@pytest.mark.parametrize(
    "path",
    ["", "/status/", "/page.html", "/page.js/../../settings.py", "/backends/", "/backends/a/b", "/backends/a/state/",
     "/backends/" + "a" * 65, "/backends/%61", "/backends/a\n", "//status", "/STATUS"],
)  # fmt: skip
def test_no_other_path_leads_anywhere(path: str) -> None:
    with pytest.raises(NotFound):
        find("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/", "GET, HEAD"),
        ("HEAD", "/reload", "POST"),
        ("GET", "/backends", "POST"),
        ("get", "/status", "GET, HEAD"),
    ],
)
def test_other_methods_are_told_which_ones_there_are(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as error:
        find(method, path)
    assert error.value.allow == allow


def test_only_the_page_is_open_to_everybody() -> None:
    assert {find("GET", path)[0] for path in ("/", "/page.js", "/page.css")} == set(OPEN_VIEWS)


#: Compressed it is half of that; the admin listener does not compress.
MAX_PAGE = 70_000


def test_the_page_needs_nothing_from_elsewhere_and_is_small(setting: Setting) -> None:
    files = {
        "/": setting.ask("GET", "/"),
        **{f"/{one}": setting.ask("GET", f"/{one}") for one in FILES},
    }
    texts = {path: answer.body.decode() for path, answer in files.items() if isinstance(answer.body, bytes)}
    assert sum(map(len, texts.values())) < MAX_PAGE
    for path, text in texts.items():
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert "style=" not in text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
        found = re.findall(r'(?:src|href)="(/[^"]*)"|from "\./([^"]+)"', text)
        assert all(one or f"/{two}" in texts for one, two in found), path
        assert {one for one, _ in found if one} <= set(texts), path


def test_the_parts_of_the_page_have_their_types(setting: Setting) -> None:
    kinds = {setting.ask("GET", f"/{one}").kind.split(";")[0] for one in FILES}
    assert kinds == {"text/javascript", "text/css", "image/svg+xml"}


def test_the_status_follows_what_is_written(setting: Setting) -> None:
    assert setting.json("PUT", "/backends/a/state", {"state": "drain"})["state"] == "drain"
    assert setting.json("PUT", "/backends/a/weight", {"weight": 7})["weight"] == 7
    added = setting.ask("POST", "/backends", b'{"name": "b", "address": "unix:/run/b", "weight": 2}')
    assert added.status == "201 Created"
    shown = [(one["name"], one["state"], one["weight"]) for one in setting.json("GET", "/status")["backends"]]
    assert shown == [("a", "drain", 7), ("b", "ready", 2)]
    with pytest.raises(Conflict):
        setting.ask("POST", "/backends", b'{"name": "b", "address": "127.0.0.1:2"}')
    assert setting.ask("DELETE", "/backends/b").status == "204 No Content"
    assert [one["name"] for one in setting.json("GET", "/status")["backends"]] == ["a"]
    with pytest.raises(NotFound):
        setting.ask("DELETE", "/backends/b")


def test_a_file_that_cannot_be_read_changes_nothing(setting: Setting) -> None:
    with pytest.raises(BadRequest, match=r"nowhere\.toml"):
        setting.ask("POST", "/reload")
    assert setting.runtime.settings is SETTINGS


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "state": ANYTHING | st.sampled_from(["ready", "drain", "maint"]),
        "weight": ANYTHING | st.integers(0, 1001),
        "name": ANYTHING | st.just("b"),
        "address": ANYTHING | st.builds("unix:/{}".format, st.text(st.characters())) | st.just("127.0.0.1:2"),
    },
)
BODIES = st.binary(max_size=30) | (ANYTHING | OBJECTS).map(lambda value: json.dumps(value).encode())


@given(
    BODIES,
    st.sampled_from([("PUT", "/backends/a/state"), ("PUT", "/backends/a/weight"), ("POST", "/backends")]),
)
def test_whatever_is_written_is_taken_or_a_problem_and_nothing_else(
    body: bytes, where: tuple[str, str]
) -> None:
    setting = Setting()
    with suppress(Problem):
        setting.ask(*where, body)
    setting.checker.stop()


@pytest.mark.parametrize("address", ["unix:/\ud800", "unix:/a\0b", "a..b:80", "", 80, None])
def test_an_address_that_cannot_be_used_is_a_problem_and_no_backend(
    setting: Setting, address: object
) -> None:
    with pytest.raises(BadRequest, match=r"address: must be"):
        setting.json("POST", "/backends", {"name": "b", "address": address})
    assert len(setting.runtime.balancer.backends) == 1


def test_a_body_nested_too_deep_is_a_problem(setting: Setting) -> None:
    with pytest.raises(BadRequest):
        setting.ask("POST", "/backends", b"[" * 16000)
