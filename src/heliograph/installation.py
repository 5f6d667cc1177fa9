"""What `Heliograph` made for one Flask application: its services and channels, and how they are closed.

Everything that the parts hold belongs to this object, so two applications in one process share nothing.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import metadata

from flask import Blueprint, Flask

from heliograph.channels.errors import ChannelError
from heliograph.channels.hook import AuthorizeHook
from heliograph.channels.problems import problem_of
from heliograph.channels.service import ChannelService
from heliograph.channels.transports import current, events, http, loopviews, sockets, sse
from heliograph.problems import Problem
from heliograph.request import answers, health, origins
from heliograph.request import metrics as metrics_
from heliograph.request.homeloop import is_patched
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import Logs
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import AccessOptions, RequestOptions
from heliograph.request.services import EXTENSION, Services, services
from heliograph.request.spool import Spool
from heliograph.request.threads import in_thread
from heliograph.server.guard import ServingGuard
from heliograph.server.wrap import WsgiWrapper
from heliograph.settings import Settings
from heliograph.websocket.options import WebSocketOptions

#: Checks of readiness that are ours.
OWN_CHECKS = ("lifecycle", "spool", "channels")

#: What `endpoints` may name, and the blueprints that each adds. Their names leave the plain ones to the application.
ENDPOINTS: dict[str, tuple[Blueprint, ...]] = {
    "channels": (http.bp, sse.bp, sockets.bp),
    "events": (events.bp,),
    "health": (health.bp,),
}


def _allowed_origins() -> frozenset[str]:
    return services().settings[RequestOptions].allowed_origins


for _bp in (*ENDPOINTS["channels"], *ENDPOINTS["events"]):
    answers.register_errors(_bp, {ChannelError: problem_of})
    origins.guard(_bp, _allowed_origins)


class Installation:
    """Found as `app.extensions["heliograph"]`. `hook` is the rule of the application for its channels."""

    def __init__(
        self, app: Flask, settings: Settings, endpoints: tuple[str, ...], prefix: str, hook: AuthorizeHook
    ) -> None:
        self._closing: list[Callable[[], object]] = []
        own_logs = Logs(settings[RequestOptions].log)
        self.on_close(own_logs.close)
        self.services = _services(settings)
        self.channels = ChannelService(settings, self.services.metrics.registry, hook, self.services.loop)
        self.services.checks["spool"] = partial(in_thread, self.services.spool.check)
        self.services.checks["channels"] = self._ready
        self.services.lifecycle.on_stop(self.channels.stop)
        self._extensions = app.extensions
        self._extensions |= {"heliograph": self, EXTENSION: self.services, current.EXTENSION: self.channels}
        # Nothing but what our own views raise, or an application that uses our problems: its own errors stay its own.
        answers.register_errors(app, {Problem: lambda problem: problem})
        metrics_.init_app(app)
        for bp in dict.fromkeys(bp for name in endpoints for bp in ENDPOINTS[name]):
            app.register_blueprint(bp, url_prefix=prefix or None)
            if not is_patched():
                loopviews.move(app, bp.name, self.services.loop)
        wrapper = self._wrap(app, settings, own_logs)
        if {"channels", "events"} & set(endpoints):
            wrapper.protect(ServingGuard(settings[AccessOptions], lambda: hook.protects))
        app.wsgi_app = wrapper  # type: ignore[method-assign]
        self.wrapper = wrapper
        self.on_close(self.services.spool.close)
        self.on_close(self.services.loop.close)
        self.on_close(self.channels.close)
        self.on_close(wrapper.close)
        _open.append(self)

    def _wrap(self, app: Flask, settings: Settings, logs: Logs) -> WsgiWrapper:
        options = settings[RequestOptions]
        if not options.allowed_hosts:  # an application that names no hosts is asked by any name
            options = replace(options, allowed_hosts=frozenset("*"))
        own = self.services
        wrapper = WsgiWrapper(app.wsgi_app, options, logs.requests, own.metrics, own.lifecycle, own.readiness)
        wrapper.limit_websockets(settings[WebSocketOptions])
        return wrapper

    def use_channels(self, channels: ChannelService) -> None:
        """Other channels from now on, as for a test."""
        self.channels = channels
        current.replace_channels(self._extensions, channels)

    def _ready(self) -> str:
        return self.channels.hub.ready()

    def on_close(self, release: Callable[[], object]) -> None:
        """Have `release` called by `close`, before what was registered earlier."""
        self._closing.append(release)

    def close(self) -> None:
        """Stop, and release everything that belongs to the application: it can answer no more requests after that."""
        if self in _open:
            _open.remove(self)
            self.services.lifecycle.stop()
        while self._closing:
            self._closing.pop()()


def _services(settings: Settings) -> Services:
    options = settings[RequestOptions]
    spool = Spool(options.spool, options.spool_max)
    metrics = RequestMetrics()
    metrics.spool_bytes.set_function(lambda: spool.used)
    facts = {"version": metadata.version("heliograph")}
    return Services(settings, spool, metrics, Lifecycle(), facts=facts)


#: Those of this process that were not closed yet. One registration for the end of the process serves all of them.
_open: list[Installation] = []


@atexit.register
def _close_all() -> None:
    for one in reversed(_open.copy()):
        one.close()
