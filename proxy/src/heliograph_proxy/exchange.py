"""One request from its head to the last byte of its answer: attempts, the relaying, answers of our own, the
record.

Everything happens in the greenlet of the client's connection; only a body that is still arriving has another
one (relay.Upload). Once a byte of an answer was sent to the client nothing is tried again, and an answer that
cannot be finished is cut so that the client sees it.
"""

from __future__ import annotations

from heliograph_proxy import headers, retry
from heliograph_proxy.accesslog import Record
from heliograph_proxy.attempt import Attempt
from heliograph_proxy.balancing.backends import Backend
from heliograph_proxy.balancing.slots import Slot
from heliograph_proxy.balancing.strategies import RequestInfo
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import (
    AttemptFailed,
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
from heliograph_proxy.outcome import After, answer_problem, client_left, cut, not_begun
from heliograph_proxy.relay import download
from heliograph_proxy.requestbody import (
    BodySource,
    IncomingBody,
    OutgoingRequest,
    first_payload,
    with_body,
    without_body,
)
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream
from heliograph_proxy.tunnel import Tunnel


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
        self._body: IncomingBody | None = None
        #: Where sessions stick at this path.
        self._sticky = runtime.sticky if runtime.sticky and runtime.sticky.applies(head.target) else None
        #: The backend the client's session sticks to, or "".
        self._preferred = self._sticky.read(head.cookies) if self._sticky and head.cookies else ""

    def run(self, wire: bytes, now: float) -> After:
        """`wire`: the head for the backend."""
        self._started = now
        try:
            attempt, answer = self._attempts(self._request(wire))
        except Problem as problem:
            return self._answer(problem)
        except (ClientGone, StreamError):
            return client_left(self._record)
        finally:
            if self._retrying:
                self._runtime.balancer.retries.leave()
            if self._body is not None:
                self._body.release()
        self._record.status = answer.status
        try:
            if answer.status == responses.SWITCHING_PROTOCOLS:
                return self._tunnel(attempt, answer)
            if self._head.websocket:
                self._runtime.balancer.end_handshake(self._slot)
            # A stream lasts as a tunnel does, and counts as one.
            if answer.stream and self._head.method != b"HEAD":
                self._record.stream = True
                self._runtime.balancer.begin_tunnel(self._slot)
            return self._relay(attempt, answer)
        except Problem as problem:
            self._give_up(attempt)  # the client may read what is answered as slowly as it likes
            return self._answer(problem)
        finally:
            self._give_up(attempt)

    def _request(self, wire: bytes) -> OutgoingRequest:
        """The request as it goes to a backend, with all that is read of its body before."""
        head, reader, runtime = self._head, self._reader, self._runtime
        runtime.clients.count_request(self._record.client, self._started)
        if reader is None:
            return without_body(head, wire)
        payload = first_payload(head, reader, self._client, runtime.settings)
        if reader.complete:
            return with_body(head, wire, payload)
        source = BodySource(self._client, reader, runtime, head, len(payload))
        self._body = IncomingBody(source, runtime.held, self._record.client)
        request = self._body.read(head, wire, payload)
        self._started = monotonic()
        return request

    # Attempts.

    def _attempts(self, request: OutgoingRequest) -> tuple[Attempt, ResponseHead]:
        """Try until there is an answer or no try is left."""
        tried: list[str] = []
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

    def _acquire(self, tried: list[str], failure: AttemptFailed | None) -> Slot:
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
        if failure is None or not isinstance(failure, StaleConnection):
            record.tries += 1
        return slot

    def _give_up(self, attempt: Attempt) -> None:
        """Give back the connection and the slot, once."""
        attempt.abandon()
        self._runtime.balancer.release(self._slot)

    def _try_again(
        self, failure: AttemptFailed, request: OutgoingRequest, backend: Backend, tried: list[str]
    ) -> bool:
        balancer, settings = self._runtime.balancer, self._runtime.settings.retry
        stale = isinstance(failure, StaleConnection)
        if not stale:
            tried.append(backend.name)
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
        client, before = self._client, self._client.sent
        start = self._head_for_client(attempt, delivery.start, answer, close=close)
        try:
            unsent = download(runtime, attempt.connected, client, start, delivery, self._record.client)
            unread = upload is not None and not upload.complete
            if unread:
                self._record.ended = "early-answer"
            elif answer.keep_alive and not delivery.until_closed:
                runtime.connections.keep(attempt.backend, attempt.detach())
            client.on_readable = None
            if unsent is not None:
                self._give_up(attempt)
                unsent.finish()
        except (StreamError, FramingError, Problem, ClientGone) as exc:
            if client.sent == before and isinstance(exc, FramingError):
                raise not_begun(runtime, attempt, exc) from exc
            return cut(runtime, client, self._record, attempt, exc)
        if unread:
            return After.LINGER
        return After.CLOSE if close else After.KEEP

    def _tunnel(self, attempt: Attempt, answer: ResponseHead) -> After:
        client, backend, tunnels = self._client, attempt.connected, self._runtime.tunnels
        client.on_readable = None
        self._record.stream = True
        self._runtime.balancer.begin_tunnel(self._slot)
        try:
            client.send(self._head_for_client(attempt, answer.passed_on, answer, close=False))
            seconds = self._runtime.settings.timeouts.tunnel
            tunnel = tunnels[client] = Tunnel(client, backend, seconds, websocket=self._head.websocket)
            self._record.ended = tunnel.run()
        except StreamError:
            return client_left(self._record)
        finally:
            tunnels.pop(client, None)
        return After.CLOSE

    def _head_for_client(self, attempt: Attempt, start: bytes, answer: ResponseHead, *, close: bool) -> bytes:
        upgrade = b""
        if answer.upgrade and answer.status in (responses.SWITCHING_PROTOCOLS, responses.UPGRADE_REQUIRED):
            upgrade = answer.upgrade
        connection = headers.connection_field(close=close, minor=self._head.minor, upgrade=upgrade)
        request_id = b"" if answer.has_request_id else self._record.request_id.encode()
        sticky, balancer = self._sticky, self._runtime.balancer
        if sticky is not None and not sticky.holds(
            self._preferred, attempt.backend, balancer.backends, monotonic()
        ):
            secure, prefix = self._forwarding.https(self._head), self._forwarding.prefix(self._head)
            connection += sticky.write(attempt.backend.name, secure=secure, prefix=prefix)
        return headers.response_head(start, connection, request_id)

    @property
    def _closing(self) -> bool:
        return not self._head.keep_alive or self._runtime.stopping

    def _answer(self, problem: Problem) -> After:
        return answer_problem(self._runtime, self._client, self._record, problem, self._head, self._reader)


def _body_reader(head: RequestHead) -> framing.BodyReader | None:
    if head.chunked:
        return framing.ChunkedReader()
    return framing.LengthReader(head.length) if head.length else None
