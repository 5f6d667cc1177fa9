"""Start a process with listening sockets, as systemd does: from descriptor 3 on, told by LISTEN_FDS."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from proxy_tests.processes import PYTHON, ROOT, clean_environment

#: With `NUMBER,NUMBER…`, how many of them are told, the names and a command it moves these descriptors and becomes the command.
#: First it moves them out of the way of each other.
LAUNCHER = """
import os, sys
moved = [os.dup(int(one)) for one in sys.argv[1].split(",")]
while min(moved) < 3 + len(moved):
    moved = [os.dup(number) for number in moved]
for target, number in enumerate(moved, 3):
    os.dup2(number, target)
told = {"LISTEN_FDS": sys.argv[2], "LISTEN_PID": str(os.getpid())}
if sys.argv[3]:
    told["LISTEN_FDNAMES"] = sys.argv[3]
os.execve(sys.argv[4], sys.argv[4:], {**os.environ, **told})
"""


def listener(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen()
    return sock


def start(
    command: Sequence[str],
    sockets: Sequence[socket.socket],
    names: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    untold: Sequence[socket.socket] = (),
) -> subprocess.Popen[bytes]:
    """The descriptors of `untold` follow those of `sockets`."""
    numbers = [one.fileno() for one in (*sockets, *untold)]
    launcher = [PYTHON, "-c", LAUNCHER, ",".join(map(str, numbers)), str(len(sockets)), names]
    with log.open("wb") as out:
        return subprocess.Popen(
            [*launcher, *command],
            cwd=ROOT,
            env=clean_environment(env),
            pass_fds=numbers,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
