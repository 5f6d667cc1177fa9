"""The Flask application of this checkout: codecs, echo and channels, over HTTP and WebSocket."""

from __future__ import annotations

import logging
from dataclasses import replace

import wirecodes
from flask import Flask, Response

from app import docs, echo, echo_socket, telegraph
from app.codec import analysis, codes, work
from app.codec import socket as codec_socket
from app.codec import views as codec
from app.codec.work import CodecJobs
from app.console import views as console
from app.options import CodecOptions
from heliograph import extension
from heliograph.extension import Heliograph
from heliograph.options import LIBRARY
from heliograph.overriding import with_group
from heliograph.request import answers, origins
from heliograph.request.options import RequestOptions
from heliograph.settings import Options, Settings, from_environment

log = logging.getLogger("heliograph")

#: The settings that this application reads.
GROUPS: tuple[type[Options], ...] = (*LIBRARY, CodecOptions)

BLUEPRINTS = (
    codec.bp,
    analysis.bp,
    codes.bp,
    codec_socket.bp,
    echo.bp,
)

#: Registered behind the library's, so that the documentation lists the paths in this order.
PAGES = (docs.bp, console.bp)


class PlainResponse(Response):
    """What Flask answers by itself, such as OPTIONS: never HTML."""

    default_mimetype = "text/plain"


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Without `settings` they come from the environment; a wrong one ends the process with one line."""
    settings = settings or from_environment(GROUPS)
    options = settings[RequestOptions]
    if not options.allowed_hosts:  # beside these, all that name no host: addresses
        options = replace(options, allowed_hosts=frozenset({"localhost"}))
        settings = with_group(settings, options)
    app = Flask(__name__)
    app.response_class = PlainResponse
    app.url_map.merge_slashes = False  # a redirect would be HTML, and loses the body of a POST
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.config["MAX_CONTENT_LENGTH"] = options.max_body
    answers.init_app(app)
    for bp in BLUEPRINTS:
        app.register_blueprint(bp)
    live = Heliograph(app, endpoints=("channels", "events", "health"), settings=settings)
    echo_socket.add_to(live)
    telegraph.add_to(live, app)
    # After the library, which notes the route of each request: the metrics of requests that are refused here name it, too.
    origins.guard(app, lambda: options.allowed_origins)
    for bp in PAGES:
        app.register_blueprint(bp)
    live.services.facts["kernel"] = wirecodes.KERNEL
    jobs = CodecJobs(settings[CodecOptions].codec_jobs, live.services.metrics.registry)
    app.extensions[work.EXTENSION] = jobs
    live.on_close(jobs.close)
    live.require_protection()
    return app


def announce(settings: Settings) -> None:
    """Log what bounds this process; its limit of descriptors is raised by that."""
    extension.announce_limits(settings)
    log.info("codecs: %d jobs at once", settings[CodecOptions].codec_jobs)
