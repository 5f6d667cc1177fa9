"""pywsgi's loop over one connection with a strict head, bounded times, and problems for requests that cannot be parsed."""

from __future__ import annotations

import io
import logging
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import gevent

from heliograph.problems import (
    BadRequest,
    HeadersTooLarge,
    InternalError,
    Problem,
    RequestTimeout,
    UriTooLong,
)
from heliograph.request import logs
from heliograph.request.answers import response_of
from heliograph.request.environ import TAKEN
from heliograph.server import body
from heliograph.server.body import BoundedInput, SilentBody, discard
from heliograph.server.head import (
    StrictLines,
    check_framing,
    check_once,
    decisive_values,
    expects_continue,
    keeps_alive,
    read_request_line,
)
from heliograph.server.incoming import Incoming
from heliograph.server.outgoing import FramingHandler
from heliograph.server.sending import Outgoing
from heliograph.server.state import ServerState, state_of
from heliograph.websocket.connection import CLOSE_TIMEOUT

log = logging.getLogger("heliograph")

#: Seconds a client may be silent inside a request or an answer.
IO_TIMEOUT = 60.0

#: Seconds that a client may send on after the last byte for it, on a socket that the application took.
LEAVE_TIMEOUT = CLOSE_TIMEOUT

#: Seconds between looks at a socket that another one reads.
LOOK_INTERVAL = 0.05

#: Seconds that a whole head may take: as at the proxy. For the first request they count from the connection on.
HEAD_TIMEOUT = 10.0


#: What is answered where reading a body failed below the application.
_OF_BODIES: dict[int, Callable[[], Problem]] = {
    BadRequest.status: lambda: BadRequest(
        "The request's body is not valid HTTP/1.1, or ended in the middle."
    ),
    RequestTimeout.status: RequestTimeout,
}


class StrictHandler(FramingHandler):
    """One connection. Its server knows while it waits for another request, so that the shutdown can end it."""

    path: str
    wsgi_input: Any
    socket: Any
    _expects_continue = False
    #: The values of the fields that decide on the connection and the body, by name.
    _decisive: dict[str, list[str]]

    def __init__(self, connection: Any, address: Any, server: Any) -> None:
        self._incoming = Incoming(connection)
        self._outgoing = Outgoing(connection)
        self.server_state: ServerState = state_of(server)
        self._opened: float | None = time.monotonic()
        super().__init__(connection, address, server, rfile=io.BufferedReader(self._incoming))

    def read_requestline(self) -> str:
        idle = self.server_state.idle
        idle.add(self.socket)
        try:
            self._await_head()
            line: str = super().read_requestline()
            if line == "\r\n":  # RFC 9112, 2.2: left behind by the body of another request
                line = super().read_requestline()
        except TimeoutError:
            if self._incoming.began:
                self._send_last(self._refuse(RequestTimeout())[1])
            raise
        finally:
            idle.discard(self.socket)
        return line

    def _await_head(self) -> None:
        """Set the deadline of a head: from the connection on, or when the first byte of a further request is there."""
        if self._opened is not None:
            self._incoming.expect(HEAD_TIMEOUT, self._opened, began=False)
            self._opened = None
            return
        self._incoming.wait(self.server_state.idle_timeout)
        self._incoming.began = False
        self.rfile.peek(1)
        self._incoming.expect(HEAD_TIMEOUT, time.monotonic(), began=True)

    def read_request(self, raw_requestline: str) -> bool:
        line, authority = read_request_line(raw_requestline)
        result: bool = super().read_request(line)
        if authority is not None:
            del self.headers["Host"]
            self.headers["Host"] = authority
        version = self.request_version
        may_be_kept = self.server_state.idle_timeout > 0
        self.close_connection = not (may_be_kept and keeps_alive(version, self._decisive["connection"]))
        self._expects_continue = expects_continue(version, self._decisive["expect"])
        return result

    def MessageClass(self, rfile: Any, *args: Any) -> Any:
        """What pywsgi calls to read the header fields."""
        fields = super().MessageClass(StrictLines(rfile), *args)
        self._decisive = found = decisive_values(fields.raw_items())
        check_framing(self.request_version, found["content-length"], found["transfer-encoding"])
        check_once(found["content-type"], found["connection"])
        self._incoming.wait(IO_TIMEOUT)
        return fields

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        asker = self.socket if self._expects_continue else None
        bounded = BoundedInput(self.rfile, self.content_length, asker, self.wsgi_input.chunked_input)
        bounded.handler = self
        self.wsgi_input = bounded
        environ["wsgi.input"] = bounded
        if self.content_length or bounded.chunked_input:
            self._incoming.expect_body(IO_TIMEOUT)
        environ["wsgi.input_terminated"] = True
        return environ

    def log_request(self) -> None:
        """For options of Gunicorn only: the middleware logs what was answered, and `_refuse` what never got there."""
        on_answer = self.server_state.on_answer
        if on_answer is not None:
            on_answer(self)

    def log_error(self, msg: str, *args: object) -> None:
        log.warning(msg, *args)

    def handle_one_request(self) -> Any:
        result = super().handle_one_request()
        if self._incoming.taken:
            self._leave_taken_socket()
            return None
        if not isinstance(result, tuple):
            return result
        status, answer = result
        if status == "414":  # pywsgi's own answer; the others come from below
            _, answer = self._refuse(UriTooLong())
        self._send_last(answer)
        return None

    def _send_last(self, answer: bytes) -> None:
        """Send an answer that ends the connection."""
        try:
            self.socket.sendall(answer)
        except OSError:  # the client is gone
            return
        self._linger()

    def write(self, data: bytes) -> None:
        if self._incoming.taken:  # what the application sent there was the answer
            self._mark_upgraded()
            self.environ[TAKEN] = True
        else:
            super().write(data)

    def _mark_upgraded(self) -> None:
        """No answer follows, and no further request."""
        self.code, self.status, self.headers_sent, self.close_connection = 101, b"101", True, True

    def _leave_taken_socket(self) -> None:
        """End our part of it. What still comes is for the application's copy, for as long as a close frame may take."""
        connection, self.socket = self.socket, None
        with suppress(OSError):  # the peer was faster
            connection.shutdown(socket.SHUT_WR)
            _await_end(connection, time.monotonic() + LEAVE_TIMEOUT)
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def _linger(self) -> None:
        """Let the peer read our last bytes: closing while its own are still coming would reset the connection under them."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone
            return
        self.socket.settimeout(body.DISCARD_TIMEOUT)
        discard(self.socket.recv)

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        """What pywsgi calls for input that it cannot parse."""
        if isinstance(ex, Problem):
            return self._refuse(ex)
        if isinstance(ex, TimeoutError):
            return self._refuse(RequestTimeout())
        if isinstance(ex, HTTPException) or "Line too long" in str(
            ex
        ):  # too many fields, or one that is too long
            return self._refuse(HeadersTooLarge())
        return self._refuse(BadRequest("The request is not valid HTTP/1.1."))

    def _refuse(self, problem: Problem) -> tuple[str, bytes]:
        """The whole answer to a request that could not be parsed, in the form that pywsgi's loop sends."""
        request_id = secrets.token_hex(16)
        logs.request_id.set(request_id)
        log.warning("refused a request from %s: %s", self.client_address, problem)
        return str(problem.status), self._raw_answer(problem, request_id)

    def _request_id(self) -> str:
        """That of the request under way; a new one where none was given."""
        return str((self.environ or {}).get("heliograph.request_id") or secrets.token_hex(16))

    def _send_error_response_if_possible(self, error_code: int) -> None:
        self.close_connection = True
        if self.response_length or self.headers_sent or self._incoming.taken:
            return
        problem = _OF_BODIES.get(error_code, InternalError)()
        self.status, self.headers_sent = str(problem.status).encode(), True
        self._send_last(self._raw_answer(problem, self._request_id()))

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if isinstance(v, SilentBody):
            self._send_error_response_if_possible(RequestTimeout.status)
            return
        # The client stopped reading its answer, or we stop and its time is up: the access log has it as incomplete.
        if isinstance(v, gevent.GreenletExit) or (isinstance(v, OSError) and self.sending_failed):
            self.close_connection = True
            return
        logs.request_id.set(self._request_id())
        log.error("the application failed", exc_info=(t, v, tb))
        self._send_error_response_if_possible(InternalError.status)

    def _raw_answer(self, problem: Problem, request_id: str) -> bytes:
        """A whole HTTP answer that ends the connection, for where there is no WSGI."""
        response = response_of(problem)
        response.headers["X-Instance"] = self.server_state.instance
        response.headers["X-Request-Id"] = request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Connection"] = "close"
        fields = [f"{name}: {value}" for name, value in response.headers]
        lines = [f"HTTP/1.1 {response.status}", *fields, "", ""]
        return "\r\n".join(lines).encode("latin-1") + problem.body()


def _await_end(connection: Any, deadline: float) -> None:
    """Wait until the peer sends no more, without reading what is for another reader."""
    connection.settimeout(0.0)
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            if not connection.recv(1, socket.MSG_PEEK):
                return
        gevent.sleep(LOOK_INTERVAL)
