"""`python -m bench.peers.websockets_uvloop PORT`: an echo on the `websockets` package under uvloop, its defaults but for limits."""

from __future__ import annotations

import sys

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

#: Autobahn sends messages this long.
MAX_MESSAGE = 16 << 20


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def healthz(connection: ServerConnection, request: Request) -> Response | None:
    """Whoever asks over HTTP whether this runs gets an answer."""
    return connection.respond(200, "ok\n") if request.path == "/healthz" else None


async def main(port: int) -> None:
    async with serve(echo, "127.0.0.1", port, max_size=MAX_MESSAGE, process_request=healthz) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
