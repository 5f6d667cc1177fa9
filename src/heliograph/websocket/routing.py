"""WebSocket views for Flask: `@websocket(bp, "/ws/echo")` on a function that takes the socket (and the path's parts).

A plain GET gets 426; a page of another origin 403; an exception closes with 1011 and is logged; returning closes with 1000.

The view runs in the context of its request: `g`, `session` and `request` are those that `before_request` saw, and the teardown
functions run once, when the conversation has ended. The functions of `after_request` run before it, since they belong to the
answer; what they add to it does not reach the client of a 101.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, current_app, got_request_exception, request
from flask.globals import request_ctx
from gevent import GreenletExit
from geventwebsocket.exceptions import WebSocketError

from heliograph.problems import BadRequest, ForeignOrigin, Problem, Stopping, UpgradeRequired
from heliograph.request.environ import OFFER
from heliograph.request.openapi import Operation
from heliograph.request.options import RequestOptions
from heliograph.request.origins import require_own_origin
from heliograph.request.services import Services, services
from heliograph.websocket.frames import POLICY, RESTART
from heliograph.websocket.handshake import agree, asks_for_websocket, upgrade_required
from heliograph.websocket.options import WebSocketOptions
from heliograph.websocket.problems import WebSocketsUnavailable
from heliograph.websocket.socket import Socket, log_left

log = logging.getLogger("heliograph")

SocketView = Callable[..., None]


def websocket(  # noqa: PLR0913, PLR0917 (what the OpenAPI document says stands at the route)
    bp: Blueprint | Flask,
    rule: str,
    summary: str = "",
    description: str = "",
    prepare: Callable[..., Any] | None = None,
    problems: tuple[type[Problem], ...] = (),
    subprotocols: Sequence[str] = (),
    endpoint: str | None = None,
) -> Callable[[SocketView], SocketView]:
    """Route WebSockets at `rule` of a blueprint or an application to a view `view(socket, **parts_of_the_path)`.

    `prepare(**parts_of_the_path)` is called before the upgrade, so that it may refuse with one of `problems`; the view then gets
    what it returns, `view(socket, prepared)`. Of `subprotocols` the first that the client offers is agreed on; with none in
    common the connection opens without one, and `socket.subprotocol` is None. `endpoint` is Flask's name of the view, by default
    the function's. Where `summary` and `description` are not given, the documentation has what the view's docstring says.
    """
    _check_subprotocols(subprotocols)

    def decorate(view: SocketView) -> SocketView:
        described = _Described(view, prepare, tuple(subprotocols))
        known = bp.view_functions.get(endpoint or view.__name__)
        if known is not None and known.__dict__.get("described") == described:  # one view at several paths
            _add(known)
            return view

        @functools.wraps(view)
        def upgrade(**parts: Any) -> Response:
            loop = services().loop
            return begin(**parts) if loop.here else loop.call(functools.partial(begin, **parts))

        def begin(**parts: Any) -> Response:
            socket = _socket_of_request()
            try:
                _require_welcome()
                arguments = parts if prepare is None else {}
                prepared = () if prepare is None else (prepare(**parts),)
            except Problem as problem:
                _refuse_opened(socket, problem)
                raise
            socket.choose_subprotocol(subprotocols)
            return _conversation(functools.partial(view, socket, *prepared, **arguments), socket)

        upgrade.__dict__["operation"] = _operation(rule, view, summary, description, problems)
        upgrade.__dict__["described"] = described
        _add(upgrade)
        return view

    def _add(upgrade: Callable[..., Any]) -> None:
        # Werkzeug tells the two kinds of request apart; both come here, for a plain GET deserves better than its 400.
        for is_websocket in (True, False):
            bp.add_url_rule(rule, endpoint, upgrade, methods=["GET"], websocket=is_websocket)

    return decorate


def _operation(
    rule: str, view: SocketView, summary: str, description: str, problems: tuple[type[Problem], ...]
) -> Operation:
    words, _, more = inspect.cleandoc(view.__doc__ or "").partition("\n")
    about = description or " ".join(more.split())
    return Operation(
        summary or words or f"WebSocket {rule}",
        description=f"{about} A plain GET is answered 426.".strip(),
        tag="WebSockets",
        problems=(BadRequest, ForeignOrigin, Stopping, UpgradeRequired, WebSocketsUnavailable, *problems),
    )


class _Described(NamedTuple):
    """What makes two routes of one view the same for Flask."""

    view: SocketView
    prepare: Callable[..., Any] | None
    subprotocols: tuple[str, ...]


def _socket_of_request() -> Socket:
    if not asks_for_websocket(request.environ):
        raise upgrade_required("Connect with a WebSocket client.")
    socket = request.environ.get(OFFER)
    if not isinstance(socket, Socket):
        agree(request.environ)  # raises what is wrong with the handshake
        raise WebSocketsUnavailable(
            "Start it with `gunicorn -c conf/gunicorn.conf.py wsgi:app` or `python -m app` to have them; TLS is nginx's."
        )
    socket.max_message = services().settings[WebSocketOptions].max_message
    return socket


def _require_welcome() -> None:
    """Raises ForeignOrigin and Stopping."""
    own = services()
    require_own_origin(own.settings[RequestOptions].allowed_origins)
    if own.lifecycle.stopping:
        raise Stopping()


def _refuse_opened(socket: Socket, problem: Problem) -> None:
    """Close a connection that the server had opened before it asked the application: no answer with a status can be given."""
    if socket.accepted:
        socket.close(RESTART if isinstance(problem, Stopping) else POLICY, problem.title)
        socket.finish()


def _check_subprotocols(names: Sequence[str]) -> None:
    if isinstance(names, str):
        raise TypeError("subprotocols: a sequence of names, not one text")


class UpgradeResponse:
    """The answer of a request that became a WebSocket: the server's loop over it is the conversation.

    So the view runs with the request's context, but not inside all that Flask calls on the way to it: an idle connection's stack
    would otherwise hold 30 frames, and be copied whenever the greenlet sleeps.
    """

    talk: Callable[[], None]
    socket: Socket

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("101 Switching Protocols", [])
        return Conversation(self.talk, self.socket, services())


@functools.cache
def _conversation_class(response_class: type[Response]) -> type[Any]:
    """Flask makes answers of any other class into its application's own."""
    return type("UpgradeResponse", (UpgradeResponse, response_class), {})


def _conversation(talk: Callable[[], None], socket: Socket) -> Response:
    response: Response = _conversation_class(current_app.response_class)(status=101)  # type: ignore[arg-type]
    assert isinstance(response, UpgradeResponse)
    response.talk, response.socket = talk, socket
    return response


class Conversation:
    """What the server iterates over, once: no pieces of an answer come, and the WebSocket is over.

    The context of the request is pushed a second time, as Flask's `stream_with_context` does, so that Flask's own pop after the
    answer is not the last one; `close` is. A server calls it even where it never began to iterate.
    """

    __slots__ = ("_context", "_error", "_loop", "_metrics", "_socket", "_talk")

    def __init__(self, talk: Callable[[], None], socket: Socket, own: Services) -> None:
        self._talk: Callable[[], None] | None = talk
        self._socket = socket
        self._metrics, self._loop = own.metrics, own.loop
        self._error: BaseException | None = None
        self._context: Any = request_ctx._get_current_object()  # type: ignore[attr-defined]
        self._context.push()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        talk, self._talk = self._talk, None
        if talk is not None:
            with self._metrics.websockets.track_inprogress():
                if self._loop.here:
                    self._converse(talk)
                else:
                    self._loop.call(self._converse, talk)
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Tear the request down, with the exception that ended the view, if one did."""
        context, self._context = self._context, None
        if context is not None:
            self._loop.call(self._socket.abort)
            error, self._error = self._error, None
            context.pop(error)

    def _converse(self, talk: Callable[[], None]) -> None:
        socket = self._socket
        try:
            socket.accept()
            talk()
            socket.finish()
        except WebSocketError as exc:  # a view need not care that its client is gone
            log.debug("a WebSocket ended: %s", exc)
            socket.finish()
        except BaseException as exc:
            # gevent.Timeout and SystemExit, too: none of them may end more than this conversation.
            if socket.explains(exc):
                log_left(exc)
                socket.finish()
                return
            self._error = exc
            if isinstance(exc, Exception):
                got_request_exception.send(self._context.app, exception=exc)
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if not isinstance(exc, GreenletExit):
            log.error("a WebSocket view failed", exc_info=exc)
        self._socket.fail(exc)
        if isinstance(exc, GreenletExit | KeyboardInterrupt):
            self.close()
            raise exc
