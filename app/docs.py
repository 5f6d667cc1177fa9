"""The documentation: /openapi.json, made from the code, and /docs, which shows it."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, jsonify, render_template

import heliograph
from app.models import OpenApiDocument, ProblemTypeEntry
from heliograph.problems import NotFound, catalogue
from heliograph.request import openapi
from heliograph.request.openapi import TEXT, Answer, operation
from heliograph.request.threads import in_thread

bp = Blueprint("docs", __name__)

TITLE = "Heliograph"
DESCRIPTION = (
    "Codecs, echo and channels over HTTP and WebSocket. Every answer has an `X-Request-Id`; every error is a problem (RFC 9457) "
    "of one of these types:"
)

#: What a page of ours may load: its own scripts, styles and pictures, nothing inline and nothing from elsewhere.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@bp.get("/openapi.json")
@operation("This document", tag="Documentation", answers={200: Answer("OpenAPI", model=OpenApiDocument)})
def openapi_json() -> Response:
    return Response(_document(), mimetype="application/json")


@bp.get("/docs")
@operation(
    "This document, to read and try", tag="Documentation", answers={200: Answer("A page", "text/html", TEXT)}
)
def docs() -> Response:
    response = Response(render_template("docs.html", title=TITLE))
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


@bp.get("/problems/<name>")
@operation(
    "One problem type",
    tag="Documentation",
    answers={200: Answer("The problem type", model=ProblemTypeEntry)},
)
def problem(name: str) -> Response:
    for kind in catalogue():
        if kind.name == name:
            return jsonify(type=f"/problems/{kind.name}", title=kind.title, status=kind.status)
    raise NotFound(f"There is no problem type {name[:64]!r}.")


def _document() -> bytes:
    """Made once for each application: it cannot change while it runs. In a native thread, since it takes some 100 ms."""
    cached: bytes | None = current_app.extensions.get("heliograph.openapi")
    if cached is None:
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        cached = current_app.extensions["heliograph.openapi"] = in_thread(_made, app)
    return cached


def _made(app: Flask) -> bytes:
    document = openapi.document(app, TITLE, heliograph.__version__, DESCRIPTION)
    return app.json.dumps(document).encode()
