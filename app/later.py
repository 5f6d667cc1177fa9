"""The paths of the interface that this version does not have: a clear answer, so that nobody takes them for a typing error."""

from __future__ import annotations

from flask import Blueprint

from app.errors import NotBuilt

bp = Blueprint("later", __name__)

PATHS = ("/channels", "/channels/<path:rest>", "/push", "/events", "/ws/channels/<path:rest>")

_METHODS = ("GET", "POST")


def refuse(rest: str = "") -> str:
    raise NotBuilt("Channels are not available in this version.")


for path in PATHS:
    for is_websocket in (True, False):
        bp.add_url_rule(
            path, view_func=refuse, methods=("GET",) if is_websocket else _METHODS, websocket=is_websocket
        )
