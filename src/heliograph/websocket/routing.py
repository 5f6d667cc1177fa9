"""WebSocket views for Flask: `@websocket(bp, "/ws/echo")` on a function that takes the socket (and the path's parts).

A plain GET gets 426; a page of another origin 403; an exception closes with 1011 and is logged; returning closes with 1000.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Blueprint, Flask, Response, copy_current_request_context, current_app, request
from geventwebsocket.exceptions import WebSocketError

from heliograph.problems import BadRequest, ForeignOrigin, Problem, Stopping, UpgradeRequired
from heliograph.request.environ import WEBSOCKET
from heliograph.request.metrics import RequestMetrics
from heliograph.request.openapi import Operation
from heliograph.request.options import RequestOptions
from heliograph.request.origins import require_own_origin
from heliograph.request.services import services
from heliograph.websocket.frames import OUR_ERROR
from heliograph.websocket.handshake import agree, asks_for_websocket, upgrade_required
from heliograph.websocket.options import WebSocketOptions
from heliograph.websocket.problems import WebSocketsUnavailable
from heliograph.websocket.socket import Socket

log = logging.getLogger("heliograph")

SocketView = Callable[..., None]


def websocket(
    bp: Blueprint | Flask,
    rule: str,
    summary: str = "",
    description: str = "",
    prepare: Callable[..., Any] | None = None,
    problems: tuple[type[Problem], ...] = (),
) -> Callable[[SocketView], SocketView]:
    """Route WebSockets at `rule` of a blueprint or an application to a view `view(socket, **parts_of_the_path)`.

    `prepare(**parts_of_the_path)` is called before the upgrade, so that it may refuse with one of `problems`; the view then gets
    what it returns, `view(socket, prepared)`.
    """

    def decorate(view: SocketView) -> SocketView:
        @functools.wraps(view)
        def upgrade(**parts: Any) -> Response:
            socket = _socket_of_request()
            talk = functools.partial(view, socket, **parts)
            if prepare is not None:
                talk = functools.partial(view, socket, prepare(**parts))
            return _conversation(talk, socket)

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
    socket = request.environ.get(WEBSOCKET)
    if socket is None:
        agree(request.environ)  # raises what is wrong with the handshake
        raise WebSocketsUnavailable(
            "Start it with `gunicorn -c conf/gunicorn.conf.py wsgi:app` or `python -m app` to have them; TLS is nginx's."
        )
    assert isinstance(socket, Socket)
    own = services()
    require_own_origin(own.settings[RequestOptions].allowed_origins)
    if own.lifecycle.stopping:
        raise Stopping()
    socket.max_message = own.settings[WebSocketOptions].max_message
    return socket


class UpgradeResponse:
    """The answer of a request that became a WebSocket: the server's loop over it is the conversation.

    So the view runs with the request's context, but not inside all that Flask calls on the way to it: an idle connection's stack
    would otherwise hold 30 frames, and be copied whenever the greenlet sleeps.
    """

    talk: Callable[[], None]
    socket: Socket

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("101 Switching Protocols", [])
        return _converse(self.talk, self.socket, services().metrics)


@functools.cache
def _conversation_class(response_class: type[Response]) -> type[Any]:
    """Flask makes answers of any other class into its application's own."""
    return type("UpgradeResponse", (UpgradeResponse, response_class), {})


def _conversation(talk: Callable[[], None], socket: Socket) -> Response:
    response: Response = _conversation_class(current_app.response_class)(status=101)  # type: ignore[arg-type]
    assert isinstance(response, UpgradeResponse)
    response.talk, response.socket = copy_current_request_context(talk), socket
    return response


def _converse(talk: Callable[[], None], socket: Socket, metrics: RequestMetrics) -> Iterator[bytes]:
    with metrics.websockets.track_inprogress():
        try:
            socket.accept()
            _talk_and_close(talk, socket)
            socket.finish()
        except WebSocketError as exc:
            log.debug("a client had gone: %s", exc)
        finally:
            socket.abort()
    yield from ()


def _talk_and_close(talk: Callable[[], None], socket: Socket) -> None:
    try:
        talk()
    except WebSocketError as exc:  # a view need not care that its client is gone
        log.debug("a WebSocket ended: %s", exc)
    except Exception:
        log.exception("a WebSocket view failed")
        socket.close(OUR_ERROR)
