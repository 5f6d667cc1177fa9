"""An application whose answer is one piece, of the size in the path, under a server that waits for clients for a short time."""

from __future__ import annotations

from heliograph_proxy import pace

from heliograph.server import loop, sending
from tests.heliograph.server.foreign import Environ, Start

loop.IO_TIMEOUT = 2.0
pace.ANSWER_SECONDS = 1.0
sending.LEAST_ANSWER_RATE = float(256 << 10)


def app(environ: Environ, start_response: Start) -> list[bytes]:
    size = environ["PATH_INFO"].strip("/")
    start_response("200 OK", [("Content-Length", size)])
    return [bytes(int(size))]
