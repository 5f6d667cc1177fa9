"""A pause in long work is a turn of the whole event loop."""

from __future__ import annotations

import gevent
from gevent.socket import socketpair

from heliograph.request.pauses import pause


def test_sockets_have_their_turn_in_a_pause() -> None:
    near, far = socketpair()
    got: list[bytes] = []
    with near, far:
        reader = gevent.spawn(lambda: got.append(far.recv(1)))
        pause()  # it waits for its socket now
        near.send(b"x")
        pauses = 0
        while not got:
            pause()
            pauses += 1
        assert pauses <= 2  # in the same turn, either may be first
        reader.join()
