"""A running server of the application, what its log and its metrics say, and clients that speak as they like."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy_tests.processes import PYTHON, Process, descriptors, free_port, until

#: Seconds that a client here waits for an answer. Far more than any takes: only a hang ends it.
PATIENCE = 20.0

HOST = b"Host: localhost\r\n"
CLOSE = HOST + b"Connection: close\r\n"


def gunicorn(port: int) -> list[str]:
    """The application of wsgi.py, with its JSON answers checked."""
    return [
        *(PYTHON, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"),
        *("--bind", f"127.0.0.1:{port}", "tests.checked_wsgi:app"),
    ]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class KeptReader(io.BufferedReader):
    """Passes for a socket with http.client, which closes what it reads from after each answer and loses what it read ahead."""

    def makefile(self, _mode: str) -> KeptReader:
        return self

    def close(self) -> None:
        return


class Wire:
    """A connection on which a test says what no HTTP library would."""

    def __init__(self, port: int, source: str = "") -> None:
        """`source`: the address of the client, where it is another one of 127.0.0.0/8."""
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self._reader = KeptReader(socket.SocketIO(self.socket, "r"))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer on this connection."""
        response = http.client.HTTPResponse(self._reader, method=method)  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)

    def rest(self) -> bytes:
        """All that comes until the server ends the connection."""
        return self._reader.read()

    def reset(self) -> None:
        """Go away as a crashed client does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Server(Process):
    """The application under a server of its own, on a free port, with its spool in `folder`."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        command: Callable[[int], Sequence[str]] = gunicorn,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = f"ws://127.0.0.1:{self.port}"
        self.spool = folder / "spool"
        environment = {
            "HELIOGRAPH_SPOOL": str(self.spool),
            "HELIOGRAPH_CHANNELS": f"sqlite:///{folder}/channels.db",
            **(settings or {}),
        }
        super().__init__(command(self.port), folder / "server.log", environment)
        self.sockets = 0

    def __enter__(self) -> Server:
        return self

    def started(self) -> Server:
        """Wait until it answers; what it holds then is what it may hold after each test."""
        self.wait_for_port(self.port)
        until(self._opens_its_log, "an answer of the server")
        self.get("/healthz")
        self.sockets = self._count_sockets()
        return self

    def _opens_its_log(self) -> bool:
        """Whether /readyz answered, which opens the log of the channels. No answer comes while a killed server frees its port."""
        try:
            return bool(self.get("/readyz").status)
        except ConnectionResetError:
            return False

    @property
    def worker(self) -> int:
        """The process that answers."""
        return self.tree()[-1]

    def connect(self, source: str = "") -> Wire:
        return Wire(self.port, source)

    def raw(self, request: bytes, method: str = "GET") -> Answer:
        """One answer to bytes sent as they are, on a connection of its own."""
        with self.connect() as wire:
            wire.send(request)
            return wire.answer(method)

    def get(self, path: str) -> Answer:
        return self.raw(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), CLOSE))

    def metrics(self) -> dict[str, float]:
        text = self.get("/metrics").body.decode()
        return {
            name: float(value) for name, value in re.findall(r"^(heliograph_\S+) (\S+)$", text, re.MULTILINE)
        }

    def wait_for_metric(self, name: str, value: float) -> None:
        until(lambda: self.metrics()[f"heliograph_{name}"] == value, f"{name} to be {value}")

    def log_lines(self, start: int = 0) -> list[dict[str, Any]]:
        """The whole lines of the log after byte `start` of its text."""
        text = self.output[start:]
        return [
            json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith("{")
        ]

    def logged(self, **fields: object) -> dict[str, Any]:
        """Wait for the log line that has these fields."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log_lines() if fields.items() <= line.items()]

        return until(found, f"a log line with {fields}")[-1]

    @contextmanager
    def nothing_left(self) -> Iterator[Server]:
        """Check that what runs inside leaves no request, socket, spool file or traceback behind, and never holds the loop."""
        start, stalled = len(self.output), self.stalled_seconds()
        yield self
        until(lambda: not self.leftovers(), f"{self.leftovers()} to go away")
        assert "Traceback" not in self.output[start:], self.output[start:]
        assert self.stalled_seconds() == stalled, f"the event loop stood:\n{self.output[start:]}"

    def stalled_seconds(self) -> float:
        """For how long the event loop did not turn, in all."""
        return self.metrics()["heliograph_loop_stalled_seconds"]

    def leftovers(self) -> list[str]:
        metrics = self.metrics()  # this request itself is in flight
        names = ("requests_in_flight", "websockets", "spool_bytes", "codec_jobs", "codec_jobs_waiting")
        gauges = {name: metrics[f"heliograph_{name}"] - (name == "requests_in_flight") for name in names}
        sockets = self._count_sockets() - self.sockets
        return [
            *(f"{name}: {value}" for name, value in gauges.items() if value),
            *([f"{sockets} sockets"] if sockets > 0 else []),
            *(
                file
                for file in descriptors(self.worker)
                if file.startswith(str(self.spool)) and "deleted" in file
            ),
        ]

    def _count_sockets(self) -> int:
        return sum(file.startswith("socket:") for file in descriptors(self.worker))


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def convert(
    server: Server, codec: str, direction: str, body: bytes = b"", query: str = "", kind: str = ""
) -> Answer:
    media = f"Content-Type: {kind}\r\n" if kind else ""
    path = f"/codecs/{codec}/{direction}{f'?{query}' if query else ''}"
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{media}".encode()
    return server.raw(head + CLOSE + b"\r\n" + body)


def problem(answer: Answer, status: int, name: str) -> dict[str, Any]:
    """Check that an answer is a problem as the interface says; return it."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["x-request-id"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == (f"/problems/{name}", status)
    assert document["title"]
    assert document["detail"]
    assert "Traceback" not in document["detail"]
    return document
