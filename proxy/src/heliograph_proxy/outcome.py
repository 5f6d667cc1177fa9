"""How an exchange ends other than by its whole answer: a problem document, a client that left, an answer that is cut."""

from __future__ import annotations

from enum import Enum, auto

from heliograph_proxy import headers
from heliograph_proxy.accesslog import Record
from heliograph_proxy.attempt import Attempt
from heliograph_proxy.errors import (
    CLIENT_LEFT,
    BadGateway,
    BodyCut,
    ClientGone,
    FramingError,
    Problem,
    StreamError,
    TimedOut,
)
from heliograph_proxy.http1.framing import BodyReader
from heliograph_proxy.http1.requests import RequestHead
from heliograph_proxy.runtime import Runtime
from heliograph_proxy.streams import SocketStream


class After(Enum):
    """What becomes of the client's connection after an exchange."""

    KEEP = auto()
    CLOSE = auto()
    #: Close, but let the client read the answer first: it may still be sending, and a close would reset it.
    LINGER = auto()


def client_left(record: Record) -> After:
    """The client went away before it had all of its answer."""
    record.status, record.ended = CLIENT_LEFT, "client-gone"
    return After.CLOSE


def send_problem(
    runtime: Runtime, client: SocketStream, record: Record, problem: Problem, connection: bytes, method: bytes
) -> bool:
    """An answer of our own; whether it could be sent."""
    record.status, record.ended, record.reason = problem.status, problem.name, problem.detail
    if isinstance(problem, BodyCut):
        client_left(record)
    else:
        runtime.metrics.problems[problem.status] += 1
    answer = headers.problem_response(
        problem, record.request_id.encode(), connection, head_only=method == b"HEAD"
    )
    try:
        client.send(answer)
    except StreamError:
        client_left(record)
        return False
    return True


def answer_problem(
    runtime: Runtime,
    client: SocketStream,
    record: Record,
    problem: Problem,
    head: RequestHead,
    body: BodyReader | None,
) -> After:
    """The answer to a request that was understood. Its connection goes on if all of the body was read."""
    unread = body is not None and not body.complete
    close = unread or not head.keep_alive or runtime.stopping
    connection = headers.connection_field(close=close, minor=head.minor)
    if not send_problem(runtime, client, record, problem, connection, head.method):
        return After.CLOSE
    if not close:
        return After.KEEP
    return After.LINGER if unread else After.CLOSE


def cut(runtime: Runtime, client: SocketStream, record: Record, attempt: Attempt, exc: Exception) -> After:
    """An answer that has begun cannot be finished. A reset is an end that no client takes for the proper one."""
    of_client = isinstance(exc, StreamError) and exc.stream is client
    if of_client and isinstance(exc, TimedOut):
        record.ended = "client-too-slow"
    elif of_client or attempt.client_gone or isinstance(exc, (ClientGone, BodyCut)):
        client_left(record)
    elif isinstance(exc, Problem):  # the request's body went wrong meanwhile
        record.ended, record.reason = exc.name, exc.detail
    else:
        record.ended, record.reason = "backend-cut", f"the answer was cut: {exc}"
        runtime.balancer.failed(attempt.backend, record.reason)
    client.close(reset=True)
    return After.CLOSE


def not_begun(runtime: Runtime, attempt: Attempt, exc: FramingError) -> BadGateway:
    """The backend's answer is bad, and the client has nothing of it."""
    reason = f"the backend's answer is not HTTP: {exc}"
    runtime.balancer.failed(attempt.backend, reason)
    return BadGateway(reason)
