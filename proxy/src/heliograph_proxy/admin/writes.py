"""What operators change, in the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph_proxy import eventlog as events
from heliograph_proxy.http1.requests import RequestHead

#: Characters of each text of a client in a log line.
SHOWN = 200


class AdminWrite:
    """A request that changes something, for the log: who asked for what, and what came of it."""

    def __init__(self, who: str, fields: Mapping[bytes, bytes], head: RequestHead) -> None:
        self.body = b""
        self._asked: dict[str, Any] = {
            "client": who,
            "token": b"authorization" in fields,
            "user_agent": fields.get(b"user-agent", b"").decode("latin-1")[:SHOWN],
            "method": head.method_text,
            "target": head.target_text[:SHOWN],
        }

    def log(self, status: int, reason: str = "") -> None:
        shown = self.body.decode("utf-8", "replace")[:SHOWN]
        why = {"reason": reason} if reason else {}
        events.log("admin-write", **self._asked, body=shown, status=status, **why)
