"""Redis and PostgreSQL as real processes, each with a folder and a port of its own. Use them as context managers.

They can be killed and started again in the middle of a test; what they stored stays until the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import psycopg
import redis
from proxy_tests.processes import Process, free_port, until

#: PostgreSQL refuses to run as root; this user owns nothing that matters.
NOBODY = 65534


class RedisServer:
    """`options` are those of redis-server. Without any it keeps nothing on the disk."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = options or ("--save", "")
        self._process: Process | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        self._process = Process(
            [
                *("redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *self._options,
            ],
            self.folder / "log",
        )
        self._process.wait_for_port(self.port)
        until(self._answers, "Redis")

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def stop(self) -> None:
        """An orderly end."""
        assert self._process is not None
        self._process.stop(signal.SIGTERM)

    def kill(self) -> None:
        if self._process is not None and self._process.running():
            self._process.send(signal.SIGKILL)
            self._process.wait()


class PostgresServer:
    """Trusts everybody on 127.0.0.1. Commits do not wait for the disk: no test here takes the machine down."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        self.url = f"postgresql://heliograph@127.0.0.1:{self.port}/postgres"
        self._user = NOBODY if os.geteuid() == 0 else None
        self._process: Process | None = None

    def __enter__(self) -> PostgresServer:
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        subprocess.run(
            [
                *(binary("initdb"), "-D", str(self.folder / "data"), "-U", "heliograph", "-A", "trust"),
                *("--no-sync", "--locale=C", "--encoding=UTF8"),
            ],
            user=self._user,
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        log = self.folder / "log"
        self._process = Process(
            [
                *(binary("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)),
                *("-h", "127.0.0.1", "-p", str(self.port), "-c", "fsync=off"),
            ],
            log,
            cwd=self.folder,
            user=self._user,
        )
        until(self._answers, "PostgreSQL")

    def _answers(self) -> bool:
        assert self._process is not None
        if not self._process.running():
            raise AssertionError(f"PostgreSQL ended:\n{self._process.output}")
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url, autocommit=True)

    def stop(self) -> None:
        """Fast: sessions are ended, nothing is lost."""
        assert self._process is not None
        self._process.stop(signal.SIGINT)

    def kill(self) -> None:
        """All its processes at once."""
        if self._process is None or not self._process.running():
            return
        tree = self._process.tree()
        for pid in tree:
            with contextlib.suppress(ProcessLookupError):  # it ended with its parent
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in tree),
            "the end of PostgreSQL's processes",
        )


def binary(name: str) -> str:
    """Debian keeps PostgreSQL's programs out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else shutil.which(name) or name
