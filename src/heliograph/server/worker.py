"""Gunicorn's pywsgi worker with our handler, which closes its connections when it stops."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import gevent
from geventwebsocket.gunicorn.workers import GeventWebSocketWorker
from gunicorn.workers.ggevent import PyWSGIHandler, PyWSGIServer

from heliograph.defaults import STATE_VARIABLE
from heliograph.request.loopwatch import watch_loop
from heliograph.request.options import RequestOptions
from heliograph.server import bytecode, gunicorn_options
from heliograph.server.handler import Handler
from heliograph.server.hosting import hosted
from heliograph.server.loading import BOOT_ERROR, CannotLoad, alive, load, tell
from heliograph.server.reporting import Reporter, is_ready, reporter
from heliograph.server.reports import LOADED, READY, STOPPING
from heliograph.server.state import ServerState
from heliograph.settings import environment

#: Descriptors that no client gets: for the log of channels, the spool, logs and the loop. An eighth, as at the proxy, and at
#: least what an instance with few descriptors needs.
RESERVED_SHARE = 8
RESERVED_LEAST = 32

#: Seconds between two looks whether the application is ready: its checks keep their results for a second.
READY_INTERVAL = 0.1


class Worker(GeventWebSocketWorker):  # type: ignore[misc]
    """`worker_class = "heliograph.server.worker.Worker"` in Gunicorn's configuration."""

    wsgi_handler = Handler
    worker_connections: int

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._state = ServerState()
        self._servers: list[PyWSGIServer] = []
        self._reporter: Reporter | None = None
        self._state.idle_timeout = float(self.cfg.keepalive)
        self._logs_access = bool(
            self.cfg.accesslog or self.cfg.statsd_host or self.cfg.logconfig or self.cfg.logconfig_json
        )
        self._logs_access |= bool(self.cfg.syslog and not self.cfg.disable_redirect_access_to_syslog)
        if self._logs_access or self.cfg.max_requests:
            self._state.on_answer = self._answered

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """What Gunicorn asks of a worker class before it starts a worker: without our configuration, options are checked here."""
        try:
            gunicorn_options.check(cfg)
        except SystemExit:
            if cfg.pidfile:
                Path(cfg.pidfile).unlink(missing_ok=True)
            raise

    def _answered(self, handler: Any) -> None:
        """What the options --access-logfile, --statsd-host and --max-requests need to know."""
        if self._logs_access and handler.environ is not None:
            PyWSGIHandler.log_request(handler)
        self.nr += 1
        if self.nr == self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self._state.stop()
            self.alive = False

    def load_wsgi(self) -> None:
        self.wsgi = hosted(self._load)

    def _load(self) -> Any:
        if self.cfg.reload or self.cfg.paste or not getattr(self.app, "app_uri", None):
            super().load_wsgi()  # of Gunicorn's own kinds of applications; with --reload one may be mended
            return self.wsgi
        environ = environment()
        if environ.get(STATE_VARIABLE):
            others = [Path(one) for one in environ.get("PYTHONPATH", "").split(os.pathsep) if one]
            bytecode.keep(Path(environ[STATE_VARIABLE]), [Path.cwd(), *others])
        try:
            with alive(self.tmp.notify):
                return load(self.app.app_uri)
        except CannotLoad as exc:
            tell(exc, RequestOptions.read(environ).log)
            raise SystemExit(BOOT_ERROR) from None

    def run(self) -> None:
        watch_loop()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = descriptors - max(descriptors // RESERVED_SHARE, RESERVED_LEAST)
        self.worker_connections = max(1, min(self.worker_connections, room))
        self._reporter = reporter(environment(), self._leave)
        if self._reporter is not None:
            self._report(self._reporter)
        super().run()

    def _report(self, reporter: Reporter) -> None:
        """Tell the manager how this process is. Beside another that serves, only one that is ready begins."""
        reporter.begin()
        reporter.say(LOADED)
        if reporter.beside:
            self._tell_when_ready(reporter)
        else:
            gevent.spawn(self._tell_when_ready, reporter)

    def _tell_when_ready(self, reporter: Reporter) -> None:
        while self.alive and not is_ready(self.wsgi, self._state.environ()):
            self.notify()
            gevent.sleep(READY_INTERVAL)
        if self.alive:
            reporter.say(READY)

    def _leave(self) -> None:
        """Another process accepts in our place. What we have accepted is answered."""
        for server in self._servers:
            server.close()

    def server_class(self, listener: Any, environ: dict[str, Any], **options: Any) -> PyWSGIServer:
        """What Gunicorn makes for each listener: all of them have the state of this worker."""
        server = PyWSGIServer(listener, environ={**environ, **self._state.environ()}, **options)
        self._servers.append(server)
        return server

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: say that we are stopping before the listener closes, so that load balancers can look elsewhere."""
        if self._reporter is not None:
            self._reporter.say(STOPPING)
        self._state.stop()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self._state.stop()
        super().handle_quit(sig, frame)
