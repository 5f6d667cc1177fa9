"""An application that knows nothing of the library: bare WSGI, whose paths name functions of this module."""

from __future__ import annotations

import errno
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import gevent

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], None]]


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    view = VIEWS.get(environ["PATH_INFO"].strip("/").replace("-", "_"))
    if view is None:
        start_response("404 Not Found", [("Content-Type", "text/html"), ("Content-Length", "9")])
        return [b"<h1>no..."]
    return view(environ, start_response)


def talk(environ: Environ, start_response: Start) -> Iterable[bytes]:
    socket = environ["wsgi.websocket"]
    while (message := socket.receive()) is not None:
        socket.send(message)
    return []


def seen(environ: Environ, start_response: Start) -> Iterable[bytes]:
    names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "PATH_INFO", "REQUEST_METHOD", "SERVER_PROTOCOL")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: environ.get(name) for name in names}).encode()]


def own_fields(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("x-request-id", "mine"), ("X-CONTENT-TYPE-OPTIONS", "nosniff")])
    return [b"own"]


def body(environ: Environ, start_response: Start) -> Iterable[bytes]:
    data = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d bytes" % len(data)]


def unread(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"not read"]


def short(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return iter([b"12345"])


def short_list(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return [b"12345"]


def nothing(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    return []


def long(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return iter([b"123", b"45HTTP/1.1 200 OK\r\n", b"more"])


def written(environ: Environ, start_response: Start) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Length", "6")])
    write(b"abc")
    write(b"")
    return iter([b"defghi"])


def written_short(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "6")])(b"abc")
    return []


def stream(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"one ", b"", b"two"])


def file(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    wrapper: type[FileWrapper] = environ.get("wsgi.file_wrapper", FileWrapper)
    return wrapper(io.BytesIO(b"01234"))


def breaks(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    yield b"12345"
    raise RuntimeError("in the middle")


def breaks_stream(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"12345"
    raise RuntimeError("in the middle")


def breaks_first(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "10")])
    yield from ()
    raise RuntimeError("before the first byte")


def raises(environ: Environ, start_response: Start) -> Iterable[bytes]:
    raise RuntimeError("at once")


def times_out(environ: Environ, start_response: Start) -> Iterable[bytes]:
    raise TimeoutError("of a database")


def broken_pipe(environ: Environ, start_response: Start) -> Iterable[bytes]:
    raise BrokenPipeError(errno.EPIPE, "of a database")


def bare_os_error(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from ()
    raise OSError


def own_timeout(environ: Environ, start_response: Start) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"12345"
    raise gevent.Timeout(1)


def text(environ: Environ, start_response: Start) -> Iterator[Any]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield "not bytes"


def no_status(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return [b"an answer without a status"]


def empty_204(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return [b"a body that ", b"must not be"]


def length_304(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("304 Not Modified", [("Content-Length", "7"), ("ETag", '"x"')])
    return iter([b"a body that must not be"])


def long_204(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("204 No Content", [("Content-Length", "7")])
    return iter([b"a body that must not be"])


def stalls(environ: Environ, start_response: Start) -> Iterable[bytes]:
    busy_in_a_loop(0.4)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"stalled"]


def busy_in_a_loop(seconds: float) -> None:
    """Until this thread itself has worked so long: other processes may have the core meanwhile."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


VIEWS: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    name: value
    for name, value in globals().copy().items()
    if callable(value)
    and getattr(value, "__module__", "") == __name__
    and name not in ("app", "busy_in_a_loop")
}
