"""What /-/health and /-/metrics say of applications with the library: the same as the views of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from gevent.event import Event
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from heliograph import Heliograph
from heliograph.channels.readiness import MAX_WAIT
from heliograph.options import LIBRARY
from heliograph.request.checks import LIMIT
from heliograph.server.hosting import hosted
from heliograph.settings import load


@contextmanager
def application(folder: Path, name: str = "one", **more: str) -> Iterator[tuple[Flask, Heliograph]]:
    given = {"HELIOGRAPH_SPOOL": str(folder / name), "HELIOGRAPH_CHANNELS": "memory://", **more}
    settings = load(given, LIBRARY)
    app = Flask(name)
    live = Heliograph(app, endpoints=("health",), settings=settings)
    app.add_url_rule("/hello", view_func=lambda: f"hello from {name}")
    yield app, live
    live.close()


def get(app: Any, path: str) -> Any:
    return Client(app).get(path, environ_overrides={"REMOTE_ADDR": "127.0.0.1"}, buffered=True)


def metric(app: Any, path: str, name: str) -> float | None:
    """The value at a path of metrics, where the series stands once."""
    found = re.findall(rf"^heliograph_{re.escape(name)} (\S+)$", get(app, path).text, re.MULTILINE)
    assert len(found) <= 1
    return float(found[0]) if found else None


def test_readiness_is_decided_once_for_all_who_ask(tmp_path: Path) -> None:
    runs = []

    def broken() -> str:
        runs.append(1)
        raise OSError("gone")

    with application(tmp_path) as (app, live):
        live.services.checks["mine"] = broken
        health, ready = get(app, "/-/health").json, get(app, "/readyz")
        expected = {"spool": "ok", "channels": "ok", "mine": "the check failed: OSError"}
        assert (health["ready"], health["checks"]) == (False, expected)
        assert (ready.status_code, ready.json["checks"]) == (503, {"lifecycle": "ok", **expected})
        assert len(runs) == 1


def test_a_log_that_does_not_answer_says_so_before_the_probe_gives_up() -> None:
    assert MAX_WAIT < LIMIT < 1.0


def test_the_spool_is_counted_wherever_metrics_are_asked_for(tmp_path: Path) -> None:
    with application(tmp_path) as (app, live), live.services.spool.open() as file:
        file.write(b"x" * 1000)
        for path in ("/-/metrics", "/metrics"):
            assert metric(app, path, "spool_bytes") == live.services.spool.used > 0


@contextmanager
def dispatched(folder: Path) -> Iterator[tuple[Any, Heliograph, Heliograph]]:
    """One application with two below it at /one and /two, as our worker loads them."""
    lives = []
    with ExitStack() as stack:

        def load() -> DispatcherMiddleware:
            mounts: dict[str, Any] = {}
            for name in ("one", "two"):
                hosts = {"HELIOGRAPH_ALLOWED_HOSTS": f"{name}.example"}
                mounts[f"/{name}"], live = stack.enter_context(application(folder, name, **hosts))
                lives.append(live)
            return DispatcherMiddleware(Flask("outer"), mounts)

        app = hosted(load)
        yield app, *lives


def test_applications_below_one_dispatcher_are_told_of_together(tmp_path: Path) -> None:
    with dispatched(tmp_path) as (app, first, second):
        first.services.checks["mine"] = lambda: "ok"
        second.services.checks["mine"] = lambda: "starting"
        assert get(app, "/-/health").json["checks"] == {"spool": "ok", "channels": "ok", "mine": "starting"}
        assert [get(app, f"/{name}/readyz").status_code for name in ("one", "two")] == [200, 503]
        with first.services.spool.open() as a, second.services.spool.open() as b:
            a.write(b"x")
            b.write(b"x")
            both = first.services.spool.used + second.services.spool.used
            assert metric(app, "/-/metrics", "spool_bytes") == both


def test_requests_below_one_dispatcher_are_counted_where_they_were_answered(tmp_path: Path) -> None:
    with dispatched(tmp_path) as (app, _, _):
        for path, status in (("/one/hello", 421), ("/two/hello", 200), ("/other", 404)):
            assert Client(app).get(path, base_url="http://two.example", buffered=True).status_code == status
        greeted = 'requests_total{method="GET",route="/hello",status="200"}'
        values = [metric(app, path, greeted) for path in ("/-/metrics", "/two/metrics", "/one/metrics")]
        assert values == [1, 1, None]
        assert metric(app, "/-/metrics", 'requests_total{method="GET",route="none",status="404"}') == 1
        assert metric(app, "/-/metrics", "requests_in_flight") == 0
        assert metric(app, "/-/metrics", "loop_stalled_seconds") is not None


def test_the_checks_of_several_applications_run_at_the_same_time(tmp_path: Path) -> None:
    with dispatched(tmp_path) as (app, first, second):
        both = [Event(), Event()]
        for live, (mine, other) in ((first, both), (second, both[::-1])):
            live.services.checks["meeting"] = partial(_meet, mine, other)
        assert get(app, "/-/health").json["checks"]["meeting"] == "ok"


def _meet(mine: Event, other: Event) -> str:
    mine.set()
    return "ok" if other.wait(10) else "alone"
