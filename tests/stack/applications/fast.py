"""A FastAPI application with a WebSocket, for uvicorn."""

from __future__ import annotations

from fastapi import FastAPI, WebSocket

api = FastAPI()


@api.get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    return {"item": number}


@api.websocket("/ws")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text(f"you said {await socket.receive_text()}")
