"""A proxy whose configuration file changes while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from proxy_tests.backends import CLOSE, Backend, Peer, Received
from proxy_tests.conftest import Client, Proxy, StartProxy

#: What a test has that waits for the old value of a key would not end.
LONG = 600.0

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Reloading:
    """Two backends, b1 and b2, and a proxy in front of them that is started and then reloaded."""

    def __init__(self, start_proxy: StartProxy, backend: Backend, another: Backend) -> None:
        self._start = start_proxy
        self.backend, self.another = backend, another
        self.proxy: Proxy
        self._tables: list[dict[str, Any]] = []

    def start(self, count: int = 2, table: Mapping[str, Any] | None = None, **settings: Any) -> Proxy:
        """`table`: what the first [[backend]] has beside its address."""
        ports = [self.backend.port, self.another.port][:count]
        self._tables = [
            {"name": f"b{number}", "address": f"127.0.0.1:{port}"} for number, port in enumerate(ports, 1)
        ]
        self._tables[0] |= table or {}
        self.proxy = self._start(*self._tables, **settings)
        return self.proxy

    def reload(self, table: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Change these keys in the file, and read it again."""
        proxy, changed = self.proxy, dict(self.proxy.document)
        for key, value in settings.items():
            changed[key] = {**changed.get(key, {}), **value} if isinstance(value, dict) else value
        changed["backend"] = [{**self._tables[0], **(table or {})}, *self._tables[1:]]
        (proxy.log.parent / "proxy.toml").write_text(toml(changed))
        proxy.server.control.reload()
        proxy.document = changed

    def connection(self) -> Client:
        return self.proxy.client()


def toml(document: Mapping[str, Any]) -> str:
    """Keys, tables and lists of tables, as the file has them; its values are written as JSON writes them."""
    plain, tables = [], []
    for key, value in document.items():
        if isinstance(value, dict):
            tables.append(f"[{key}]\n{toml(value)}")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables += [f"[[{key}]]\n{toml(one)}" for one in value]
        else:
            plain.append(f"{key} = {json.dumps(value)}\n")
    return "".join([*plain, *tables])


def broken(peer: Peer, request: Received) -> object:
    """An end inside the answer's head: a failure that may be tried elsewhere."""
    peer.send(b"HTTP/1.1 2")
    return CLOSE
