"""`Heliograph(app)`: what it adds, what it refuses, and that nothing stays of an application that was closed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from proxy_tests.processes import ROOT, Process

from heliograph import Heliograph, Settings
from heliograph.options import LIBRARY
from heliograph.settings import load


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


def test_errors_of_its_endpoints_are_problems(app: Flask, settings: Settings) -> None:
    Heliograph(app, endpoints=("channels", "events"), settings=settings)
    answer = app.test_client().post("/channels/no%20name", data="x", content_type="text/plain")
    assert (answer.status_code, answer.get_json()["type"]) == (400, "/problems/bad-channel")


@pytest.mark.parametrize("endpoints", [("jobs",), ("channels",), ("events",), ("nothing",)])
def test_what_is_not_there_yet_is_refused(app: Flask, settings: Settings, endpoints: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="in this version"):
        Heliograph(app, endpoints=endpoints, settings=settings)


def test_an_extension_serves_one_application(app: Flask, settings: Settings) -> None:
    live = Heliograph(settings=settings)
    live.init_app(app)
    with pytest.raises(RuntimeError, match="in this version"):
        live.init_app(Flask("another"))


def test_two_applications_are_apart_and_each_can_be_closed(settings: Settings) -> None:
    apps = [Flask(name) for name in ("one", "two")]
    one, two = (Heliograph(app, endpoints=("channels", "events"), settings=settings) for app in apps)
    assert publish(apps[0], "/channels/a") == 201
    assert [app.test_client().get("/channels/a").get_json()["top"] for app in apps] == [1, 0]
    one.close()
    one.close()
    assert one.services.lifecycle.stopping
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
