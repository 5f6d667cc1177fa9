"""WebSocket views as classes: `class Shout(WebSocketEndpoint)`, of which each connection gets an object of its own.

The methods run in the context of the request, as a view does. `on_disconnect` is called once for each `on_connect`, however the
connection ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from geventwebsocket.exceptions import WebSocketError

from heliograph.websocket.frames import OUR_ERROR, UNSUPPORTED
from heliograph.websocket.socket import Socket


class _Unsupported(ValueError):
    """A message that the encoding does not allow."""


def _text(message: str | bytes) -> str:
    if isinstance(message, bytes):
        raise _Unsupported("texts only")
    return message


def _bytes(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise _Unsupported("binary messages only")
    return message


def _json(message: str | bytes) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError) as exc:
        raise _Unsupported("JSON only") from exc


_DECODERS: dict[str, Callable[[str | bytes], Any]] = {"text": _text, "bytes": _bytes, "json": _json}


class WebSocketEndpoint:
    """Override what is needed. A message of another kind than `encoding` ends the connection with 1003."""

    #: What `on_receive` gets: "text", "bytes", or "json", which is decoded from text or bytes.
    encoding: ClassVar[str] = "text"

    def on_connect(self, socket: Socket) -> None:
        """The handshake is complete."""

    def on_receive(self, socket: Socket, data: Any) -> None:
        """A message came."""

    def on_disconnect(self, socket: Socket, code: int) -> None:
        """The connection has ended: `code` is that of the close frame, 1005 for one without a code, 1006 without a close frame."""


class EndpointView:
    """A view that talks as the class says. Views of one class are equal, as Flask wants them at several paths."""

    def __init__(self, endpoint: type[WebSocketEndpoint]) -> None:
        if endpoint.encoding not in _DECODERS:
            raise ValueError(f"{endpoint.__name__}.encoding: one of {', '.join(_DECODERS)} is allowed")
        self._endpoint = endpoint
        self.__name__, self.__doc__ = endpoint.__name__, endpoint.__doc__

    def __call__(self, socket: Socket, **_parts: Any) -> None:
        _talk(self._endpoint(), socket, _DECODERS[self._endpoint.encoding])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EndpointView) and other._endpoint is self._endpoint

    def __hash__(self) -> int:
        return hash(self._endpoint)


def _talk(endpoint: WebSocketEndpoint, socket: Socket, decode: Callable[[str | bytes], Any]) -> None:
    try:
        endpoint.on_connect(socket)
        while (message := socket.receive()) is not None:
            endpoint.on_receive(socket, decode(message))
    except WebSocketError:  # the client is gone, or the endpoint has closed
        endpoint.on_disconnect(socket, socket.close_code)
    except _Unsupported as exc:
        socket.close(UNSUPPORTED, str(exc))
        endpoint.on_disconnect(socket, UNSUPPORTED)
    except BaseException:
        endpoint.on_disconnect(socket, OUR_ERROR)
        raise
    else:
        endpoint.on_disconnect(socket, socket.close_code)
