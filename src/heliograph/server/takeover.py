"""What it takes to have a socket from an HTTP server: whether it can be had, and what the server has read from it already."""

from __future__ import annotations

import io
import ssl
from typing import Any


def offers_websockets(connection: Any) -> bool:
    """Whether a WebSocket can take this socket over: TLS is what nginx is for."""
    return connection is not None and not isinstance(connection, ssl.SSLSocket)


def read_ahead(connection: Any, reader: io.BufferedReader) -> bytes:
    """What a server's buffer holds beyond the request, without waiting for more."""
    timeout = connection.gettimeout()
    connection.settimeout(0.0)
    try:
        return reader.peek()
    finally:
        connection.settimeout(timeout)
