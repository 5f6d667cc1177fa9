"""Views on the application's loop, for servers that answer each request in a thread: `flask run` in a process without gevent."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response

from heliograph.channels.transports.sse import EventStream
from heliograph.request.homeloop import HomeLoop


def move(app: Flask, blueprint: str, loop: HomeLoop) -> None:
    """Have the views of a blueprint that is registered called on `loop`, and their streams read from there."""
    for endpoint, view in app.view_functions.items():
        if endpoint.startswith(f"{blueprint}."):
            app.view_functions[endpoint] = _moved(view, loop)


def _moved(view: Callable[..., Any], loop: HomeLoop) -> Callable[..., Any]:
    @functools.wraps(view)
    def call(**parts: Any) -> Any:
        answer = loop.call(functools.partial(view, **parts))
        if isinstance(answer, Response) and isinstance(answer.response, EventStream):
            answer.response = _Pieces(answer.response, loop)
        return answer

    return call


class _Pieces:
    def __init__(self, stream: EventStream, loop: HomeLoop) -> None:
        self._stream, self._loop = stream, loop

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._loop.call(self._stream.__next__)

    def close(self) -> None:
        self._loop.call(self._stream.close)
