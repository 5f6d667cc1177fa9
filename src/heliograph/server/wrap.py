"""The outermost layer of the application: what every request and every answer has, whatever Flask does inside.

For each request it finds the client behind trusted proxies, gives it a request id, refuses foreign hosts; for each answer it
adds `X-Request-Id` and `X-Content-Type-Options`, and when the answer has ended (or broke off) it writes the access log and the
metrics. WSGI middleware, so that it holds under every server.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from heliograph_proxy.trust import TrustedPeers

from heliograph.problems import BadHost, Problem, UnknownHost
from heliograph.request import logs
from heliograph.request.answers import response_of
from heliograph.request.environ import SERVER_STATE, SUBJECT, WEBSOCKET
from heliograph.request.forwarding import ResolvedClient, answers_for, host_name, resolve
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import RequestLog
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import RequestOptions
from heliograph.server.adapters import add_websocket
from heliograph.server.state import ServerState
from heliograph.websocket.handshake import asks_for_websocket
from heliograph.websocket.registry import ConnectionRegistry

Environ = dict[str, Any]

#: The proxy's health checks. One that passes is counted, but not logged: two a second would hide what people do.
PROBE_AGENT = "heliograph-proxy"

#: Characters of a request's path that the log keeps. Servers take request lines of 4 to 8 KiB.
MAX_LOGGED_PATH = 1024


class WsgiWrapper:
    """Around one application."""

    def __init__(
        self,
        application: Any,
        options: RequestOptions,
        access_log: RequestLog,
        metrics: RequestMetrics,
        lifecycle: Lifecycle,
    ) -> None:
        self._application = application
        self._options = options
        self._trust = TrustedPeers(*options.trusted_proxies)
        self._access_log = access_log
        self._metrics = metrics
        self._lifecycle = lifecycle
        # The WebSockets that come through another server than ours.
        self._connections = ConnectionRegistry()
        lifecycle.on_stop(self._connections.stop)
        self._server: ServerState | None = None
        self._leave: Callable[[], None] | None = None

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if asks_for_websocket(environ):
            add_websocket(environ, self._connections)
        else:  # a request that cannot be upgraded is an ordinary one (RFC 9110, 7.8)
            environ.pop("HTTP_UPGRADE", None)
        server = environ.get(SERVER_STATE)
        if server is not self._server:
            self._follow(server)
        client = resolve(
            environ.get("REMOTE_ADDR") or "unix", environ["wsgi.url_scheme"], environ, self._trust
        )
        exchange = WrappedRequest(self, environ, start_response, client)
        problem = self._refusal(environ, client)
        application = response_of(problem) if problem else self._application
        try:
            return exchange.relay(application(environ, exchange.start_response))
        except BaseException:
            exchange.close()
            raise

    def _follow(self, server: ServerState | None) -> None:
        """The application stops when the server stops through which it is asked, whatever stands between the two."""
        self.close()
        self._server = server
        if server is not None:
            self._leave = self._lifecycle.follow(server.lifecycle)

    def close(self) -> None:
        """The server's end does not concern the application any more."""
        if self._leave is not None:
            self._leave()
        self._server = self._leave = None

    def _refusal(self, environ: Environ, client: ResolvedClient) -> Problem | None:
        if not client.host and environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            environ["HTTP_HOST"] = (
                "localhost"  # HTTP/1.0 has no Host, and probes of load balancers still speak it
            )
            return None
        name = host_name(client.host)
        if name is None:
            return BadHost()
        if not answers_for(name, self._options.allowed_hosts):
            return UnknownHost(f"HELIOGRAPH_ALLOWED_HOSTS of this service does not name {name}.", host=name)
        return None

    def finish(self, exchange: WrappedRequest, seconds: float) -> None:
        """Log and count one exchange that has ended."""
        environ = exchange.environ
        self._metrics.in_flight.dec()
        self._metrics.observe(
            environ["REQUEST_METHOD"], environ.get("heliograph.route", "none"), exchange.status, seconds
        )
        if exchange.status == 200 and environ.get("HTTP_USER_AGENT") == PROBE_AGENT:
            return
        self._access_log.write(
            {
                "request_id": exchange.request_id,
                "instance": self._options.instance,
                "client": environ["REMOTE_ADDR"],
                **({"subject": environ[SUBJECT]} if SUBJECT in environ else {}),
                "method": environ["REQUEST_METHOD"][:32],
                "path": _text(environ.get("PATH_INFO", ""))[:MAX_LOGGED_PATH],
                "query": environ.get("QUERY_STRING", "")[:MAX_LOGGED_PATH],
                "status": exchange.status,
                "bytes": exchange.sent,
                "seconds": round(seconds, 6),
                "complete": exchange.complete,
                "agent": environ.get("HTTP_USER_AGENT", "")[:256],
            }
        )

    def begin(self) -> None:
        self._metrics.in_flight.inc()

    @property
    def instance(self) -> str:
        return self._options.instance


def _text(wsgi_text: str) -> str:
    """WSGI's texts are bytes in disguise (PEP 3333); this is what the client meant."""
    return wsgi_text.encode("latin-1").decode(errors="replace")


def _encoded(query: str) -> str:
    """A query in ASCII: bytes that the client forgot to percent-encode are, for not all of them would be UTF-8."""
    return query if query.isascii() else quote(query, safe=string.printable, encoding="latin-1")


class WrappedRequest:
    """One request and its answer, while the server iterates over the answer."""

    def __init__(
        self, wrapper: WsgiWrapper, environ: Environ, start_response: Any, client: ResolvedClient
    ) -> None:
        self.environ = environ
        self.request_id = client.request_id or secrets.token_hex(16)
        self.status = 0
        self.sent = 0
        self.complete = False
        self._wrapper = wrapper
        self._start_response = start_response
        self._began = time.monotonic()
        self._closed = False
        environ["heliograph.request_id"] = self.request_id
        environ["REMOTE_ADDR"] = client.address
        environ["wsgi.url_scheme"] = client.scheme
        environ["HTTP_HOST"] = client.host
        environ["QUERY_STRING"] = _encoded(environ.get("QUERY_STRING", ""))
        logs.request_id.set(self.request_id)
        wrapper.begin()

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        self.status = int(status[:3])
        headers = [
            *headers,
            ("X-Instance", self._wrapper.instance),
            ("X-Request-Id", self.request_id),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return self._start_response(status, headers, exc_info)

    def relay(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        return _Relay(self, pieces)

    def close(self) -> None:
        """The answer has ended or broke off."""
        if self._closed:
            return
        self._closed = True
        websocket = self.environ.get(WEBSOCKET)
        if websocket is not None and websocket.accepted:
            self.status, self.complete = 101, True
        self._wrapper.finish(self, time.monotonic() - self._began)
        logs.request_id.set("")


class _Relay:
    """Passes the pieces of an answer on and counts them."""

    def __init__(self, exchange: WrappedRequest, pieces: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._pieces = pieces
        self._iterator = iter(pieces)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._iterator)
        except StopIteration:
            self._exchange.complete = True
            raise
        self._exchange.sent += len(piece)
        return piece

    def close(self) -> None:
        try:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.close()
