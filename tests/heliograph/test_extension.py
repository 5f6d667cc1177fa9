"""`Heliograph(app)`: what it adds, what it refuses, and that nothing stays of an application that was closed."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, url_for
from proxy_tests.processes import ROOT, Process

from heliograph import Heliograph, Settings, WebSocketEndpoint
from heliograph.channels.options import ChannelsOptions
from heliograph.options import LIBRARY
from heliograph.overriding import with_group
from heliograph.request.options import RequestOptions
from heliograph.settings import load
from heliograph.testing import websocket_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"HELIOGRAPH_SPOOL": str(tmp_path), "HELIOGRAPH_CHANNELS": "memory://"}, LIBRARY)


@pytest.fixture
def app() -> Iterator[Flask]:
    """A user's own; what was added to it is closed in the end."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "mine")
    yield app
    if "heliograph" in app.extensions:
        app.extensions["heliograph"].close()


def publish(app: Flask, path: str) -> int:
    return app.test_client().post(path, data="x", content_type="text/plain").status_code


def test_without_endpoints_no_url_is_added(app: Flask, settings: Settings) -> None:
    before = {rule.rule for rule in app.url_map.iter_rules()}
    Heliograph(app, settings=settings)
    assert {rule.rule for rule in app.url_map.iter_rules()} == before
    answer = app.test_client().get("/")
    assert (answer.text, answer.headers["X-Instance"]) == ("mine", "web")
    assert "html" in app.test_client().get("/nowhere").content_type, "the error pages are still Flask's"


def test_endpoints_stand_below_a_prefix(app: Flask, settings: Settings) -> None:
    Heliograph(app, endpoints=("channels", "events", "health"), prefix="/live", settings=settings)
    assert (publish(app, "/live/channels/a"), publish(app, "/channels/a")) == (201, 404)
    alive = app.test_client().get("/live/healthz")
    assert alive.get_json()["status"] == "ok"


@pytest.mark.parametrize("first", ["its own", "ours"])
def test_an_application_may_have_blueprints_of_the_same_names(
    app: Flask, settings: Settings, first: str
) -> None:
    endpoints = ("channels", "events", "health")
    live = Heliograph(endpoints=endpoints, prefix="/live", settings=settings)
    if first == "ours":
        live.init_app(app)
    for name in endpoints:
        bp = Blueprint(name, __name__)
        bp.add_url_rule(f"/{name}", "index", lambda: "its own")
        app.register_blueprint(bp)
    if first == "its own":
        live.init_app(app)
    assert [app.test_client().get(f"/{name}").text for name in endpoints] == ["its own"] * 3
    assert publish(app, "/live/channels/a") == 201


def test_checks_of_the_library_are_not_replaced(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, endpoints=("health",), settings=settings)
    for name in app.test_client().get("/readyz").get_json()["checks"]:
        with pytest.raises(ValueError, match=f"check\\('{name}'\\): the library has a check of this name"):
            live.check(name)


def test_a_publisher_is_told_who_does_not_allow_it(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, endpoints=("channels",), settings=settings)
    live.channels.authorize(lambda action, channel, request: action != "publish")
    with websocket_of(app, "/ws/channels/a") as socket:
        socket.receive()
        socket.send('{"type": "publish", "data": 1}')
        assert "The application does not allow: publish a." in str(socket.receive())


def test_errors_of_its_endpoints_are_problems(app: Flask, settings: Settings) -> None:
    Heliograph(app, endpoints=("channels", "events"), settings=settings)
    answer = app.test_client().post("/channels/no%20name", data="x", content_type="text/plain")
    assert (answer.status_code, answer.get_json()["type"]) == (400, "/problems/bad-channel")


def test_channels_and_events_can_be_had_apart(settings: Settings) -> None:
    paths = {"channels": "/channels/a", "events": "/push"}
    for name in paths:
        app = Flask(name)
        live = Heliograph(app, endpoints=(name,), settings=settings)
        found = {one: app.test_client().post(path).status_code != 404 for one, path in paths.items()}
        assert found == {one: one == name for one in paths}
        live.close()


@pytest.mark.parametrize("endpoints", [("jobs",), ("nothing",)])
def test_what_is_not_there_yet_is_refused(app: Flask, settings: Settings, endpoints: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="in this version"):
        Heliograph(app, endpoints=endpoints, settings=settings)


def test_one_extension_serves_several_applications_that_are_apart(settings: Settings) -> None:
    live = Heliograph(endpoints=("channels",), settings=settings)
    with pytest.raises(RuntimeError, match="no application yet"):
        live.channels.publish("a", 1)
    apps = [Flask(name) for name in ("one", "two")]
    for app in apps:
        live.init_app(app)
    with pytest.raises(RuntimeError, match="several applications"):
        live.channels.publish("a", 1)
    with apps[0].app_context():
        assert live.channels.publish("a", 1).offset == 1
    with apps[1].app_context():
        assert live.channels.history("a").top == 0
        assert live.channels.publish("a", 2).offset == 1
    assert apps[0].test_client().get("/channels/a").get_json()["messages"][0]["data"] == 1
    with pytest.raises(RuntimeError, match="has a Heliograph already"):
        live.init_app(apps[0])
    live.close()


def test_what_a_module_asks_for_is_done_for_each_application_of_its_factory(settings: Settings) -> None:
    live = Heliograph(endpoints=("health",), settings=settings)
    live.check("before")(lambda: True)
    live.websocket("/ws/<room>", endpoint="named")(lambda socket, room: None)
    apps = [Flask(name) for name in ("one", "two")]
    for app in apps:
        live.init_app(app)
    live.check("after")(lambda: "the disk is full")
    live.check("false")(lambda: False)
    live.add_websocket("/shout", WebSocketEndpoint)
    for app in apps:
        answer = app.test_client().get("/readyz")
        assert answer.status_code == 503
        checks = answer.get_json()["checks"]
        assert (checks["before"], checks["after"], checks["false"]) == (
            "ok",
            "the disk is full",
            "the check says no",
        )
        assert {"named", "WebSocketEndpoint"} <= set(app.view_functions)
        assert app.test_client().get("/ws/a").status_code == 426
    live.close()


def test_settings_of_the_code_win_and_wrong_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_INSTANCE", "of-the-environment")
    monkeypatch.setenv("HELIOGRAPH_RATE", "7")
    app = Flask(__name__)
    given = {
        "channels": "memory://",
        "history_size": 2,
        "HELIOGRAPH_INSTANCE": "mine",
        "allowed_hosts": ["a.example"],
    }
    live = Heliograph(app, endpoints=("channels",), settings=given)
    for number in range(3):
        live.channels.publish("a", number)
    assert [message.data for message in live.channels.history("a")] == [1, 2]
    answer = app.test_client().get("/channels/a", headers={"Host": "a.example"})
    assert (answer.status_code, answer.headers["X-Instance"]) == (200, "mine")
    assert app.test_client().get("/", headers={"Host": "b.example"}).status_code == 421
    assert live.services.settings[ChannelsOptions].rate == 7
    live.close()
    for wrong, words in (
        ({"history_size": 0}, "settings: history_size='0': a whole number"),
        (
            {"chanels": "memory://"},
            "settings: chanels='': there is no setting of this name, the nearest is channels",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            Heliograph(Flask(__name__), settings=wrong)


def test_an_application_that_names_no_hosts_is_asked_by_any_name(app: Flask, settings: Settings) -> None:
    Heliograph(app, settings=settings)
    assert app.test_client().get("/", headers={"Host": "shop.example"}).text == "mine"


def test_the_errors_of_an_application_stay_its_own(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, settings=settings)
    app.register_error_handler(Exception, lambda error: (f"my page for {type(error).__name__}", 500))
    app.add_url_rule("/publishes", "publishes", lambda: str(live.channels.publish("no name", 1)))
    assert app.test_client().get("/publishes").text == "my page for InvalidName"
    assert app.test_client().get("/nowhere").text == "my page for NotFound"


def test_one_view_may_stand_at_several_paths(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, settings=settings)

    @live.websocket("/ws/chat", subprotocols=("v1",))
    @live.websocket("/ws/chat/<room>", subprotocols=("v1",))
    def chat(socket: Any, room: str = "") -> None: ...

    class Shout(WebSocketEndpoint): ...

    live.add_websocket("/ws/shout", Shout)
    live.add_websocket("/ws/loud", Shout)
    for path in ("/ws/chat", "/ws/chat/tea", "/ws/shout", "/ws/loud"):
        assert app.test_client().get(path).status_code == 426, path
    with app.test_request_context():
        assert (url_for("chat"), url_for("chat", room="tea")) == (
            "ws://localhost/ws/chat",
            "ws://localhost/ws/chat/tea",
        )


@pytest.mark.parametrize("attribute", ["view", "subprotocols"])
def test_two_views_of_one_name_are_told_as_flask_does(app: Flask, settings: Settings, attribute: str) -> None:
    live = Heliograph(app, settings=settings)

    def chat(socket: Any) -> None: ...

    def other(socket: Any) -> None: ...

    other.__name__ = "chat"
    live.websocket("/a")(chat)
    options: dict[str, Any] = {"subprotocols": ("v1",)} if attribute == "subprotocols" else {}
    with pytest.raises(AssertionError, match="overwriting an existing endpoint"):
        live.websocket("/b", **options)(other if attribute == "view" else chat)
    live.websocket("/b", endpoint="second", **options)(other)


def test_endpoints_as_one_text_are_refused(app: Flask) -> None:
    with pytest.raises(TypeError, match="a sequence of names"):
        Heliograph(app, endpoints="channels")


def test_what_comes_later_is_refused(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, settings=settings)
    attempts: list[Callable[[], object]] = [
        lambda: live.job("thumbnails", retries=5),
        lambda: live.channels.request("prices", {"sku": 1}, timeout=5),
        lambda: live.channels.publish("orders", {}, connection=object()),
    ]
    for attempt in attempts:
        with pytest.raises(NotImplementedError, match="not available in this version"):
            attempt()


def test_a_rule_of_the_application_says_who_may_do_what(app: Flask, settings: Settings) -> None:
    live = Heliograph(app, endpoints=("channels", "events"), settings=settings)
    asked: list[tuple[str, str, str]] = []

    @live.channels.authorize
    def may(action: str, channel: str, request: Request) -> bool:
        asked.append((action, channel, request.path))
        return request.headers.get("X-User") == "ada" or (action, channel) == ("history", "open")

    client, ada = app.test_client(), {"X-User": "ada"}
    tries: dict[str, Callable[[dict[str, str]], Any]] = {
        "publish": lambda headers: client.post("/channels/a", json=1, headers=headers),
        "history": lambda headers: client.get("/channels/a", headers=headers),
        "presence": lambda headers: client.get("/channels/a/presence", headers=headers),
        "subscribe": lambda headers: client.get("/channels/a/events", headers=headers, buffered=False),
    }
    for action, attempt in tries.items():
        refused, allowed = attempt({}), attempt(ada)
        assert (refused.status_code, refused.get_json()["type"]) == (403, "/problems/forbidden"), action
        assert allowed.status_code in (200, 201), action
        allowed.close()
        assert {one[:2] for one in asked} == {(action, "a")}
        asked.clear()
    assert client.get("/channels/open").status_code == 200
    assert client.get("/channels").get_json()["channels"] == []
    assert [one["channel"] for one in client.get("/channels", headers=ada).get_json()["channels"]] == ["a"]
    assert live.channels.publish("b", "the application itself is not asked").offset == 1


def test_pages_of_other_origins_may_not_write_on_its_endpoints(app: Flask, settings: Settings) -> None:
    app.add_url_rule("/own", view_func=lambda: "mine", methods=["POST"], endpoint="own")
    origins = with_group(
        settings, replace(settings[RequestOptions], allowed_origins=frozenset({"https://shop.example"}))
    )
    Heliograph(app, endpoints=("channels", "events"), settings=origins)
    client = app.test_client()
    foreign, shop = {"Origin": "https://evil.example"}, {"Origin": "https://shop.example"}
    for path in ("/channels/a", "/push"):
        answer = client.post(path, json={}, headers=foreign)
        assert (answer.status_code, answer.get_json()["type"]) == (403, "/problems/foreign-origin"), path
        assert "Access-Control-Allow-Origin" not in answer.headers
    answer = client.post("/channels/a", json=1, headers=shop)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (201, shop["Origin"])
    asked = client.options("/channels/a", headers={**shop, "Access-Control-Request-Method": "DELETE"})
    assert "DELETE" in asked.headers["Access-Control-Allow-Methods"]
    own = client.post("/own", headers=foreign)
    assert (own.text, "Vary" in own.headers) == ("mine", False), "the application's own views are its own"


def test_two_applications_are_apart_and_each_can_be_closed(settings: Settings) -> None:
    apps = [Flask(name) for name in ("one", "two")]
    one, two = (Heliograph(app, endpoints=("channels", "events"), settings=settings) for app in apps)
    assert publish(apps[0], "/channels/a") == 201
    assert [app.test_client().get("/channels/a").get_json()["top"] for app in apps] == [1, 0]
    services = one.services
    one.close()
    one.close()
    assert services.lifecycle.stopping
    assert not two.services.lifecycle.stopping
    assert publish(apps[1], "/channels/a") == 201
    two.close()


def test_nothing_is_left_of_fifty_applications(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tests.heliograph.many_applications", str(tmp_path)]
    with Process(program, tmp_path / "log", cwd=ROOT) as process:
        assert process.wait(120) == 0, process.output
        first, last = (json.loads(line) for line in process.output.splitlines() if '"greenlets"' in line)
    assert last == first
    assert (last["applications"], last["handlers"]) == (0, 0)
