"""`Heliograph(app)`: what a Flask application gets from this library. The only module that puts its parts together.

    live = Heliograph(app, endpoints=("channels", "events", "health"), prefix="/live")
    ...
    live.close()

Everything that the parts hold belongs to this object; two applications in one process share nothing.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata

from flask import Blueprint, Flask
from heliograph_proxy.limits import raise_descriptor_limit

from heliograph.channels.errors import ChannelError
from heliograph.channels.options import ChannelsOptions
from heliograph.channels.problems import problem_of
from heliograph.channels.service import Channels
from heliograph.channels.transports import current, http, sockets, sse
from heliograph.options import LIBRARY
from heliograph.problems import Problem
from heliograph.request import answers, health
from heliograph.request import metrics as metrics_
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import Logs
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.request.services import EXTENSION, Services
from heliograph.request.spool import Spool
from heliograph.request.threads import in_thread
from heliograph.server import guard, gunicorn_options
from heliograph.server.wrap import WsgiWrapper
from heliograph.settings import Settings, from_environment
from heliograph.websocket.options import WebSocketOptions

log = logging.getLogger("heliograph")

#: What `endpoints` may name, and the blueprints that each adds. /push and /events stand in the blueprints of the channels.
ENDPOINTS: dict[str, tuple[Blueprint, ...]] = {
    "channels": (http.bp, sse.bp, sockets.bp),
    "events": (),
    "health": (health.bp,),
}


class Heliograph:
    """The parts of the library for one application. `settings`: by default those of the environment."""

    def __init__(
        self,
        app: Flask | None = None,
        *,
        endpoints: Iterable[str] = (),
        prefix: str = "",
        settings: Settings | None = None,
    ) -> None:
        self._endpoints = _checked(tuple(endpoints))
        self._prefix = prefix
        self._given = settings
        self._closing: list[Callable[[], None]] = []
        self._started = False
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        if self._started:
            raise RuntimeError("one Heliograph serves one application in this version; make another one")
        self._started = True
        settings = self._given or from_environment(LIBRARY)
        if "channels" in self._endpoints:
            guard.refuse_open_sockets(settings[AccessOptions])
        gunicorn_options.refuse_other_workers()
        options = settings[RequestOptions]
        own_logs = Logs(options.log)
        self.on_close(own_logs.close)
        self.services = self._services(settings)
        self.channels = Channels(settings, self.services.metrics.registry)
        self.services.checks["spool"] = partial(in_thread, self.services.spool.check)
        self.services.checks["channels"] = self.channels.hub.ready
        self.services.lifecycle.on_stop(self.channels.hub.stop)
        app.extensions["heliograph"] = self
        app.extensions[EXTENSION] = self.services
        app.extensions[current.EXTENSION] = self.channels
        answers.register_errors(app, {Problem: lambda problem: problem, ChannelError: problem_of})
        metrics_.init_app(app)
        for bp in dict.fromkeys(bp for name in self._endpoints for bp in ENDPOINTS[name]):
            app.register_blueprint(bp, url_prefix=self._prefix or None)
        wrapper = WsgiWrapper(
            app.wsgi_app,
            options,
            own_logs.requests,
            self.services.metrics,
            self.services.lifecycle,
            self.services.readiness,
        )
        wrapper.limit_websockets(settings[WebSocketOptions])
        if "channels" in self._endpoints:
            wrapper.protect(guard.ServingGuard(settings[AccessOptions]))
        app.wsgi_app = wrapper  # type: ignore[method-assign]
        self.on_close(self.services.spool.close)
        self.on_close(self.channels.hub.close)
        self.on_close(wrapper.close)
        _open.append(self)

    def _services(self, settings: Settings) -> Services:
        options = settings[RequestOptions]
        spool = Spool(options.spool, options.spool_max)
        metrics = RequestMetrics()
        metrics.spool_bytes.set_function(lambda: spool.used)
        facts = {"version": metadata.version("heliograph")}
        return Services(settings, spool, metrics, Lifecycle(), facts=facts)

    def on_close(self, release: Callable[[], None]) -> None:
        """Have `release` called by `close`, before what was registered earlier."""
        self._closing.append(release)

    def close(self) -> None:
        """Stop, and release everything that belongs to the application: it can answer no more requests after that."""
        if self in _open:
            _open.remove(self)
            self.services.lifecycle.stop()
        while self._closing:
            self._closing.pop()()


#: Those of this process that were not closed yet. One registration for the end of the process serves all of them.
_open: list[Heliograph] = []


@atexit.register
def _close_all() -> None:
    for live in reversed(_open.copy()):
        live.close()


def _checked(endpoints: tuple[str, ...]) -> tuple[str, ...]:
    for name in endpoints:
        if name not in ENDPOINTS:
            known = ", ".join(ENDPOINTS)
            raise ValueError(f"endpoints={name!r}: one of {known} is allowed in this version")
    if ("channels" in endpoints) != ("events" in endpoints):
        raise ValueError("endpoints: channels and events come together in this version")
    return endpoints


def announce_limits(settings: Settings) -> None:
    """Raise the descriptor limit, log what bounds this process, and say who may use its channels."""
    request, channels = settings[RequestOptions], settings[ChannelsOptions]
    log.info(
        "limits: %d open descriptors, bodies of %d bytes, spool of %d bytes, WebSocket messages of %d bytes",
        raise_descriptor_limit(),
        request.max_body,
        request.spool_max,
        settings[WebSocketOptions].max_message,
    )
    log.info(
        "channels: %s, %d messages, %d bytes or %d s of history, %d bytes in all, %d channels, %s publishes a second "
        "and client",
        channels.channels.shown,
        channels.history_size,
        channels.history_bytes,
        channels.history_ttl,
        channels.log_bytes,
        channels.max_channels,
        channels.rate or "any number of",
    )
    if not settings[AccessOptions].auth_secret:
        log.info("channels are open to every client that can connect: HELIOGRAPH_AUTH_SECRET is not set")
