"""A proxy as a process in front of backends as processes, for a browser that looks at its page."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
from pathlib import Path
from types import TracebackType
from typing import Any

from proxy_tests.processes import PYTHON, ROOT, Process, free_ports, until

SCRIPT = str(ROOT / "tests/stack/dashboard/backend.py")

#: Checks come fast and decide alone: a test waits for them.
SETTINGS = (
    "[health]\ninterval = 0.1\ntimeout = 2.0\nrise = 1\nfall = 1\nslow_start = 0.0\n[log]\naccess = ''\n"
)


class Farm:
    """`count` backends, of which the last is a separate process that can be killed. Use as a context manager."""

    def __init__(self, folder: Path, count: int = 2, token: str = "", extra: str = "") -> None:
        self.folder = folder
        self.port, self.admin, self.last, *self.others = free_ports(2 + count)
        self.names = [f"web{number}" for number in range(1, count + 1)]
        self.token = token
        tables = "".join(
            f'[[backend]]\nname = "{name}"\naddress = "127.0.0.1:{port}"\n'
            for name, port in zip(self.names, (*self.others, self.last), strict=True)
        )
        self._file = folder / "proxy.toml"
        self._file.write_text(
            f'listen = "127.0.0.1:{self.port}"\nadmin = "127.0.0.1:{self.admin}"\nadmin_token = "{token}"\n'
            f'strategy = "round_robin"\n{tables}{SETTINGS}{extra}'
        )
        self._started: list[Process] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.admin}/"

    def __enter__(self) -> Farm:
        self._rest = self._start("rest", [PYTHON, SCRIPT, *map(str, self.others)])
        self.revive()
        self._rest.wait_for_port(self.others[-1])
        self.start_proxy()
        until(lambda: all(one["last_check"] for one in self.backends()), "the first checks")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            _end(process)

    def _start(self, name: str, command: list[str]) -> Process:
        self._started.append(Process(command, self.folder / name))
        return self._started[-1]

    # The backend that dies, and the proxy that is interrupted.

    def kill(self) -> None:
        _end(self._one)

    def revive(self) -> None:
        self._one = self._start("one", [PYTHON, SCRIPT, str(self.last)]).wait_for_port(self.last)

    def start_proxy(self) -> None:
        command = [PYTHON, "-m", "heliograph_proxy", "run", "-c", str(self._file)]
        self.proxy = self._start("proxy", command).wait_for_port(self.admin)

    def stop_proxy(self) -> None:
        _end(self.proxy)

    def reset(self) -> None:
        """As it was at the start, for the next test."""
        for one in self.backends():
            for key, value in (("state", "ready"), ("weight", 1)):
                if one[key] != value:
                    self.admin_request("PUT", f"/backends/{one['name']}/{key}", {key: value})
        if not self._one.running():
            self.revive()
        until(lambda: all(one["healthy"] for one in self.backends()), "all backends up")

    # Requests.

    def get(self, path: str) -> tuple[int, str]:
        """Status and request id of an answer through the proxy, which may be cut."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            # A client that leaves before the answer has ended would itself be the reason that it was not sent whole.
            with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
                answer.read()
            return answer.status, answer.getheader("X-Request-Id", "")
        finally:
            connection.close()

    def admin_request(self, method: str, path: str, value: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        fields: dict[str, str | bytes] = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.token}".encode(),
        }
        try:
            connection.request(method, path, None if value is None else json.dumps(value), fields)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.load(answer)
        finally:
            connection.close()

    def backends(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin_request("GET", "/status")["backends"]
        return found

    def backend(self, name: str) -> dict[str, Any]:
        return next(one for one in self.backends() if one["name"] == name)


def _end(process: Process) -> None:
    if process.running():
        process.send(signal.SIGKILL)
    process.wait()
