"""The command line's side of the admin listener: asks a proxy that runs, and prints what it says.

An ordinary blocking client in a separate process.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from heliograph_proxy.errors import ProxyError
from heliograph_proxy.settings import ProxySettings
from heliograph_proxy.values import Address

#: A proxy that does not answer within this time is not running well enough to be commanded.
TIMEOUT = 10.0

_COLUMNS = (
    ("name", "name"),
    ("address", "address"),
    ("state", "state"),
    ("healthy", "health"),
    ("weight", "weight"),
    ("active", "active"),
    ("queued", "queued"),
    ("tunnels", "tunnels"),
    ("requests", "requests"),
    ("failures", "failures"),
    ("retries", "retries"),
    ("response_time", "ms"),
)

#: Shown while there are several.
_GENERATION = ("generation", "generation")


class AdminRefused(ProxyError):
    """The proxy cannot be asked, or says no. One line for the person at the terminal."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address) -> None:
        super().__init__(address.host or "localhost", address.port or 80, timeout=TIMEOUT)
        self._address = address

    def connect(self) -> None:
        if not self._address.path:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._address.path)


def ask(settings: ProxySettings, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """One request; the JSON of its answer."""
    fields = {"Content-Type": "application/json"} if body is not None else {}
    if settings.admin_token:
        fields["Authorization"] = f"Bearer {settings.admin_token}"
    connection = _Connection(settings.admin)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, fields)
        answer = connection.getresponse()
        status, document = answer.status, json.loads(answer.read() or b"null")
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as exc:
        # What another service says there may have any bytes in it.
        reason = " ".join(str(exc).split())
        raise AdminRefused(f"no proxy answers on {settings.admin}: {reason}") from exc
    finally:
        connection.close()
    if status >= http.HTTPStatus.BAD_REQUEST:
        detail = document.get("detail", status) if isinstance(document, dict) else status
        raise AdminRefused(str(detail))
    return document


def table(status: dict[str, Any]) -> str:
    """/status for people."""
    several = len({one["generation"] for one in status["backends"]}) > 1
    columns = (*_COLUMNS, _GENERATION) if several else _COLUMNS
    rows = [[title for _, title in columns]]
    for backend in status["backends"]:
        shown = {
            **backend,
            "healthy": "up" if backend["healthy"] else "down",
            "response_time": f"{backend['response_time'] * 1000:.1f}",
        }
        rows.append([str(shown[key]) for key, _ in columns])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    summary = (
        f"strategy {status['strategy']}, up {status['uptime']:.0f} s, {status['connections']} connections, "
        f"{status['requests']} requests"
    )
    return "\n".join([summary, *lines])
