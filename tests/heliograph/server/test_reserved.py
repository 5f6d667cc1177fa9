"""What /-/health and /-/metrics say of applications with the library: the same as the views of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import Client

from heliograph import Heliograph
from heliograph.channels.readiness import MAX_WAIT
from heliograph.options import LIBRARY
from heliograph.request.checks import LIMIT
from heliograph.settings import load


@contextmanager
def application(folder: Path, name: str = "one") -> Iterator[tuple[Flask, Heliograph]]:
    settings = load({"HELIOGRAPH_SPOOL": str(folder / name), "HELIOGRAPH_CHANNELS": "memory://"}, LIBRARY)
    app = Flask(name)
    live = Heliograph(app, endpoints=("health",), settings=settings)
    app.add_url_rule("/hello", view_func=lambda: f"hello from {name}")
    yield app, live
    live.close()


def get(app: Any, path: str) -> Any:
    return Client(app).get(path, environ_overrides={"REMOTE_ADDR": "127.0.0.1"})


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
