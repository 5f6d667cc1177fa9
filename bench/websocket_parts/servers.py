"""What is compared: ours and four peers, one process each, with the same echo."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.harness import free_ports, members, running
from heliograph.settings import environment

PYTHON = (sys.executable, "-m")

OURS, RIVAL = "heliograph", "websockets on uvloop"


def gunicorn(worker: str, program: str) -> Callable[[int], list[str]]:
    """A worker that is Gunicorn's own or a package's, with Gunicorn's defaults."""
    return lambda port: [*PYTHON, "gunicorn", "-w1", "-k", worker, "--bind", f"127.0.0.1:{port}", program]


def ours(port: int) -> list[str]:
    return [*PYTHON, "gunicorn", "-c", "conf/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "wsgi:app"]


def websockets(port: int) -> list[str]:
    return [*PYTHON, "bench.peers.websockets_uvloop", str(port)]


def fastapi(port: int) -> list[str]:
    options = [
        "--host",
        "127.0.0.1",
        "--loop",
        "uvloop",
        "--ws",
        "websockets-sansio",
        "--log-level",
        "warning",
    ]
    return [*PYTHON, "uvicorn", "--port", str(port), *options, "bench.peers.fastapi_uvicorn:app"]


COMMANDS: Mapping[str, Callable[[int], list[str]]] = {
    OURS: ours,
    RIVAL: websockets,
    "FastAPI on uvicorn": fastapi,
    "flask-sock on gevent": gunicorn("gevent", "bench.peers.flask_sock_gevent:app"),
    "gevent-websocket 0.10.1": gunicorn(
        "geventwebsocket.gunicorn.workers.GeventWebSocketWorker", "bench.peers.stock_gevent_websocket:app"
    ),
}


@dataclass(frozen=True)
class Server:
    """`leader` is the process that leads its group."""

    name: str
    port: int
    leader: int


@contextlib.contextmanager
def serving(work: Path, name: str) -> Iterator[Server]:
    """One of COMMANDS, while the block runs, on all cores but the load's."""
    (port,) = free_ports(1)
    settings = {**environment(), "HELIOGRAPH_SPOOL": str(work / "spool")}
    log = work / f"{name.replace(' ', '-')}.log"
    with running(COMMANDS[name](port), f"http://127.0.0.1:{port}/healthz", log, settings) as leader:
        _, others = cores()
        for pid in members(leader):
            os.sched_setaffinity(pid, others)
        yield Server(name, port, leader)


def cores() -> tuple[set[int], set[int]]:
    """The load's and the servers': apart where there are two, so that neither takes the other's time."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}
