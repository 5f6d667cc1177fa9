"""The console: one page where everything the service does can be tried. Its views are modules in static/."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request

from heliograph.request.openapi import TEXT, Answer, operation
from heliograph.request.options import RequestOptions
from heliograph.request.services import services

bp = Blueprint("console", __name__, template_folder="templates")

#: What the console may load: its own files and nothing inline. Pictures and sounds that it makes itself are `blob:` and `data:`.
#: Chromium and Safari of today take 'self' for WebSockets of the same host, too.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Views in the order of their tabs: name in the URL, title.
VIEWS = (
    ("codecs", "Codecs"),
    ("morse", "Morse"),
    ("websocket", "WebSocket"),
    ("channels", "Channels"),
    ("stack", "This stack"),
)

#: What every view needs, asked for together with the page and not one after the other as the modules name each other.
MODULES = ("main", "lib/dom", "state", "api", "curl", "problem")


@bp.get("/")
@operation("The console", tag="Documentation", answers={200: Answer("A page", "text/html", TEXT)})
def index() -> Response:
    page = render_template(
        "console.html",
        views=VIEWS,
        modules=MODULES,
        instance=services().settings[RequestOptions].instance,
        request_id=request.environ.get("heliograph.request_id", ""),
    )
    response = Response(page, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"})
    # The address of the page may contain what the user typed, although only behind the "#" that browsers keep to themselves.
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
