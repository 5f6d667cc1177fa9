"""What may go wrong with a backend, by name: each entry makes a `Backend` misbehave from then on.

A good answer is a head and then `ok`; to a WebSocket's request the head is a 101 and `ok` the tunnel's first bytes. So the
same fault can happen to each kind of request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from proxy_tests.backends import (
    CLOSE,
    Backend,
    Peer,
    Received,
    Script,
    close_early,
    handshake,
    let_it_be_read,
    reset,
    silent,
)

Part = Callable[[Received], bytes]


def is_websocket(request: Received) -> bool:
    return bool(request.field("Upgrade"))


def head(request: Received) -> bytes:
    return handshake(request) if is_websocket(request) else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


def chunked_head(request: Received) -> bytes:
    return head(request).replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")


def well(peer: Peer, request: Received) -> Any:
    peer.send(head(request) + b"ok")
    return stay(peer, request)


# How it goes on after what was said.


def stay(peer: Peer, request: Received) -> Any:
    """With the next request, or with the tunnel until the client ends it."""
    if not is_websocket(request):
        return None
    while peer.sock.recv(65536):
        pass
    return CLOSE


def then_reset(peer: Peer, request: Received) -> Any:
    let_it_be_read()
    return reset(peer, request)


def then_surplus(peer: Peer, request: Received) -> Any:
    """On a connection that is idle by now."""
    let_it_be_read()
    peer.send(POISON)
    return stay(peer, request)


def then_bad_chunk(peer: Peer, request: Received) -> Any:
    let_it_be_read()
    peer.send(b"x\r\n")
    return stay(peer, request)


#: What must not be taken for the answer to the next request.
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"


def says(part: Part, then: Script) -> Callable[[Backend], None]:
    def script(peer: Peer, request: Received) -> Any:
        peer.send(part(request))
        return then(peer, request)

    return does(script)


def does(script: Script) -> Callable[[Backend], None]:
    def spoil(backend: Backend) -> None:
        backend.script = script

    return spoil


def trickles(part: Part, size: int, pause: float) -> Script:
    """A part in pieces of `size` bytes, and then the rest of a good answer."""

    def script(peer: Peer, request: Received) -> Any:
        slow = part(request)
        for start in range(0, len(slow), size):
            peer.send(slow[start : start + size])
            gevent.sleep(pause)
        peer.send((head(request) + b"ok")[len(slow) :])
        return stay(peer, request)

    return script


def reset_on_arrival(backend: Backend) -> None:
    """Reset with the request half read."""

    def cut(peer: Peer) -> Any:
        peer.sock.recv(10)
        peer.reset()
        return CLOSE

    backend.on_arrival = cut


def new_connections(spoil: Callable[[Backend], None]) -> Callable[[Backend], None]:
    """A kept connection ends when a request comes, and there is no other one."""

    def both(backend: Backend) -> None:
        backend.script = close_early
        spoil(backend)

    return both


FAULTS: dict[str, Callable[[Backend], None]] = {
    "refused": new_connections(Backend.refuse_connections),
    "reset on accept": new_connections(Backend.reset_connections),
    "accepts nothing": new_connections(Backend.ignore_connections),
    "reset in the request": reset_on_arrival,
    "reset after 0 bytes": does(reset),
    "reset after 20 bytes": says(lambda request: head(request)[:20], then_reset),
    "reset after the head": says(head, then_reset),
    "reset in the body": says(lambda request: head(request) + b"o", then_reset),
    "black hole": does(silent),
    "slow head": does(trickles(head, 8, 0.002)),
    "head too slow": does(trickles(head, 1, 0.05)),
    "slow body": does(trickles(lambda request: head(request) + b"ok", 1, 0.0005)),
    "body that stalls": says(lambda request: head(request) + b"o", silent),
    "close after 0 bytes": does(close_early),
    "close after 20 bytes": says(lambda request: head(request)[:20], close_early),
    "close in the body": says(lambda request: head(request) + b"o", close_early),
    "bad head": says(lambda request: head(request).replace(b"\r\n", b"\n"), stay),
    "bad length": says(
        lambda request: head(request).replace(b"\r\n\r\n", b"\r\nContent-Length: x\r\n\r\n"), stay
    ),
    "bad first chunk": says(lambda request: chunked_head(request) + b"ok\r\n", stay),
    "bad second chunk": says(lambda request: chunked_head(request) + b"2\r\nok\r\n", then_bad_chunk),
    "surplus at once": says(lambda request: head(request) + b"ok" + POISON, stay),
    "surplus later": says(lambda request: head(request) + b"ok", then_surplus),
}

#: What of the configuration a fault needs: mostly so that its test takes no longer than it must.
SETTINGS: dict[str, dict[str, dict[str, float]]] = {
    "accepts nothing": {"timeouts": {"connect": 0.1}},
    "black hole": {"timeouts": {"response": 0.1}},
    "head too slow": {"timeouts": {"response": 0.1}},
    "body that stalls": {"timeouts": {"idle": 0.1, "tunnel": 0.1}},
    # It would not age out while its test waits: only the surplus can make the connection go.
    "surplus later": {"pool": {"idle": 60.0}},
}
