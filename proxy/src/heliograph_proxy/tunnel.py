"""An upgraded connection: bytes both ways, whatever they mean, until both ends have ended or nothing moves
anymore.

Each direction has one buffer: it reads again when the other side took what it had. The end of one direction
is passed on as the end of that direction alone.
"""

from __future__ import annotations

import gevent

from heliograph_proxy.clock import monotonic
from heliograph_proxy.errors import StreamError, TimedOut
from heliograph_proxy.readsize import ReadSize
from heliograph_proxy.streams import SocketStream


class Tunnel:
    """Relays between a client and a backend that have agreed on another protocol."""

    def __init__(self, client: SocketStream, backend: SocketStream, idle_seconds: float) -> None:
        self._client = client
        self._backend = backend
        client.silence = backend.silence = idle_seconds
        self._ended = "done"

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

    def _reloaded(self) -> None:
        for stream in (self._client, self._backend):
            stream.set_write_patience(stream.silence)

    def _relay(self, source: SocketStream, sink: SocketStream) -> None:
        try:
            data, source.buffer = source.buffer, b""
            read = ReadSize()
            while True:
                if data:
                    read.relayed(len(data), at_once=sink.send(data))
                    # Traffic in one direction keeps the other one open.
                    sink.read_deadline = monotonic() + sink.silence
                data = source.recv_later(monotonic() + source.silence, read.size)
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
