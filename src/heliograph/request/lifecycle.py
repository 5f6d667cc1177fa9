"""The states of an application, and of the server that hosts it: it runs, then it stops."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class LifecycleState(Enum):
    RUNNING = "running"
    STOPPING = "stopping"


class Lifecycle:
    """One for each application and one for each server, which calls `stop` when its shutdown begins."""

    def __init__(self) -> None:
        self.state = LifecycleState.RUNNING
        self._callbacks: list[Callable[[], None]] = []

    @property
    def stopping(self) -> bool:
        return self.state is LifecycleState.STOPPING

    def on_stop(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when shutdown begins. It must not block. What is returned takes that back."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def follow(self, other: Lifecycle) -> Callable[[], None]:
        """Stop when `other` stops, or now if it has stopped. What is returned takes that back."""
        if other.stopping:
            self.stop()
        return other.on_stop(self.stop)

    def stop(self) -> None:
        if self.stopping:
            return
        self.state = LifecycleState.STOPPING
        for callback in tuple(self._callbacks):
            callback()
