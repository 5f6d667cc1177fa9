"""Any WSGI application in our worker: it gets the middleware, unless its outermost layer is one already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from heliograph.request.checks import CheckResults
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import Logs
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import RequestOptions
from heliograph.server.loading import BOOT_ERROR
from heliograph.server.wrap import WsgiWrapper, made_during
from heliograph.settings import exit_on_error, from_environment
from heliograph.websocket.options import WebSocketOptions


def hosted(load: Callable[[], Any]) -> Any:
    """The application that `load` returns, with the middleware around it."""
    with exit_on_error(BOOT_ERROR), made_during() as wrappers:
        application = load()
        for wrapper in wrappers:
            wrapper.require_protection()
    if isinstance(getattr(application, "wsgi_app", application), WsgiWrapper):
        return application
    if wrappers:  # they stand deeper inside, below a middleware or a dispatcher of the application's own
        return WsgiWrapper.around(application, wrappers)
    return _wrap(application)


def _wrap(application: Any) -> WsgiWrapper:
    settings = from_environment((RequestOptions, WebSocketOptions), BOOT_ERROR)
    options = settings[RequestOptions]
    if not options.allowed_hosts:  # an application that knows nothing of us is asked by any name
        options = replace(options, allowed_hosts=frozenset("*"))
    logs, readiness = Logs(options.log).requests, CheckResults({})
    wrapper = WsgiWrapper(application, options, logs, RequestMetrics(), Lifecycle(), readiness)
    wrapper.limit_websockets(settings[WebSocketOptions])
    return wrapper
