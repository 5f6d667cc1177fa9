"""The heads that are sent on, and the forwarding fields in them. Pure.

The inbound head is never changed: what goes out is built anew from the fields that may pass, with exactly one
framing field and with the forwarding fields that this proxy vouches for.
"""

from __future__ import annotations

from typing import Final

from heliograph_proxy.errors import MethodNotAllowed, Problem, TooManyRequests
from heliograph_proxy.hosts import forwarded_host
from heliograph_proxy.http1.fields import CLOSE, KEEP_ALIVE, NOSNIFF, VIA, lines
from heliograph_proxy.http1.requests import ForwardingField, RequestHead
from heliograph_proxy.problem_document import MEDIA_TYPE
from heliograph_proxy.trust import (
    REQUEST_ID,
    TrustedPeers,
    client_behind,
    forwarded_prefix,
    forwarded_scheme,
    peer_name,
)


class Forwarding:
    """The forwarding fields for requests of one client connection.

    A trusted peer's X-Forwarded-For grows by the peer, and its -Proto, -Host and X-Request-Id are kept when
    they are valid; those of other peers are removed.
    """

    __slots__ = ("_last_host", "_last_lines", "_peers", "peer", "trusted")

    def __init__(self, peer: str, trusted: TrustedPeers) -> None:
        #: The other end of the connection, as logs and the next layer name it.
        self.peer = peer_name(peer)
        self.trusted = trusted.believes(self.peer)
        self._peers = trusted
        self._last_host, self._last_lines = b"", b""

    def request_id(self, head: RequestHead, new: str) -> str:
        """The request's id: the trusted peer's, or the new one."""
        if self.trusted and head.forwarding:
            given = [value for lower, _, value in head.forwarding if lower == b"x-request-id"]
            told = given[0].decode("latin-1") if len(given) == 1 else ""
            if REQUEST_ID.fullmatch(told):
                return told
        return new

    def client(self, head: RequestHead) -> str:
        """The client's address: walked from the right over the peers that are trusted."""
        if not self.trusted or not head.forwarding:
            return self.peer
        told = _told(head.forwarding, b"x-forwarded-for")
        return client_behind(self.peer, told, self._peers) if told else self.peer

    def https(self, head: RequestHead) -> bool:
        """Whether the client's own connection is encrypted, as a trusted peer tells."""
        return self.trusted and forwarded_scheme(_told(head.forwarding, b"x-forwarded-proto")) == "https"

    def prefix(self, head: RequestHead) -> str:
        """What a trusted peer took from the path, as it tells."""
        return forwarded_prefix(_told(head.forwarding, b"x-forwarded-prefix")) if self.trusted else ""

    def lines(self, head: RequestHead, host: bytes) -> bytes:
        """The fields to add to the request; all but the request id."""
        if self.trusted and head.forwarding:
            return self._lines(head.forwarding, host)
        if host != self._last_host:  # a client connection asks for one host, as a rule
            self._last_host, self._last_lines = host, self._lines((), host)
        return self._last_lines

    def _lines(self, forwarding: tuple[ForwardingField, ...], host: bytes) -> bytes:
        others = [(name, value) for lower, name, value in forwarding if lower not in _REBUILT]
        before = _told(forwarding, b"x-forwarded-for").strip(" \t")
        # What cannot be read stays where it stands, so that the next layer's walk ends there, too.
        path = f"{before}, {self.peer}" if before else self.peer
        proto = forwarded_scheme(_told(forwarding, b"x-forwarded-proto")) or "http"
        passed = forwarded_host(_told(forwarding, b"x-forwarded-host")).encode() or host
        ours = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
            path.encode("latin-1"),
            proto.encode(),
            passed,
        )
        return lines(others) + ours + VIA


#: Written anew. Forwarded is not: the layers have one way to tell of the client.
_REBUILT: Final = frozenset(
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-request-id forwarded".split()
)


def _told(forwarding: tuple[ForwardingField, ...], wanted: bytes) -> str:
    """The values of all fields of one name, as one list (RFC 9110 section 5.3)."""
    return b", ".join([value for lower, _, value in forwarding if lower == wanted]).decode("latin-1")


def request_head(head: RequestHead, forwarding: bytes, request_id: bytes, default_host: bytes) -> bytes:
    """The request's head as the backend gets it."""
    host = b"" if head.host else b"Host: %b\r\n" % default_host
    return b"%b%b%bX-Request-Id: %b\r\n\r\n" % (head.passed_on, host, forwarding, request_id)


def connection_field(*, close: bool, minor: int, upgrade: bytes = b"") -> bytes:
    """Connection, and Upgrade where there is one to tell: in a 101 or a 426 (RFC 9110 section 7.8)."""
    if upgrade:
        return b"Connection: %bUpgrade\r\nUpgrade: %b\r\n" % (b"close, " if close else b"", upgrade)
    if close:
        return CLOSE
    return KEEP_ALIVE if minor == 0 else b""


def response_head(start: bytes, connection: bytes, request_id: bytes) -> bytes:
    """The response's head as the client gets it. No request id: the backend's answer has one."""
    if request_id:
        return b"%bX-Request-Id: %b\r\n%b\r\n" % (start, request_id, connection)
    return b"%b%b\r\n" % (start, connection)


def problem_response(
    problem: Problem, request_id: bytes, connection: bytes, *, head_only: bool = False
) -> bytes:
    """A whole answer of our own."""
    document = problem.document()
    fields = list(problem.fields)
    if isinstance(problem, MethodNotAllowed):
        fields.append(("Allow", problem.allow))
    if isinstance(problem, TooManyRequests):
        fields.append(("Retry-After", str(problem.retry_after)))
    extra = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    start = f"HTTP/1.1 {problem.status} {problem.title}\r\nContent-Type: {MEDIA_TYPE}\r\n".encode()
    size = b"Content-Length: %d\r\n" % len(document)
    ours = b"X-Request-Id: %b\r\n%b" % (request_id, NOSNIFF)
    return b"".join((start, size, ours, extra, connection, b"\r\n", b"" if head_only else document))
