"""Every error of the proxy, named by who is at fault; the only file in which statuses of errors stand. Pure.

ProxyError
├── SettingsError               the configuration file is wrong: one line, file, key, what is allowed
├── FramingError                malformed HTTP/1.1; the caller decides who is at fault
│   ├── RefusedMethod           a method that is taken nowhere here
│   ├── UnknownCoding           a transfer coding that is not built
│   ├── UnknownVersion          another version of HTTP
│   └── HeadTooLong             of an answer
├── StreamError                 a connection: .stream says which
│   ├── Disconnected            the other side went away
│   └── TimedOut                nothing happened before the deadline
├── ClientGone                  the client went away: there is nothing to answer
├── ProxyStopping               the proxy ends; raised where a connection waits, and nothing is cut by it
├── AttemptFailed               one try at a backend; .problem is the answer if no other try is allowed
│   ├── NothingSent             no byte of the request left: every method may be tried elsewhere
│   ├── StaleConnection         a kept connection had died: costs no try
│   └── SomethingSent           the backend may have acted on the request
└── Problem                     is answered to the client as application/problem+json (RFC 9457)
"""

from __future__ import annotations

import errno
from typing import Any, ClassVar

from heliograph_proxy import problem_document

#: The process or the machine has no more descriptors or memory: the other side is not at fault.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


#: How a request is logged and counted whose client went away before it had its answer. It is never sent.
CLIENT_LEFT = 499


class ProxyError(Exception):
    """Base of all errors raised here on purpose."""


class SettingsError(ProxyError):
    """A configuration that cannot be used. Its text is one line for the person who edits the file."""

    def __init__(self, file: str, key: str, allowed: str) -> None:
        super().__init__(f"{file}: {key}: {allowed}" if key else f"{file}: {allowed}")
        self.file = file
        self.key = key
        self.allowed = allowed
        #: What else is wrong with the same file.
        self.others: list[SettingsError] = []


class FramingError(ProxyError):
    """Bytes that are not strict HTTP/1.1."""


class RefusedMethod(FramingError):
    """A request line with a method for proxies and tracing."""


class UnknownCoding(FramingError):
    """A body in another transfer coding than `chunked`."""


class UnknownVersion(FramingError):
    """A request line of another version of HTTP."""


class HeadTooLong(FramingError):
    """A head that is longer than this proxy passes on."""


class StreamError(ProxyError):
    """Something happened to a connection; `stream` is the one it happened to."""

    def __init__(self, stream: object, detail: str) -> None:
        super().__init__(detail)
        self.stream = stream


class Disconnected(StreamError):
    """The other side closed or reset the connection."""


class TimedOut(StreamError):
    """The connection stayed silent beyond its deadline, or moves more slowly than it must."""


class ClientGone(ProxyError):
    """The client went away; whatever was being done for it stops."""


class ProxyStopping(ProxyError):
    """The proxy is stopping: raised in a client's connection without a request, and in a WebSocket's backend, whose client is to
    get a close frame."""


class Problem(ProxyError):
    """An error that is answered to the client."""

    status: ClassVar[int] = 500
    name: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    #: Header fields that belong to this kind of answer.
    fields: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, detail: str = "", **members: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.members = members

    def document(self) -> bytes:
        """The body of the answer."""
        return problem_document.encode(
            problem_document.document(self.name, self.title, self.status, self.detail, self.members)
        )


class BadRequest(Problem):
    status, name, title = 400, "bad-request", "Bad request"


class BodyCut(BadRequest):
    """The client ended its side inside the body. It has gone, or has only stopped to send and reads this."""


class Unauthorized(Problem):
    status, name, title = 401, "unauthorized", "The admin listener wants a token"
    fields = (("WWW-Authenticate", "Bearer"),)


class Forbidden(Problem):
    status, name, title = 403, "forbidden", "This is not allowed"


class NotFound(Problem):
    status, name, title = 404, "not-found", "There is nothing at this path"


class MethodNotAllowed(Problem):
    """`allow` is what the resource can do, for the Allow field."""

    status, name, title = 405, "method-not-allowed", "This path does not take this method"

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(detail, allow=allow)
        self.allow = allow


class RequestTimeout(Problem):
    status, name, title = 408, "request-timeout", "The request took too long to arrive"


class Conflict(Problem):
    status, name, title = 409, "conflict", "There is one of this name already"


class BodyTooLarge(Problem):
    status, name, title = 413, "body-too-large", "The request's body is too large"


class TargetTooLong(Problem):
    status, name, title = 414, "uri-too-long", "The request line is too long"


class UnsupportedMediaType(Problem):
    status, name, title = 415, "unsupported-media-type", "This media type is not supported"


class ExpectationFailed(Problem):
    status, name, title = 417, "expectation-failed", "The request expects something that is not done here"


class MisdirectedRequest(Problem):
    status, name, title = 421, "unknown-host", "This service does not answer for this host"


class TooManyRequests(Problem):
    """One client asks for more than it may have. `retry_after`: seconds."""

    status, name, title = 429, "too-many-requests", "Too many requests"

    def __init__(self, detail: str, retry_after: int = 1, **members: Any) -> None:
        super().__init__(detail, **members)
        self.retry_after = retry_after


class HeaderTooLarge(Problem):
    status, name, title = 431, "headers-too-large", "The request's header fields are too large"


class InternalError(Problem):
    """A mistake of the proxy itself; the log has the traceback."""


class NotAvailable(Problem):
    status, name, title = 501, "not-implemented", "The request needs something that is not implemented"


class BadGateway(Problem):
    status, name, title = 502, "bad-gateway", "The service behind this server does not answer"


class Unavailable(Problem):
    """No backend can take the request now."""

    status, name, title = 503, "unavailable", "The service cannot do this now"
    #: Seconds: about the time two failed or passed health checks take to change the picture.
    fields = (("Retry-After", "2"),)


class GatewayTimeout(Problem):
    status, name, title = 504, "gateway-timeout", "The service behind this server took too long"


class VersionNotSupported(Problem):
    status, name, title = 505, "http-version-not-supported", "This version of HTTP is not supported"


class AttemptFailed(ProxyError):
    """One try at one backend failed before anything was sent to the client."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class NothingSent(AttemptFailed):
    """No byte of the request reached the backend."""


class StaleConnection(AttemptFailed):
    """A kept connection turned out to be dead, and not one byte of an answer came."""


class SomethingSent(AttemptFailed):
    """Bytes of the request were written; the backend may have acted on them."""
