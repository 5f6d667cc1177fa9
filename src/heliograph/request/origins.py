"""Which web pages may use this service, by the Origin and Sec-Fetch-Site that browsers send.

Requests that write are refused when they come from a page of another origin, unless `HELIOGRAPH_ALLOWED_ORIGINS` names it; only
those origins get CORS headers. Programs that are not browsers send neither header and are not concerned.
"""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.datastructures import Headers

from heliograph.problems import ForeignOrigin
from heliograph.request.forwarding import normal_origin, origin_of

#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: Seconds that a browser may remember the answer to a preflight request. Chromium's own maximum.
PREFLIGHT_AGE = 7200


def may_write(headers: Headers, own_origin: str, allowed: frozenset[str]) -> bool:
    """Whether a request that writes (or opens a WebSocket) may pass, by its Origin and Sec-Fetch-Site."""
    origin = normal_origin(headers.get("Origin", own_origin))
    if origin in allowed:
        return True
    if origin != own_origin:
        return False
    return headers.get("Sec-Fetch-Site", "").lower() != "cross-site"


def init_app(app: Flask, allowed: frozenset[str]) -> None:
    """Guard every request of `app`, and let pages of `allowed` origins in."""

    @app.before_request
    def refuse_foreign() -> None:
        if request.method not in SAFE_METHODS:
            require_own_origin(allowed)

    @app.after_request
    def add_cors(response: Response) -> Response:
        if not allowed:
            return response
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if normal_origin(origin) in allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "X-Request-Id"
            if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
                _answer_preflight(response)
        return response


def require_own_origin(allowed: frozenset[str]) -> None:
    """Raise ForeignOrigin when the current request comes from another site's page."""
    environ = request.environ
    if "HTTP_ORIGIN" not in environ and "HTTP_SEC_FETCH_SITE" not in environ:
        return  # no browser
    if not may_write(request.headers, origin_of(request.scheme, request.host), allowed):
        raise ForeignOrigin(
            "Pages of this origin may not do this; HELIOGRAPH_ALLOWED_ORIGINS names those that may.",
            origin=request.headers.get("Origin"),
        )


def _answer_preflight(response: Response) -> None:
    response.headers["Access-Control-Allow-Methods"] = response.headers.get(
        "Allow", request.headers["Access-Control-Request-Method"]
    )
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked:
        response.headers["Access-Control-Allow-Headers"] = asked
    response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE)
