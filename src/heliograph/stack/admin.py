"""Asks the admin listener of a stack's proxy. With http.client: the proxy's own client loads gevent and its settings."""

from __future__ import annotations

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


def listener(configuration: Path) -> Listener:
    """The admin listener of a stack's rendered proxy.toml."""
    values = tomllib.loads(configuration.read_text())
    return Listener(values["admin"], values.get("admin_token", ""))


def ask(proxy: Listener, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request; the JSON of its answer. Raises AdminError."""
    fields = {"Content-Type": "application/json"} if body is not None else {}
    if proxy.token:
        fields["Authorization"] = f"Bearer {proxy.token}"
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
    if status >= http.HTTPStatus.BAD_REQUEST:
        told = document.get("detail", status) if isinstance(document, dict) else status
        raise AdminError(str(told))
    return document
