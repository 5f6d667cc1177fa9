"""One request from its head to the last byte of its answer: attempts, the relaying, answers of our own, the
record.

Everything happens in the greenlet of the client's connection; only a body that is still arriving has another
one (relay.Upload). Once a byte of an answer was sent to the client nothing is tried again, and an answer that
cannot be finished is cut so that the client sees it.
"""

from __future__ import annotations

from enum import Enum, auto
from time import monotonic

from heliograph_proxy import headers, retry
from heliograph_proxy.accesslog import Record
from heliograph_proxy.attempt import Attempt, OutgoingRequest, outgoing
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.slots import Slot
from heliograph_proxy.balancing.strategies import RequestInfo
from heliograph_proxy.errors import (
    AttemptFailed,
    BadGateway,
    ClientGone,
    FramingError,
    Problem,
    StaleConnection,
    StreamError,
    TooManyRequests,
    Unavailable,
)
from heliograph_proxy.headers import Forwarding
from heliograph_proxy.http1 import framing, responses
from heliograph_proxy.http1.requests import RequestHead
from heliograph_proxy.http1.responses import ResponseHead
from heliograph_proxy.relay import download
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.tunnel import Tunnel


class After(Enum):
    """What becomes of the client's connection after an exchange."""

    KEEP = auto()
    CLOSE = auto()
    #: Close, but let the client read the answer first: it may still be sending, and a close would reset it.
    LINGER = auto()


class ProxyExchange:
    """Use `run` once."""

    #: What it holds at a backend, from its first attempt on.
    _slot: Slot

    def __init__(
        self,
        runtime: Runtime,
        client: SocketStream,
        head: RequestHead,
        forwarding: Forwarding,
        record: Record,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._head = head
        self._forwarding = forwarding
        self._record = record
        self._started = 0.0
        self._reader = _body_reader(head)
        self._retrying = False
        #: The backend the client's session sticks to, or "".
        self._preferred = runtime.sticky.read(head.cookies) if runtime.sticky and head.cookies else ""

    def run(self, wire: bytes, now: float) -> After:
        """`wire`: the head for the backend."""
        self._started = now
        try:
            limit = self._runtime.settings.limits.body_bytes
            attempt, answer = self._attempts(outgoing(self._head, wire, self._reader, self._client, limit))
        except Problem as problem:
            return self._answer(problem)
        except (ClientGone, StreamError):
            self._record.ended = "client-gone"
            return After.CLOSE
        finally:
            if self._retrying:
                self._runtime.balancer.retries.leave()
        self._record.status = answer.status
        try:
            if answer.status == responses.SWITCHING_PROTOCOLS:
                return self._tunnel(attempt, answer)
            if self._head.websocket:
                self._runtime.balancer.end_handshake(self._slot)
            if answer.event_stream:  # It lasts as a tunnel does, and counts as one.
                self._runtime.balancer.begin_tunnel(self._slot)
            return self._relay(attempt, answer)
        except Problem as problem:
            return self._answer(problem)
        finally:
            attempt.abandon()
            self._runtime.balancer.release(self._slot)

    # Attempts.

    def _attempts(self, request: OutgoingRequest) -> tuple[Attempt, ResponseHead]:
        """Try until there is an answer or no try is left."""
        tried: set[str] = set()
        failure: AttemptFailed | None = None
        while True:
            self._slot = slot = self._acquire(tried, failure)
            backend = slot.backend
            attempt = Attempt(self._runtime, backend, request, self._client, self._record)
            try:
                return attempt, attempt.run(fresh=failure is not None)
            except AttemptFailed as exc:
                self._give_up(attempt)
                failure = exc
                if not self._try_again(failure, request, backend, tried):
                    raise failure.problem from failure
            except BaseException:
                self._give_up(attempt)
                raise

    def _acquire(self, tried: set[str], failure: AttemptFailed | None) -> Slot:
        record, balancer = self._record, self._runtime.balancer
        now = monotonic() if failure else self._started
        try:
            request = RequestInfo(record.client, now, self._preferred)
            slot = balancer.acquire(request, tried, self._client, tunnel=self._head.websocket)
        except (Unavailable, TooManyRequests) as exc:
            # No backend is left to try: what the last one did says more than "unavailable".
            raise failure.problem if failure else exc from exc
        record.Tw = request.waited
        record.backend = slot.backend.name
        if not isinstance(failure, StaleConnection):
            record.tries += 1
        return slot

    def _give_up(self, attempt: Attempt) -> None:
        attempt.abandon()
        self._runtime.balancer.release(self._slot)

    def _try_again(
        self, failure: AttemptFailed, request: OutgoingRequest, backend: Backend, tried: set[str]
    ) -> bool:
        balancer, settings = self._runtime.balancer, self._runtime.settings.retry
        stale = isinstance(failure, StaleConnection)
        if not stale:
            tried.add(backend.name)
            balancer.failed(backend, failure.problem.detail)
        seconds = monotonic() - self._started
        if not retry.allowed(failure, request.repeatable, self._record.tries, seconds, settings):
            return False
        if not self._retrying and not stale:
            patience = min(settings.deadline - seconds, self._runtime.settings.timeouts.queue)
            self._retrying = balancer.retries.enter(balancer.in_flight, settings, patience)
            if not self._retrying:
                return False
        backend.retries += 1
        return True

    # Answers.

    def _relay(self, attempt: Attempt, answer: ResponseHead) -> After:
        """Send the backend's answer on."""
        head, upload, runtime = self._head, attempt.upload, self._runtime
        delivery = responses.delivery(answer, head.method, head.minor)
        # A client that was not told to go on may send its body now or not: it could be taken for a request.
        unsure = upload and not upload.complete and head.expects_continue and not attempt.continued
        close = delivery.closes or bool(unsure) or self._closing
        stream, before = attempt.stream, self._client.sent
        assert stream is not None
        start = self._head_for_client(attempt, delivery.start, answer, close=close)
        try:
            download(stream, self._client, start, delivery, runtime.settings.timeouts.idle)
        except (StreamError, FramingError, Problem) as exc:
            return self._cut(attempt, exc, begun=self._client.sent > before)
        if upload is not None and not upload.complete:
            self._record.ended = "early-answer"
            return After.LINGER
        self._client.on_readable = None
        if answer.keep_alive and not delivery.until_closed:
            runtime.connections.keep(attempt.backend, attempt.detach())
        return After.CLOSE if close else After.KEEP

    def _tunnel(self, attempt: Attempt, answer: ResponseHead) -> After:
        client, backend = self._client, attempt.stream
        assert backend is not None
        client.on_readable = None
        self._runtime.balancer.begin_tunnel(self._slot)
        try:
            client.send(self._head_for_client(attempt, answer.passed_on, answer, close=False))
            self._record.ended = Tunnel(client, backend, self._runtime.settings.timeouts.tunnel).run()
        except StreamError:
            self._record.ended = "client-gone"
        return After.CLOSE

    def _head_for_client(self, attempt: Attempt, start: bytes, answer: ResponseHead, *, close: bool) -> bytes:
        upgrade = b""
        if answer.upgrade and answer.status in (responses.SWITCHING_PROTOCOLS, responses.UPGRADE_REQUIRED):
            upgrade = answer.upgrade
        connection = headers.connection_field(close=close, minor=self._head.minor, upgrade=upgrade)
        request_id = b"" if answer.has_request_id else self._record.request_id.encode()
        sticky, balancer = self._runtime.sticky, self._runtime.balancer
        if sticky is not None and not sticky.holds(
            self._preferred, attempt.backend, balancer.backends, monotonic()
        ):
            connection += sticky.write(attempt.backend.name, secure=self._forwarding.https(self._head))
        return headers.response_head(start, connection, request_id)

    def _cut(self, attempt: Attempt, exc: StreamError | FramingError | Problem, *, begun: bool) -> After:
        """The answer cannot be finished. A reset is an end that no client takes for the proper one."""
        if isinstance(exc, StreamError) and exc.stream is self._client:
            self._record.ended = "client-gone"
            return After.CLOSE
        if isinstance(exc, Problem) or attempt.client_gone:  # the request's body went wrong meanwhile
            self._record.ended = "client-gone"
        else:
            self._record.ended, self._record.reason = "backend-cut", f"the answer was cut: {exc}"
            self._runtime.balancer.failed(attempt.backend, f"the answer was cut: {exc}")
            if not begun:
                raise BadGateway(f"the backend's answer is not HTTP: {exc}") from exc
        self._client.close(reset=True)
        return After.CLOSE

    @property
    def _closing(self) -> bool:
        return not self._head.keep_alive or self._runtime.stopping

    def _answer(self, problem: Problem) -> After:
        """An answer of our own."""
        record = self._record
        record.status, record.ended, record.reason = problem.status, problem.name, problem.detail
        self._runtime.metrics.problems[problem.status] += 1
        unread = self._reader is not None and not self._reader.complete
        close = unread or self._closing
        connection = headers.connection_field(close=close, minor=self._head.minor)
        head_only = self._head.method == b"HEAD"
        answer = headers.problem_response(
            problem, record.request_id.encode(), connection, head_only=head_only
        )
        try:
            self._client.send(answer)
        except StreamError:
            return After.CLOSE
        if not close:
            return After.KEEP
        return After.LINGER if unread else After.CLOSE


def _body_reader(head: RequestHead) -> framing.BodyReader | None:
    if head.chunked:
        return framing.ChunkedReader()
    return framing.LengthReader(head.length) if head.length is not None else None
