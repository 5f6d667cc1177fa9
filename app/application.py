"""The Flask application of Heliograph: codecs, echo and channels, over HTTP and WebSocket.

`create_app` is the only place where the parts are put together; everything else gets what it needs.
"""

from __future__ import annotations

import atexit

from flask import Flask, Response

from app import docs, echo
from app import echo_socket as websockets
from app.codec import analysis, codes
from app.codec import socket as codec_socket
from app.codec import views as codec
from app.codec.work import Jobs
from app.console import views as console
from heliograph import settings as settings_
from heliograph.channels.service import Channels
from heliograph.channels.transports import http as views
from heliograph.channels.transports import sockets
from heliograph.channels.transports import sse as streams
from heliograph.request import answers, health, logs, origins
from heliograph.request import metrics as metrics_
from heliograph.request.lifecycle import lifecycle
from heliograph.request.metrics import Metrics
from heliograph.request.services import EXTENSION, Services
from heliograph.request.spool import Spool
from heliograph.server.wrap import Edge
from heliograph.settings import Settings


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
