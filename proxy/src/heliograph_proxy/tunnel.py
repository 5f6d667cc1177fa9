"""An upgraded connection: bytes both ways, whatever they mean, until both ends have ended or nothing moves
anymore.

Each direction has one buffer: it reads again when the other side took what it had. The end of one direction
is passed on as the end of that direction alone.

When the proxy ends a WebSocket, its client gets a close frame between two frames of the backend, and nothing more of the
backend's. The client's own frames go on to the backend, so that its answer to the close frame ends the backend's side, too.
"""

from __future__ import annotations

import gevent

from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import ProxyStopping, StreamError, TimedOut
from heliograph_proxy.framebounds import CLOSE_FRAME, FrameBounds
from heliograph_proxy.readsize import MOST_FRAMES, ReadSize
from heliograph_proxy.streams import SocketStream


class Tunnel:
    """Relays between a client and a backend that have agreed on another protocol."""

    def __init__(
        self, client: SocketStream, backend: SocketStream, idle_seconds: float, *, websocket: bool = False
    ) -> None:
        self._client = client
        self._backend = backend
        client.silence = backend.silence = idle_seconds
        self._ended = "done"
        self._bounds = FrameBounds() if websocket else None
        #: The close frame is to be sent, or was sent.
        self._closing = self._closed = False

    def run(self) -> str:
        """Returns how it ended, for the log. Closes neither connection: their owners do."""
        self._client.least_rate = 0.0
        for stream in (self._client, self._backend):
            stream.on_reload = self._reloaded
        self._reloaded()
        upwards = gevent.spawn(self._relay, self._client, self._backend)
        try:
            self._relay(self._backend, self._client)
            upwards.join()
        finally:
            upwards.kill()
        return self._ended

    def close_websocket(self) -> bool:
        """Send the client a close frame as soon as no frame is cut by it. False where this is no WebSocket."""
        if self._bounds is None:
            return False
        self._closing = True
        # Should the backend say nothing, its direction is woken.
        self._backend.interrupt(ProxyStopping())
        return True

    def _reloaded(self) -> None:
        for stream in (self._client, self._backend):
            stream.set_write_patience(stream.silence)

    def _relay(self, source: SocketStream, sink: SocketStream) -> None:
        bounds = self._bounds if sink is self._client else None
        try:
            data, source.buffer = source.buffer, b""
            read = ReadSize() if bounds is None else ReadSize(MOST_FRAMES)
            while True:
                if data:
                    if bounds is not None:
                        data = self._until_close(bounds, data)
                    read.relayed(len(data), at_once=sink.send(data))
                    # Traffic in one direction keeps the other one open.
                    sink.read_deadline = monotonic() + sink.silence
                try:
                    data = source.recv_later(monotonic() + source.silence, read.size)
                except ProxyStopping:
                    assert bounds is not None
                    if bounds.between:
                        self._send_close()
                    data = b""
                    continue
                if not data:
                    break
            sink.finish_writing()
        except StreamError as exc:
            who = "client" if exc.stream is self._client else "backend"
            if self._ended == "done":
                self._ended = "tunnel-idle" if isinstance(exc, TimedOut) else f"{who}-disconnected"
            # Nothing more can come through: the other direction ends as well.
            self._client.close()
            self._backend.close()

    def _until_close(self, bounds: FrameBounds, data: bytes) -> bytes:
        """What of the backend's bytes goes to the client: all, until the close frame comes between."""
        if self._closed:
            return b""
        if self._closing:
            end = bounds.end_in(data)
            data = data[:end]
        bounds.feed(data)
        if self._closing and bounds.between:
            self._closed = True
            return data + CLOSE_FRAME
        return data

    def _send_close(self) -> None:
        if not self._closed:
            self._closed = True
            self._client.send(CLOSE_FRAME)
