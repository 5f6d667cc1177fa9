"""Gunicorn's pywsgi worker with our handler, which says goodbye when it stops."""

from __future__ import annotations

from typing import Any

from geventwebsocket.gunicorn.workers import GeventWebSocketWorker

from heliograph.request.lifecycle import Lifecycle
from heliograph.server.handler import Handler
from heliograph.server.shutdown import say_goodbye


class Worker(GeventWebSocketWorker):  # type: ignore[misc]
    """`worker_class = "heliograph.server.worker.Worker"` in Gunicorn's configuration."""

    wsgi_handler = Handler

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lifecycle = Lifecycle()
        self.lifecycle.on_stop(say_goodbye)
        self.wsgi_handler = Handler.of(self.lifecycle)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: say that we are stopping before the listener closes, so that load balancers can look elsewhere."""
        self.lifecycle.stop()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.lifecycle.stop()
        super().handle_quit(sig, frame)
