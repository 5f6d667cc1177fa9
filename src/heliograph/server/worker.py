"""Gunicorn's pywsgi worker with our handler, which says goodbye when it stops."""

from __future__ import annotations

from typing import Any

from geventwebsocket.gunicorn.workers import GeventWebSocketWorker

from heliograph.request.lifecycle import lifecycle
from heliograph.server.handler import Handler
from heliograph.server.shutdown import say_goodbye


class Worker(GeventWebSocketWorker):  # type: ignore[misc]
    """`worker_class = "heliograph.server.worker.Worker"` in Gunicorn's configuration."""

    wsgi_handler = Handler

    def init_process(self) -> None:
        lifecycle.on_stop(say_goodbye)
        super().init_process()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: say that we are stopping before the listener closes, so that load balancers can look elsewhere."""
        lifecycle.stop()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        lifecycle.stop()
        super().handle_quit(sig, frame)
