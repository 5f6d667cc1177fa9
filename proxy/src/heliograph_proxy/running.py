"""A proxy that runs, and what signals do to it."""

from __future__ import annotations

import os
import signal

import gevent
from gevent.event import Event

from heliograph_proxy import eventlog as events
from heliograph_proxy import notify
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.handover import Handover
from heliograph_proxy.notify import Notifier
from heliograph_proxy.server import ProxyServer
from heliograph_proxy.signals import STOPPING, WITHOUT_MEANING


class RunningProxy:
    """`catch_signals`, then `wait_and_stop`."""

    def __init__(self, server: ProxyServer, handover: Handover, notifier: Notifier) -> None:
        self._server = server
        self._handover = handover
        self._notifier = notifier
        #: A signal has asked for the end.
        self._asked = False
        self._ending = Event()

    def catch_signals(self) -> None:
        for number in STOPPING:
            gevent.signal_handler(number, self._stop_or_end)
        gevent.signal_handler(signal.SIGHUP, self._reload)
        gevent.signal_handler(signal.SIGUSR1, self._reopen)
        gevent.signal_handler(signal.SIGUSR2, self._replace)
        for number in WITHOUT_MEANING:
            gevent.signal_handler(number, _ignore, number, "it has no meaning here")
        # Not with a line: where a terminal stops who writes to it in the background, the line would bring the next one.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def wait_and_stop(self) -> None:
        self._ending.wait()
        replaced = self._handover.succeeded
        events.log("stopping", replaced=True) if replaced else events.log("stopping")
        if not replaced:
            # Of a process that was replaced this would be taken for the service.
            self._notifier.send(notify.STOPPING)
        self._server.stop(replaced=replaced)

    def _stop_or_end(self) -> None:
        """The first signal lets clients finish, the second does not."""
        if self._asked:
            events.log("stopped-immediately")
            os._exit(1)
        self._asked = True
        if self._handover.succeeded:
            self._server.stop_draining()
            return
        self._handover.abort()
        self._ending.set()

    def _replace(self) -> None:
        if self._handover.refused:
            _ignore(signal.SIGUSR2, self._handover.refused)
        elif self._asked:
            _ignore(signal.SIGUSR2, "the proxy is stopping")
        elif self._handover.begin():
            self._ending.set()

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            self._server.control.reload()
        except SettingsError as exc:
            events.log("reload-failed", reason=str(exc))
        self._notifier.send(notify.READY)

    def _reopen(self) -> None:
        """The log was renamed: lines until now stand in the old file, the next in a new one of the same name."""
        runtime = self._server.runtime
        try:
            runtime.access_log.reopen(runtime.settings.log)
        except SettingsError as exc:
            events.log("reopen-failed", reason=str(exc))
            return
        events.log("logs-reopened")


def _ignore(number: signal.Signals, reason: str) -> None:
    events.log("signal-ignored", signal=number.name, reason=reason)
