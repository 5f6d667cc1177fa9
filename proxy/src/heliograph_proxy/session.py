"""A client's connection: one request after the other, in their order, until either side has enough.

The next head is read only when the exchange before it is over, so a pipelining client's answers cannot get
mixed up.
"""

from __future__ import annotations

import re
from typing import Final

from heliograph_proxy import eventlog as events
from heliograph_proxy import headers
from heliograph_proxy.accesslog import Record
from heliograph_proxy.admin.failures import SERVER_ERRORS
from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import (
    Disconnected,
    InternalError,
    NotFound,
    Problem,
    ProxyStopping,
    RequestTimeout,
    StreamError,
    TimedOut,
)
from heliograph_proxy.exchange import ProxyExchange
from heliograph_proxy.headers import Forwarding
from heliograph_proxy.http1 import grammar
from heliograph_proxy.http1.fields import CLOSE
from heliograph_proxy.http1.requests import RequestHead, check_unfinished
from heliograph_proxy.masking import mask_secrets
from heliograph_proxy.outcome import After, send_problem
from heliograph_proxy.private import PROBE, covers
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream

#: After a last answer the client gets this long to read it before its connection is closed under it.
LINGER_SECONDS: Final = 2.0

#: Name and password in a target, which is refused with them.
_USERINFO: Final = re.compile(r"//[^/?#]*@")


class ClientSession:
    """Use `run` once; it closes the stream."""

    def __init__(self, runtime: Runtime, stream: SocketStream, peer: str, local: str) -> None:
        self._runtime = runtime
        self.stream = stream
        self._peer = peer
        self._trusted = runtime.settings.trusted
        self._forwarding = Forwarding(peer, self._trusted)
        #: The client for which this connection counts, or "".
        self._counted = ""
        #: The Host of requests that need not have one.
        self._default_host = local.encode()
        self._begun = 0.0
        #: When the time began of a head that still arrives; 0 elsewhere.
        self._head_begun = 0.0
        #: When the last exchange was over, or the connection began.
        self._ended = monotonic()
        #: Nothing was answered yet.
        self._first = True
        #: The stack's manager asks whether this process answers, which is neither logged nor counted.
        self._probe = False
        #: Nothing of a request has come yet.
        self.idle = True

    def run(self) -> None:
        try:
            while self._serve() is After.KEEP:
                pass
        except ProxyStopping:
            pass  # between two requests: nothing is lost
        finally:
            self._count_for("")
            self.stream.close()

    def stop_if_idle(self) -> None:
        """Where a client may send one more request, that is waited for."""
        if self.idle and (last := self._runtime.last_request):
            self.stream.read_deadline = min(self.stream.read_deadline, monotonic() + last)
        elif self.idle:
            self.stream.interrupt(ProxyStopping())

    def reloaded(self) -> None:
        """The settings are new: the wait for a request, for its head, or for the client to take an answer, ends as they
        say."""
        stream, settings, timeouts = self.stream, self._runtime.settings, self._runtime.settings.timeouts
        if self.idle:
            stream.read_deadline = self._ended + (timeouts.head if self._first else timeouts.idle)
        elif self._head_begun:
            stream.read_deadline = self._head_begun + timeouts.head
        elif not stream.silence:  # no tunnel
            stream.least_rate = settings.client.answer_rate
            stream.set_write_patience(timeouts.body)

    def _count_for(self, client: str) -> None:
        """Count this connection for a client, or for none. TooManyRequests: it is one too many.

        A connection is its peer's. One of a trusted peer is the client's for whom the peer asks, as long as the request
        lasts: what is in that peer's pool of idle connections is no client's.
        """
        counted, clients = self._counted, self._runtime.clients
        if client != counted:
            self._counted = ""
            if counted:
                clients.close(counted)
            if client:
                clients.open(client)
                self._counted = client

    def _serve(self) -> After:
        """One request."""
        stream, metrics = self.stream, self._runtime.metrics
        sent_before = stream.sent
        record = Record(self._runtime.request_ids.next(), self._forwarding.peer)
        try:
            if not self._counted and not self._forwarding.trusted:
                self._begun = self._ended
                self._count_for(self._forwarding.peer)
            head = self._read_head()
            if head is None:
                return After.CLOSE
            after = self._exchange(head, record)
        except Problem as problem:
            after = self._refuse(problem, record)
            if self._probe:
                _linger(stream)
                return After.CLOSE
        except StreamError:
            return After.CLOSE
        if self._counted and self._forwarding.trusted and self._counted != self._forwarding.peer:
            self._count_for("")
        self._ended = monotonic()
        record.sent = stream.sent - sent_before
        record.Ta = self._ended - self._begun
        metrics.requests += 1
        metrics.bytes_sent += record.sent
        if record.stream:
            metrics.streamed(record.backend, record.status, record.Ta)
        else:
            metrics.answered(record.backend, record.status, record.Ta)
        if record.status >= SERVER_ERRORS or record.ended != "done":
            self._runtime.failed.add(record)
        self._runtime.access_log.add(record)
        if after is After.LINGER or (after is After.CLOSE and stream.close_would_reset):
            _linger(stream)
        return after

    def _exchange(self, raw: bytes, record: Record) -> After:
        now = monotonic()
        record.TR = now - self._begun
        head = self._parse(raw, record)
        record.method, record.target, record.minor = head.method_text, head.target_text, head.minor
        record.fields, record.trace_id = head.passed_on, head.trace_id
        stream, settings = self.stream, self._runtime.settings  # those of this moment: a reload changes them
        if settings.trusted is not self._trusted:
            self._trusted, self._forwarding = settings.trusted, Forwarding(self._peer, settings.trusted)
        stream.least_rate, stream.write_patience = settings.client.answer_rate, settings.timeouts.body
        forwarding, before = self._forwarding, self.stream.sent
        record.client = forwarding.client(head)
        record.request_id = request_id = forwarding.request_id(head, record.request_id)
        private = settings.private
        if private and covers(private, head.target):
            # A peer that asks for another tells of it.
            self._probe = head.target_text == PROBE and forwarding.trusted and not head.forwarding
            raise NotFound("there is nothing at this path")
        if forwarding.trusted and self._runtime.clients.counts_connections:
            self._count_for(record.client)
        added = forwarding.lines(head, head.host or self._default_host)
        wire = headers.request_head(head, added, request_id.encode(), self._default_host)
        try:
            return ProxyExchange(self._runtime, self.stream, head, forwarding, record).run(wire, now)
        except Exception as exc:
            events.log_exception("exchange-failed", exc, id=request_id)
            if self.stream.sent > before:  # an answer has begun: it can only be cut
                self.stream.close(reset=True)
            raise InternalError("the proxy made a mistake") from exc

    def _parse(self, raw: bytes, record: Record) -> RequestHead:
        try:
            return self._runtime.parser.parse(raw)
        except Problem:
            record.method, record.target = _request_line_for_log(raw)
            raise

    def _read_head(self) -> bytes | None:
        """Everything before the empty line; None when the client ended or stayed silent between two
        requests."""
        stream, timeouts = self.stream, self._runtime.settings.timeouts
        if not stream.buffer:
            self.idle = True
            last = self._runtime.last_request
            if self._runtime.stopping and not last:
                return None
            # The first head's time counts from the connection on.
            silence = min(timeouts.head if self._first else timeouts.idle, last or timeouts.idle)
            try:
                stream.buffer = stream.recv_later(self._ended + silence)
            except (TimedOut, Disconnected):
                return None
            if not stream.buffer:
                return None
        self.idle = False
        # A stop that came together with a request waits for its answer.
        stream.forget_interruption()
        self._begun = monotonic()
        self._head_begun = self._ended if self._first else self._begun
        self._first = False
        try:
            return self._complete_head()
        except TimedOut as exc:
            seconds = self._runtime.settings.timeouts.head
            raise RequestTimeout(f"the head did not arrive within {seconds:g} seconds") from exc
        finally:
            self._head_begun = 0.0

    def _complete_head(self) -> bytes | None:
        stream, limits = self.stream, self._runtime.settings.limits
        looked_at = 0
        skipped = False
        while True:
            # RFC 9112 section 2.2: at least one empty line before a request is ignored; one is enough.
            if not skipped and stream.buffer.startswith(b"\r\n"):
                stream.buffer, skipped, looked_at = stream.buffer[2:], True, 0
            end = stream.buffer.find(grammar.END, max(looked_at - 3, 0))
            if end >= 0:
                head, stream.buffer = stream.buffer[: end + 2], stream.buffer[end + 4 :]
                return head
            check_unfinished(stream.buffer, looked_at, limits)
            looked_at = len(stream.buffer)
            data = stream.recv_later(self._head_begun + self._runtime.settings.timeouts.head)
            if not data:
                return None
            stream.buffer += data

    def _refuse(self, problem: Problem, record: Record) -> After:
        """An answer to what is no request; nothing after it can be understood."""
        method = record.method.encode("latin-1")
        if not send_problem(self._runtime, self.stream, record, problem, CLOSE, method):
            return After.CLOSE
        return After.LINGER


def _linger(stream: SocketStream) -> None:
    """Let the client read its last answer: closing while it still sends would reset the connection under it."""
    deadline = monotonic() + LINGER_SECONDS
    stream.on_reload = None
    try:
        stream.finish_writing()
        while stream.recv(deadline) and monotonic() < deadline:
            pass
    except StreamError:
        return


def _request_line_for_log(raw: bytes) -> tuple[str, str]:
    parts = raw.partition(b"\r\n")[0].decode("latin-1").split(" ")
    return parts[0], mask_secrets(_USERINFO.sub("//***@", parts[1])) if len(parts) > 1 else "-"
