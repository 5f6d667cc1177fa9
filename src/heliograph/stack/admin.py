"""Asks the admin listener of a stack's proxy. With http.client: the proxy's own client loads gevent and its settings."""

from __future__ import annotations

import asyncio
import http.client
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: A proxy that does not answer within this time is not running well enough to be commanded.
TIMEOUT = 10.0


class AdminError(Exception):
    """The proxy cannot be asked, or refuses. Its text is one line."""


@dataclass(frozen=True)
class Listener:
    """Where a proxy is commanded, host:port, and the token it wants."""

    address: str
    token: str = field(default="", repr=False)

    @property
    def fields(self) -> dict[str, str]:
        """Of the head of each request."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def listener(configuration: Path) -> Listener:
    """The admin listener of a stack's rendered proxy.toml."""
    values = tomllib.loads(configuration.read_text())
    return Listener(values["admin"], values.get("admin_token", ""))


async def post(proxy: Listener, path: str) -> None:
    """A request with an empty object, from an event loop. Raises AdminError."""
    host, _, port = proxy.address.rpartition(":")
    fields = {"Host": proxy.address, "Content-Type": "application/json", "Content-Length": "2"} | proxy.fields
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            try:
                writer.write(f"POST {path} HTTP/1.1\r\nConnection: close\r\n{head}\r\n{{}}".encode())
                answer, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        status, document = int(answer.split(b" ", 2)[1]), json.loads(body or b"null")
    except (OSError, ValueError, IndexError) as exc:
        told = str(exc) or f"none within {TIMEOUT:g} s"
        raise AdminError(f"no proxy answers on {proxy.address}: {told}") from exc
    _require_good(status, document)


def ask(proxy: Listener, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request; the JSON of its answer. Raises AdminError."""
    fields = {**proxy.fields, **({"Content-Type": "application/json"} if body is not None else {})}
    connection = http.client.HTTPConnection(proxy.address, timeout=TIMEOUT)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, fields)
        answer = connection.getresponse()
        status, document = answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as exc:
        # Another service that answers there may have sent any bytes.
        reason = " ".join(str(exc).split())
        raise AdminError(f"no proxy answers on {proxy.address}: {reason}") from exc
    finally:
        connection.close()
    _require_good(status, document)
    return document


def _require_good(status: int, document: Any) -> None:
    """Raises AdminError with the problem that was answered."""
    if status >= http.HTTPStatus.BAD_REQUEST:
        told = document.get("detail", status) if isinstance(document, dict) else status
        raise AdminError(str(told))
