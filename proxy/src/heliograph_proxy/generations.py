"""The generations of a proxy that replaces itself: what one tells the next, over a socket, as lines of JSON.

To the successor: `{"backends": […]}`, what is known of them; then, each second while clients are left, a `report`. To the
predecessor: `{"ready": pid}` or `{"failed": "why"}`, once. The end of the socket is the end of the other process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket

from heliograph_proxy import eventlog as events
from heliograph_proxy.admin.control import describe
from heliograph_proxy.balancing.backends import Backend, OperatorState
from heliograph_proxy.runtime import Runtime

#: A line of a report: 10,000 backends, all in use. A longer one ends the socket.
MAX_LINE = 8 << 20

REPORT_SECONDS = 1.0


class Channel:
    """Lines of JSON over one socket, for greenlets."""

    def __init__(self, number: int) -> None:
        self.sock = socket.socket(fileno=number)
        self._buffer = b""

    def send(self, message: dict[str, Any]) -> bool:
        """Whether somebody is there."""
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end. What is no message is passed over: its beginning was read by another."""
        while True:
            while b"\n" not in self._buffer:
                try:
                    data = self.sock.recv(65536)
                except OSError:
                    return None
                if not data or len(self._buffer) > MAX_LINE:
                    return None
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    return message

    def messages(self) -> Iterator[dict[str, Any]]:
        while (message := self.receive()) is not None:
            yield message

    def refuse(self) -> None:
        """What the other process sends from now on fails there. What it has sent can be received."""
        self.sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self.sock.close()


class Predecessors:
    """Those of whom clients are left, by what each reported last."""

    def __init__(self, channels: list[Channel]) -> None:
        self.channels = channels
        self._reports: dict[Channel, dict[str, Any]] = {}
        self._readers = [gevent.spawn(self._read, one) for one in channels]

    def reports(self) -> list[dict[str, Any]]:
        """The newest generation first."""
        return sorted(self._reports.values(), key=lambda one: one["generation"], reverse=True)

    def _read(self, channel: Channel) -> None:
        for message in channel.messages():
            if "generation" in message:
                self._reports[channel] = message
        ended = self._reports.pop(channel, None)
        if ended is not None:
            events.log("generation-ended", generation=ended["generation"], pid=ended["pid"])
        self.channels.remove(channel)
        channel.close()

    def hand_over(self) -> None:
        """The successor reads them."""
        gevent.killall(self._readers)
        for channel in self.channels:
            channel.close()
        self.channels.clear()
        self._reports.clear()


def report(runtime: Runtime) -> dict[str, Any]:
    """A generation as the next one shows it. Of its backends those in use."""
    generation = runtime.generation
    in_use = [one for one in runtime.balancer.backends if one.active or one.tunnels or one.queued]
    return {
        "generation": generation,
        "pid": os.getpid(),
        "connections": runtime.metrics.connections,
        "requests": runtime.metrics.requests,
        "tunnels": sum(one.tunnels for one in in_use),
        "backends": [describe(one, generation) for one in in_use],
    }


def known_backends(backends: list[Backend], now: float) -> list[dict[str, Any]]:
    """What a successor need not learn anew."""
    return [
        {
            "name": one.name,
            "address": str(one.settings.address),
            "state": one.state.value,
            "weight": one.weight if one.weight_set else None,
            "healthy": one.healthy,
            "proven": one.proven,
            "ready": one.ready,
            "ejected": one.ejected_for(now),
        }
        for one in backends
    ]


def take_over(backends: list[Backend], known: list[dict[str, Any]], now: float) -> None:
    """As a reload does: run-time state and weight of backends that stay are kept, and how they are."""
    by_place = {(one["name"], one["address"]): one for one in known}
    for backend in backends:
        one = by_place.get((backend.name, str(backend.settings.address)))
        if one is None:
            continue
        backend.state = OperatorState(one["state"])
        if one["weight"] is not None:
            backend.weight, backend.weight_set = one["weight"], True
        backend.healthy, backend.proven, backend.ready = one["healthy"], one["proven"], one["ready"]
        if one["ejected"]:
            backend.eject(now, one["ejected"])
