"""The outermost layer of an application: what every request and every answer has, whatever the application does inside.

For each request it finds the client behind trusted proxies, gives it a request id, refuses foreign hosts and bodies that the
server cannot read to their end; each answer gets `X-Instance`, `X-Request-Id` and `X-Content-Type-Options`, and when it has
ended (or broke off) the access log and the metrics are written. WSGI middleware, so that it holds under every server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from heliograph_proxy.masking import mask_secrets

from heliograph.problems import BadHost, LengthRequired, Problem, UnknownHost
from heliograph.request.answers import response_of
from heliograph.request.checks import CheckResults
from heliograph.request.environ import CONNECTIONS, EXCHANGE, SERVER_STATE, SUBJECT
from heliograph.request.forwarding import answers_for, host_name, resolve
from heliograph.request.homeloop import is_patched
from heliograph.request.lifecycle import Lifecycle
from heliograph.request.logs import RequestLog
from heliograph.request.loopwatch import watch_loop
from heliograph.request.metrics import RequestMetrics
from heliograph.request.options import RequestOptions
from heliograph.server import reserved
from heliograph.server.adapters import add_websocket
from heliograph.server.exchange import Environ, WrappedRequest
from heliograph.server.guard import ServingGuard
from heliograph.server.reserved import RESERVED, ReservedPaths
from heliograph.server.state import ServerState
from heliograph.websocket.handshake import asks_for_websocket
from heliograph.websocket.options import WebSocketOptions
from heliograph.websocket.registry import ConnectionRegistry

#: Characters of a request's path that the log keeps. Servers take request lines of 4 to 8 KiB.
MAX_LOGGED_PATH = 1024


#: The middlewares of an application that is being loaded (`made_during`).
_made: ContextVar[list[WsgiWrapper]] = ContextVar("made")


@contextmanager
def made_during() -> Iterator[list[WsgiWrapper]]:
    """The middlewares that are made inside, in their order."""
    found: list[WsgiWrapper] = []
    token = _made.set(found)
    try:
        yield found
    finally:
        _made.reset(token)


class WsgiWrapper:
    """Around one application."""

    def __init__(
        self,
        application: Any,
        options: RequestOptions,
        access_log: RequestLog,
        metrics: RequestMetrics,
        lifecycle: Lifecycle,
        readiness: CheckResults,
    ) -> None:
        self.application = application
        self._options = options
        self._trust = options.trusted_proxies
        self._access_log = access_log
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._readiness = readiness
        self._reserved = ReservedPaths(options.instance, metrics, lifecycle, readiness)
        # The WebSockets that come through another server than ours.
        self._connections = ConnectionRegistry()
        lifecycle.on_stop(self._connections.stop)
        self._watching = False
        self._guard: ServingGuard | None = None
        self._server: ServerState | None = None
        self._leave: Callable[[], None] | None = None
        self.limit_websockets(WebSocketOptions.read({}))
        _made.get([]).append(self)

    def limit_websockets(self, options: WebSocketOptions) -> None:
        """Bound what the WebSockets of a server may send, and hold in all."""
        self._websockets = options
        self._connections.limit(options)

    def protect(self, guard: ServingGuard) -> None:
        """Answer nothing while the guard refuses."""
        self._guard = guard

    def require_protection(self) -> None:
        """Raise SettingError where the guard refuses already, now that the application is complete."""
        if self._guard is not None:
            self._guard.require()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        outer: WrappedRequest | None = environ.get(EXCHANGE)
        if not self._watching:
            self._watching = True
            if is_patched():  # anywhere else no loop has to turn while requests are answered
                watch_loop()
        self._follow(environ.get(SERVER_STATE))
        environ.setdefault(CONNECTIONS, self._connections)
        if outer is not None:
            outer.hand_over(self)
            pieces: Iterable[bytes] = self._answering(environ)(environ, start_response)
            return pieces
        if asks_for_websocket(environ):
            if self._server is not None:
                self._server.connections.limit(self._websockets)
            environ = add_websocket(environ, self._connections)
        else:  # a request that cannot be upgraded is an ordinary one (RFC 9110, 7.8)
            environ.pop("HTTP_UPGRADE", None)
        other = None
        if environ.get("PATH_INFO") in RESERVED:
            other = reserved.other_answer(environ, self._trust)
            if other is None:  # neither logged nor counted: two probes a second would hide what people do
                return self._reserved(environ, start_response)
        client = resolve(
            environ.get("REMOTE_ADDR") or "unix", environ["wsgi.url_scheme"], environ, self._trust
        )
        exchange = WrappedRequest(self, environ, start_response, client)
        try:
            return exchange.relay((other or self._answering(environ))(environ, exchange.start_response))
        except BaseException as exc:
            exchange.fail(exc)
            exchange.close()
            raise

    @classmethod
    def around(cls, application: Any, parts: Sequence[WsgiWrapper]) -> WsgiWrapper:
        """Around a larger application, for all of whose parts it speaks. Each part knows its own hosts, and counts its requests."""
        first = parts[0]
        hosts = frozenset[str]().union(*(part._options.allowed_hosts for part in parts))
        lifecycle = Lifecycle()
        for part in parts:
            part._lifecycle.follow(lifecycle)
        larger = cls(
            application,
            replace(first._options, allowed_hosts=hosts),
            first._access_log,
            RequestMetrics(part._metrics for part in parts),
            lifecycle,
            CheckResults({}, (part._readiness for part in parts)),
        )
        larger.limit_websockets(first._websockets)
        return larger

    def _follow(self, server: ServerState | None) -> None:
        """The application stops when the server stops through which it is asked, whatever stands between the two."""
        if server is self._server:
            return
        self.close()
        self._server = server
        if server is not None:
            self._leave = self._lifecycle.follow(server.lifecycle)

    def close(self) -> None:
        """The server's end does not concern the application any more."""
        if self._leave is not None:
            self._leave()
        self._server = self._leave = None

    def _answering(self, environ: Environ) -> Any:
        """What answers this request: the application, or a problem."""
        problem = self._refusal(environ)
        return self.application if problem is None else response_of(problem)

    def _refusal(self, environ: Environ) -> Problem | None:
        if self._guard is not None and (problem := self._guard.refusal()) is not None:
            return problem
        if "HTTP_TRANSFER_ENCODING" in environ and _hides_its_end(environ):
            return LengthRequired("This server cannot read a body with a Transfer-Encoding.")
        host = environ["HTTP_HOST"]
        if not host and environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            # HTTP/1.0 has no Host, and probes of load balancers still speak it.
            environ["HTTP_HOST"] = "localhost"
            return None
        name = host_name(host)
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
            environ["REQUEST_METHOD"],
            environ.get("heliograph.route", "none"),
            exchange.status,
            seconds,
            stream=exchange.stream,
        )
        if not self._options.access_log:
            return
        self._access_log.write(
            {
                "request_id": exchange.request_id,
                **({"trace_id": exchange.trace_id} if exchange.trace_id else {}),
                "instance": self._options.instance,
                "client": environ["REMOTE_ADDR"],
                **({"subject": environ[SUBJECT]} if SUBJECT in environ else {}),
                "method": environ["REQUEST_METHOD"][:32],
                "path": _text(environ.get("PATH_INFO", ""))[:MAX_LOGGED_PATH],
                "query": mask_secrets(environ.get("QUERY_STRING", "")[:MAX_LOGGED_PATH]),
                "status": exchange.status,
                "bytes": exchange.sent,
                "seconds": round(seconds, 6),
                "complete": exchange.complete,
                "agent": environ.get("HTTP_USER_AGENT", "")[:256],
            }
        )

    def begin(self) -> None:
        self._metrics.in_flight.inc()

    def give_up(self) -> None:
        self._metrics.in_flight.dec()

    @property
    def instance(self) -> str:
        return self._options.instance


def _text(wsgi_text: str) -> str:
    """WSGI's texts are bytes in disguise (PEP 3333); this is what the client meant."""
    return wsgi_text.encode("latin-1").decode(errors="replace")


def _hides_its_end(environ: Environ) -> bool:
    """Whether a body with a Transfer-Encoding would seem empty: the server neither decodes it nor says how long it is."""
    return not environ.get("wsgi.input_terminated") and not environ.get("CONTENT_LENGTH")
