"""`python -m bench.peers.fastapi_broadcaster PORT URL`: channels on FastAPI and broadcaster, as the README of that has them.

URL is broadcaster's: `memory://` or `redis://…`. Publishing is a POST.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from broadcaster import Broadcast
from fastapi import FastAPI, Request, WebSocket


def application(url: str) -> FastAPI:
    broadcast = Broadcast(url)

    @asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        # Its listener for Redis ends when it looks before the first subscription counts, and begins anew with the next one: so the
        # first one is ours, and those that are measured get their messages.
        async with broadcast, broadcast.subscribe("nobody"):
            yield

    app = FastAPI(lifespan=connected)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @app.post("/channels/{name}", status_code=201)
    async def publish(name: str, request: Request) -> str:
        await broadcast.publish(name, (await request.body()).decode())
        return "published"

    @app.websocket("/ws/channels/{name}")
    async def subscribe(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        async with anyio.create_task_group() as tasks:

            async def until_it_closes() -> None:
                async for _ in websocket.iter_text():
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_it_closes)
            async with broadcast.subscribe(channel=name) as subscriber:
                while True:
                    await websocket.send_text((await subscriber.get()).message)

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        ws="websockets-sansio",
        ws_ping_interval=None,
        log_level="warning",
    )
