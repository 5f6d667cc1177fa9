"""The receiving half of a connection: reads when there is something, hands messages to the view, and stops reading for a slow view.

The event loop calls everything here but `receive`, which waits.
"""

from __future__ import annotations

import socket
from typing import Any, Protocol

from gevent.hub import get_hub
from greenlet import getcurrent

from heliograph.request.pauses import Pauses
from heliograph.websocket.inbound import MAX_UNREAD, Inbound
from heliograph.websocket.memory import FLOOR
from heliograph.websocket.pings import Heartbeat
from heliograph.websocket.protocol import Ending

#: One read: large enough for a message of 64 KiB, small enough that no other connection waits long.
READ_SIZE = 256 << 10

#: Where everything is read to. One for all: what is not used up at once is copied out before anything else runs.
_buffer = bytearray(READ_SIZE)

#: A peer that has ended its half without a close frame gets none, and nothing more is read of it.
HALF_CLOSED = Ending(b"", clean=True)

_READ = 1  # the event bit of loop.io()


class ReceiverOwner(Protocol):
    """The connection whose receiver this is."""

    @property
    def is_open(self) -> bool:
        """Whether anything can still be sent."""

    def abort(self) -> None:
        """The peer is gone."""

    def reply(self, pong: bytes) -> None:
        """A ping has come; this is its answer."""

    def prepare_end(self) -> None:
        """The peer has closed, or has broken a rule; the view may not have taken all that came before."""

    def end(self) -> None:
        """The view has taken all that came before that."""

    def account(self) -> None:
        """What is held in memory has changed."""


class Receiver:
    __slots__ = (
        "_accounted",
        "_catching_up",
        "_ended",
        "_heartbeat",
        "_inbound",
        "_owner",
        "_pauses",
        "_sock",
        "_view",
        "_watcher",
        "paused",
    )

    def __init__(
        self, sock: socket.socket, inbound: Inbound, heartbeat: Heartbeat, owner: ReceiverOwner
    ) -> None:
        """`sock` does not block."""
        self._sock = sock
        self._inbound = inbound
        self._heartbeat = heartbeat
        #: None once it is closed: so connection and receiver do not keep each other alive.
        self._owner: ReceiverOwner | None = owner
        #: The greenlet that waits in `receive`.
        self._view: Any = None
        #: Whether the view gets nothing more.
        self._ended = False
        #: Whether nothing is read, for the view has not taken what arrived before.
        self.paused = False
        self._catching_up = False
        #: While the view takes messages that were there already.
        self._pauses: Pauses | None = None
        #: Whether `account` was called for what the inbound holds.
        self._accounted = False
        self._watcher: Any = get_hub().loop.io(sock.fileno(), _READ)
        self._watcher.start(self.read)

    @property
    def view_waits(self) -> bool:
        """Whether the view has taken everything and waits for more."""
        return self._view is not None and not self._inbound.messages

    def receive(self) -> str | bytes | None:
        """The next message; None when the connection ends. One greenlet at a time."""
        inbound = self._inbound
        if inbound.messages:
            self._pause()
        while not inbound.messages:
            self._pauses = None
            inbound.unread = 0
            if self._accounted:
                self._account()
            if inbound.ending is not None and not self._ended and self._owner is not None:
                self._owner.end()
            if self._ended:
                return None
            if self._view is not None:
                raise RuntimeError("another greenlet receives already")
            if inbound.stalled:
                self.read_on()
            self._view = getcurrent()
            try:
                get_hub().switch()
            finally:
                self._view = None
        return inbound.messages.pop(0)

    def _pause(self) -> None:
        """Thousands of short messages may arrive at once: the view must not have the loop until the last of them."""
        if self._pauses is None:
            self._pauses = Pauses()
        self._pauses()

    def read(self) -> None:
        """Read what is there."""
        try:
            size = self._sock.recv_into(_buffer)
        except BlockingIOError:
            return
        except OSError:
            size = -1
        if size <= 0:
            self._end_of_input(reset=size < 0)
            return
        self._heartbeat.alive = True
        inbound = self._inbound
        inbound.feed(_buffer, size)
        if inbound.messages and self._view is not None and not inbound.replies and inbound.ending is None:
            self._view.switch()
            if not inbound.stalled and inbound.rest is None and not self._accounted:
                return
        self._dispatch()

    def _end_of_input(self, *, reset: bool) -> None:
        """The peer is gone, or has only ended its half: then a view that works on its last message may answer."""
        owner, inbound = self._owner, self._inbound
        if owner is None:
            return
        if reset or inbound.ending is not None or not owner.is_open:
            owner.abort()
        else:
            inbound.ending = HALF_CLOSED
            owner.prepare_end()

    def take(self, early: bytes) -> None:
        """Bytes that were read from the socket before."""
        self._inbound.feed(bytearray(early), len(early))
        self._dispatch()

    def pause(self) -> None:
        if not self.paused:
            self.paused = True
            self._watcher.stop()

    def read_on(self) -> None:
        """Go on with what is left in memory, in another turn of the loop, or with the socket."""
        if self._inbound.rest is None:
            self._unpause()
        elif not self._catching_up:
            self._catching_up = True
            get_hub().loop.run_callback(self._catch_up)

    def end(self) -> None:
        """The view gets nothing more; what comes is read for the answer to our close frame only."""
        self._ended = True
        get_hub().loop.run_callback(self._wake_view)

    def close(self) -> None:
        """Read nothing more."""
        self._owner = None
        self._watcher.stop()
        self._watcher.close()
        self.end()

    def _dispatch(self) -> None:
        """Answer, hand over, and read on or not, after something was fed."""
        inbound, owner = self._inbound, self._owner
        if owner is None:
            return
        for pong in inbound.replies:
            owner.reply(pong)
        inbound.replies.clear()
        if inbound.ending is not None:
            owner.prepare_end()
        if self._view is not None and (inbound.messages or self._ended):
            self._view.switch()
        if inbound.stalled and self._owner is not None:
            self.pause()
            if inbound.unread < MAX_UNREAD:  # it stopped only so that other connections get a turn
                self.read_on()
        self._account()

    def _account(self) -> None:
        """Tell how much is held, where that is worth it, and once after."""
        counts = self._inbound.held > FLOOR
        if (counts or self._accounted) and self._owner is not None:
            self._accounted = counts
            self._owner.account()

    def _unpause(self) -> None:
        self._inbound.stalled = False
        if self.paused and self._owner is not None:
            self.paused = False
            self._watcher.start(self.read)

    def _catch_up(self) -> None:
        self._catching_up = False
        inbound = self._inbound
        if self._owner is not None and inbound.unread < MAX_UNREAD:
            inbound.resume()
            self._dispatch()
            if not inbound.stalled and (inbound.ending is None or self._ended):
                self._unpause()

    def _wake_view(self) -> None:
        if self._view is not None:
            self._view.switch()
