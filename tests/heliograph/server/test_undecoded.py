"""A server that neither decodes the chunks of a body nor says how long it is, as some do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request, Response

from heliograph.request.checks import CheckResults
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import RequestLog, ScheduledWriter
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import RequestOptions
from heliograph.server.wrap import WsgiWrapper


@Request.application
def app(request: Request) -> Response:
    return Response(f"{len(request.get_data())} bytes")


def status(folder: Path, path: str, **environ: Any) -> int:
    with (folder / "log").open("wb") as log:
        options, writer = RequestOptions.read({}), ScheduledWriter(log.fileno())
        log_, checks = RequestLog("json", writer), CheckResults({})
        wrapped = WsgiWrapper(app, options, log_, RequestMetrics(), Lifecycle(), checks)
        built = EnvironBuilder(path, method="POST").get_environ()
        built.pop("CONTENT_LENGTH", None)
        _, answer, _ = run_wsgi_app(wrapped, {**built, "HTTP_TRANSFER_ENCODING": "chunked", **environ})
        writer.flush()
    return int(answer.split()[0])


@pytest.mark.parametrize("path", ["/", "/echo", "/channels/c"])
def test_a_body_whose_end_cannot_be_seen_is_not_taken_for_an_empty_one(tmp_path: Path, path: str) -> None:
    assert status(tmp_path, path) == 411
    assert status(tmp_path, path, HTTP_TRANSFER_ENCODING="gzip, chunked") == 411


def test_one_that_the_server_decodes_or_measures_is_read(tmp_path: Path) -> None:
    assert status(tmp_path, "/", **{"wsgi.input_terminated": True}) == 200
    assert status(tmp_path, "/", CONTENT_LENGTH="0") == 200
