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
from heliograph.server.wrap import WsgiWrapper, made_during
from heliograph.settings import from_environment


def hosted(load: Callable[[], Any]) -> Any:
    """The application that `load` returns, with the middleware around it."""
    with made_during() as wrappers:
        application = load()
    if isinstance(getattr(application, "wsgi_app", application), WsgiWrapper):
        return application
    if wrappers:  # it stands deeper inside, below a middleware of the application's own
        return wrappers[0].around(application)
    return _wrap(application)


def _wrap(application: Any) -> WsgiWrapper:
    options = from_environment((RequestOptions,))[RequestOptions]
    if not options.allowed_hosts:  # an application that knows nothing of us is asked by any name
        options = replace(options, allowed_hosts=frozenset("*"))
    return WsgiWrapper(
        application, options, Logs(options.log).requests, RequestMetrics(), Lifecycle(), CheckResults({})
    )
