"""Which web pages may use this service, by the Origin and Sec-Fetch-Site that browsers send.

Requests that write are refused when they come from a page of another origin, unless `HELIOGRAPH_ALLOWED_ORIGINS` names it; only
those origins get CORS headers. Programs that are not browsers send neither header and are not concerned.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import Blueprint, Flask, Response, request
from werkzeug.datastructures import Headers

from heliograph.problems import ForeignOrigin
from heliograph.request.environ import list_items
from heliograph.request.forwarding import normal_origin, origin_of

#: Methods that change nothing (RFC 9110, 9.2.1).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

#: Seconds that a browser may remember the answer to a preflight request. Chromium's own maximum.
PREFLIGHT_AGE = 7200


#: What pages of allowed origins may read of an answer beside what browsers always let them.
EXPOSED_HEADERS = "Location, Retry-After, X-Instance, X-Request-Id"

#: The origin of pages that browsers tell apart from all others: sandboxed frames, local files.
OPAQUE = "null"

_WILDCARD = "://*."
_SUBDOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.ASCII)


def is_allowed(origin: str, allowed: frozenset[str]) -> bool:
    """Whether the settings name the origin in an Origin header: itself, or a domain of which it is a subdomain.

    Scheme and port must be those of the setting; a scheme's default port is the same as none.
    """
    origin = normal_origin(origin)
    if "*" in origin:
        return False
    return origin in allowed or any(_is_below(origin, one) for one in allowed if _WILDCARD in one)


def _is_below(origin: str, pattern: str) -> bool:
    scheme, _, domain = pattern.partition(_WILDCARD)
    start, end = f"{scheme}://", f".{domain}"
    if not origin.startswith(start) or not origin.endswith(end):
        return False
    return _SUBDOMAIN.fullmatch(origin[len(start) : -len(end)]) is not None


def may_write(headers: Headers, own_origin: str, allowed: frozenset[str]) -> bool:
    """Whether a request that writes (or opens a WebSocket) may pass, by its Origin and Sec-Fetch-Site."""
    origin = headers.get("Origin", own_origin)
    if is_allowed(origin, allowed):
        return True
    if normal_origin(origin) != own_origin:
        return False
    return "cross-site" not in list_items(headers.get("Sec-Fetch-Site", ""))


def guard(app: Flask | Blueprint, allowed_now: Callable[[], frozenset[str]]) -> None:
    """Guard every request of an application or a blueprint, and let pages of allowed origins in."""

    @app.before_request
    def refuse_foreign() -> None:
        if request.method not in SAFE_METHODS:
            require_own_origin(allowed_now())

    @app.after_request
    def add_cors(response: Response) -> Response:
        allowed = allowed_now()
        if not allowed:
            return response
        response.vary.add("Origin")
        origin = request.headers.get("Origin", "")
        if is_allowed(origin, allowed):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
            # Any site can make a page with this origin: it gets no answers that depend on cookies.
            if normal_origin(origin) != OPAQUE:
                response.headers["Access-Control-Allow-Credentials"] = "true"
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
