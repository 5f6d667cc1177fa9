"""`/-/health` and `/-/metrics`: answered before the application, whatever it is, to trusted peers that ask this process directly.

A request that came through a proxy is not answered, whoever its client is: the layers in front ask for themselves.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from http.client import responses
from typing import Any

from heliograph_proxy.http1.requestline import ALLOWED_METHODS
from heliograph_proxy.trust import TrustedPeers, peer_name

from heliograph.problems import MethodNotAllowed, NotFound, Stopping
from heliograph.request.answers import response_of
from heliograph.request.checks import CheckResults
from heliograph.request.forwarding import given_request_id
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.metrics import CONTENT_TYPE, RequestMetrics

HEALTH, METRICS = "/-/health", "/-/metrics"

#: The target of a request for the server as a whole (RFC 9110, 9.3.7), which only OPTIONS has.
SERVER = "*"

RESERVED = frozenset({HEALTH, METRICS, SERVER})

#: What proxies add to a request that they pass on.
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_VIA")

_METHODS = ("GET", "HEAD")


def other_answer(environ: Mapping[str, Any], trust: TrustedPeers) -> Any:
    """What answers a request for a reserved path, a WSGI application; None where it is `ReservedPaths`."""
    if environ["PATH_INFO"] == SERVER:
        return _describe_server
    if not _may_ask(environ, trust):
        return response_of(NotFound())
    if environ["REQUEST_METHOD"] not in _METHODS:
        return response_of(MethodNotAllowed(headers={"Allow": ", ".join(_METHODS)}, allowed=list(_METHODS)))
    return None


def _describe_server(_environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("204 No Content", [("Allow", ALLOWED_METHODS)])
    return []


def _may_ask(environ: Mapping[str, Any], trust: TrustedPeers) -> bool:
    if any(name in environ for name in _FORWARDED):
        return False
    return trust.believes(peer_name(environ.get("REMOTE_ADDR") or ""))


class ReservedPaths:
    """The answers of one application."""

    def __init__(
        self, instance: str, metrics: RequestMetrics, lifecycle: Lifecycle, readiness: CheckResults
    ) -> None:
        self._instance = instance
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._readiness = readiness

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == METRICS:
            status, kind, body = 200, CONTENT_TYPE, self._metrics.render()
        else:
            status, kind, body = self._health()
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Instance", self._instance),
            ("X-Request-Id", given_request_id(environ) or secrets.token_hex(16)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        start_response(f"{status} {responses[status]}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _health(self) -> tuple[int, str, bytes]:
        stopping = self._lifecycle.stopping
        checks = self._readiness.get()
        state = {
            "status": "stopping" if stopping else "ok",
            "ready": not stopping and all(result == "ok" for result in checks.values()),
            "checks": checks,
        }
        return Stopping.status if stopping else 200, "application/json", json.dumps(state).encode()
