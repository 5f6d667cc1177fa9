"""The instance's end of the pair of sockets by which its manager knows how it is (`reports`)."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent import socket

from heliograph.server.reports import BESIDE, LEAVE, LEFT, REPORT_VARIABLE
from heliograph.server.reserved import HEALTH

#: More than all words that wait at once.
_READ_BYTES = 1024


class Reporter:
    """`leave` is called when the manager wants no more accepted. It must not wait.

    A process that the application forks has it as well, and says and reads nothing.
    """

    def __init__(self, descriptor: int, leave: Callable[[], None]) -> None:
        os.set_inheritable(descriptor, False)  # for the programs that the application starts
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._leave = leave
        self._pid = os.getpid()
        self.beside = False

    def begin(self) -> None:
        """Read what was said before this process began, and from then on what is said."""
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):
            self._heard(self._socket.recv(_READ_BYTES))
        self._socket.setblocking(True)
        gevent.spawn(self._listen)

    def say(self, word: bytes) -> None:
        """Never waits. Without a manager there is nobody to hear it."""
        if os.getpid() == self._pid:
            with contextlib.suppress(OSError):
                os.write(self._socket.fileno(), word + b"\n")

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while heard := self._next():
                self._heard(heard)

    def _next(self) -> bytes:
        """The next words; nothing at the end, and in a forked process."""
        socket.wait_read(self._socket.fileno())
        return self._socket.recv(_READ_BYTES) if os.getpid() == self._pid else b""

    def _heard(self, heard: bytes) -> None:
        words = heard.split()
        self.beside |= BESIDE in words
        if LEAVE in words:
            self._leave()
            self.say(LEFT)


def reporter(environ: Mapping[str, str], leave: Callable[[], None]) -> Reporter | None:
    """None where no manager listens, or the descriptor that the variable names is none of ours."""
    try:
        return Reporter(int(environ.get(REPORT_VARIABLE, "")), leave)
    except (ValueError, OSError):
        return None


def is_ready(application: Any, server: Mapping[str, Any]) -> bool:
    """Whether an application with our middleware says so, as it does to who asks for its health; `server`: what the
    environ of each request has of its server."""
    statuses: list[str] = []

    def start_response(status: str, _headers: Any, _exc_info: Any = None) -> Any:
        statuses.append(status)

    try:
        document = json.loads(b"".join(application({**_question(), **server}, start_response)))
    except ValueError:
        return False
    return statuses[-1].startswith("200") and document.get("ready") is True


def _question() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": HEALTH,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
