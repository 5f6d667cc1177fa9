"""WebSocket views for Flask: `@websocket(bp, "/ws/echo")` on a function that takes the socket (and the path's parts).

A plain GET gets 426; a page of another origin 403; an exception closes with 1011 and is logged; returning closes with 1000.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request
from geventwebsocket.exceptions import WebSocketError

from app.errors import BadRequest, ForeignOrigin, Problem, Stopping, UpgradeRequired, WebSocketsUnavailable
from app.openapi import Operation
from app.origins import require_own_origin
from app.services import services
from app.websocket.handshake import asks_for_websocket, handshake_problem, upgrade_required
from app.websocket.socket import OUR_ERROR, Socket

log = logging.getLogger("heliograph")

SocketView = Callable[..., None]


def websocket(
    bp: Blueprint,
    rule: str,
    summary: str = "",
    description: str = "",
    prepare: Callable[..., Any] | None = None,
    problems: tuple[type[Problem], ...] = (),
) -> Callable[[SocketView], SocketView]:
    """Route WebSockets at `rule` to a view `view(socket, **parts_of_the_path)`.

    `prepare(**parts_of_the_path)` is called before the upgrade, so that it may refuse with one of `problems`; the view then gets
    what it returns, `view(socket, prepared)`.
    """

    def decorate(view: SocketView) -> SocketView:
        @functools.wraps(view)
        def upgrade(**parts: Any) -> Response:
            socket = _socket_of_request()
            if prepare is None:
                return _converse(functools.partial(view, socket, **parts), socket)
            return _converse(functools.partial(view, socket, prepare(**parts)), socket)

        upgrade.__dict__["operation"] = Operation(
            summary or f"WebSocket {rule}",
            description=f"{description} A plain GET is answered 426.".strip(),
            tag="WebSockets",
            problems=(BadRequest, ForeignOrigin, Stopping, UpgradeRequired, WebSocketsUnavailable, *problems),
        )
        # Werkzeug tells the two kinds of request apart; both come here, for a plain GET deserves better than its 400.
        for is_websocket in (True, False):
            bp.add_url_rule(rule, view_func=upgrade, methods=["GET"], websocket=is_websocket)
        return view

    return decorate


def _socket_of_request() -> Socket:
    if not asks_for_websocket(request.environ):
        raise upgrade_required("Connect with a WebSocket client.")
    problem = handshake_problem(request.environ)
    if problem is not None:
        raise problem
    own = services()
    require_own_origin(own.settings.allowed_origins)
    if own.lifecycle.stopping:
        raise Stopping()
    socket = request.environ.get("wsgi.websocket")
    if socket is None:
        raise WebSocketsUnavailable(
            "Start it with `gunicorn -c conf/gunicorn.conf.py wsgi:app` or `python -m app` to have them."
        )
    assert isinstance(socket, Socket)
    socket.max_message = own.settings.ws_max_message
    return socket


def _converse(talk: Callable[[], None], socket: Socket) -> Response:
    with services().metrics.websockets.track_inprogress():
        try:
            socket.accept()
            talk()
            socket.close()
        except WebSocketError as exc:  # a view need not care that its client is gone
            log.debug("a WebSocket ended: %s", exc)
        except Exception:
            log.exception("a WebSocket view failed")
            socket.close(OUR_ERROR)
    return Response(status=101)
