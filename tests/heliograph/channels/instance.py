"""An instance of the application that can be killed and started again on its port, as a crash and a restart are."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from proxy_tests.processes import alive, free_port, until

from tests.serving import Server, gunicorn


class Instance:
    """Use as a context manager. Its log is in `folder`, unless `settings` say otherwise."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._settings = {
            "HELIOGRAPH_CHANNELS": f"sqlite:///{folder}/channels.db",
            "HELIOGRAPH_RATE": "0",
            **(settings or {}),
        }
        self.server = self._start()

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def _start(self) -> Server:
        server = Server(self._folder, self._settings, lambda _: gunicorn(self.port))
        server.port = self.port
        return server.started()

    def kill(self) -> None:
        """Nobody gets to say goodbye."""
        tree = self.server.tree()
        for pid in tree:
            os.kill(pid, signal.SIGKILL)
        self.server.wait()
        until(lambda: not any(alive(pid) for pid in tree), "the end of the instance")

    def crash(self) -> None:
        self.kill()
        self.server = self._start()

    def restart(self) -> None:
        """In good order: subscribers are told (1012)."""
        self.server.stop()
        self.server = self._start()
