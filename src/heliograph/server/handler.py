"""gevent-websocket's handler on our strict one: `environ["wsgi.websocket"]`.

The environ of an upgrade request offers a `Socket`. The application answers as to any request, or takes the socket: then the
connection is a WebSocket, and ends when the application returns.
"""

from __future__ import annotations

import io
import logging
from typing import Any

from gevent.pywsgi import _InvalidClientInput  # type: ignore[attr-defined]
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import Client, WebSocketHandler

from heliograph.problems import Problem
from heliograph.server.loop import StrictHandler
from heliograph.server.takeover import offers_websockets, read_ahead
from heliograph.websocket.handshake import agree, asks_for_websocket
from heliograph.websocket.offer import offering, withdraw
from heliograph.websocket.socket import Socket, log_left

log = logging.getLogger("heliograph")


class NoInput(io.BytesIO):
    """The body of a request that became a WebSocket. One for all of them."""

    def _discard(self) -> None:
        """Nothing is left of it; pywsgi asks after each answer."""


_NO_INPUT = NoInput()


class Handler(StrictHandler, WebSocketHandler):  # type: ignore[misc]
    websocket: Socket | None = None
    environ: dict[str, Any]

    def run_application(self) -> None:
        self.code = 0
        try:
            self._run_application()
        except OSError as exc:
            if isinstance(exc, _InvalidClientInput) or self.sending_failed:
                raise
            # For pywsgi each of them is of the connection; this one is of the application, whose database may be gone.
            self.handle_error(type(exc), exc, exc.__traceback__)

    def _run_application(self) -> None:
        websocket = self._websocket_asked_for()
        if websocket is None:
            super(WebSocketHandler, self).run_application()
            return
        self.websocket = websocket
        self._incoming.offered = True
        self.environ = offering(self.environ, websocket)
        try:
            super(WebSocketHandler, self).run_application()
            websocket.finish()
        except WebSocketError as exc:  # the application need not care that its client is gone
            log.debug("a WebSocket ended: %s", exc)
        except BaseException as exc:  # gevent.Timeout and SystemExit, too
            if websocket.explains(exc):
                log_left(exc)
                return
            websocket.fail(exc)
            raise
        finally:
            websocket.abort()
            self.clients.pop(self, None)
            self.websocket = None
            self._incoming.offered = False
            withdraw(self.environ)

    def _websocket_asked_for(self) -> Socket | None:
        """None also for a handshake that is not valid: the application says what is wrong with it."""
        if not asks_for_websocket(self.environ) or not offers_websockets(self.socket):
            return None
        application = getattr(self.application, "application", self.application)  # inside of our middleware
        chosen = getattr(application, "app_protocol", None)  # geventwebsocket.Resource has it
        try:
            agreement = agree(self.environ, chosen(self.environ["PATH_INFO"]) if chosen else None)
        except Problem:
            return None
        return Socket(self.environ, self, self, agreement, self.server_state.connections)

    def take_over(self) -> bytes:
        """The socket belongs to the WebSocket now. Let go of all that was for the request alone."""
        early = read_ahead(self.socket, self.rfile)
        self._mark_upgraded()
        self.rfile.close()
        self.wsgi_input = self.environ["wsgi.input"] = _NO_INPUT
        for name in ("rfile", "headers", "requestline"):
            self.__dict__.pop(name, None)
        self.clients[self] = Client(self.client_address, self.websocket)
        return early

    @property
    def clients(self) -> dict[Handler, Client]:
        """gevent-websocket's `server.clients`. By connection, for all clients of a Unix socket have the same address."""
        found: dict[Handler, Client] = self.server.__dict__.setdefault("clients", {})
        return found

    @property
    def active_client(self) -> Client:
        """gevent-websocket's name for the client of this handler."""
        return self.clients[self]

    def write(self, data: bytes) -> None:
        if self.websocket is None or not self.websocket.accepted:  # otherwise the answer was the conversation
            super().write(data)

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if self.websocket is not None and self.websocket.accepted:
            return lambda data: None
        if self.server_state.stopping:
            headers = [*headers, ("Connection", "close")]
        return super().start_response(status, headers, exc_info)
