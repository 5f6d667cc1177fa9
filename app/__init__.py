"""The Flask application of Heliograph: codecs, echo and channels, over HTTP and WebSocket.

`create_app` is the only place where the parts are put together; everything else gets what it needs.
"""

from __future__ import annotations

import atexit

from flask import Flask, Response

from app import analysis, answers, codec, codec_socket, codes, console, docs, echo, health, logs, origins
from app import metrics as metrics_
from app import settings as settings_
from app.channels import sockets, streams, views
from app.channels.service import Channels
from app.edge import Edge
from app.jobs import Jobs
from app.lifecycle import lifecycle
from app.metrics import Metrics
from app.services import EXTENSION, Services
from app.settings import Settings
from app.spool import Spool
from app.websocket import views as websockets


class PlainResponse(Response):
    """What Flask answers by itself, such as OPTIONS: never HTML."""

    default_mimetype = "text/plain"


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Without `settings` they come from the environment; a wrong one ends the process with one line."""
    settings = settings or settings_.from_environment()[0]
    app = Flask(__name__)
    app.response_class = PlainResponse
    app.url_map.merge_slashes = False  # a redirect would be HTML, and loses the body of a POST
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    metrics = Metrics()
    channels = Channels(settings, metrics)
    lifecycle.on_stop(channels.hub.stop)
    atexit.register(channels.hub.close)
    app.extensions[EXTENSION] = Services(
        settings=settings,
        spool=Spool(settings.spool, settings.spool_max),
        jobs=Jobs(settings.codec_jobs, metrics),
        metrics=metrics,
        channels=channels,
        lifecycle=lifecycle,
    )
    answers.init_app(app)
    metrics_.init_app(app)
    origins.init_app(app, settings.allowed_origins)
    for bp in (
        codec.bp,
        analysis.bp,
        codes.bp,
        codec_socket.bp,
        echo.bp,
        websockets.bp,
        views.bp,
        streams.bp,
        sockets.bp,
        health.bp,
        docs.bp,
        console.bp,
    ):
        app.register_blueprint(bp)
    app.wsgi_app = Edge(app.wsgi_app, settings, logs.configure(settings.log), metrics)  # type: ignore[method-assign]
    return app
