"""Restarts the instances of a running stack one after another, without failing a request.

For each the manager starts a new process beside the old one, on the same listening socket. Once that says that it is ready, it
accepts in the place of the old one, which finishes what it has. The first new process tells whether the code can be loaded at
all: an old one goes only for one that is ready.

Where the memory is for one process only, and for instances of another server, the old one ends first: the proxy sends it nothing
new (drain), what is in flight ends, the instance is told to stop and the manager starts it again at once, it answers, the proxy
finds it healthy and uses it again (ready). Whatever happens, no instance stays drained.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heliograph.stack import admin, control, folder
from heliograph.stack.admin import AdminError
from heliograph.stack.control import ControlError
from heliograph.stack.plan import PartKind
from heliograph.stack.terminal import say, show

#: What is in flight gets this long, as long as the proxy gives it when it stops itself; then the instance's own grace.
DRAIN_PATIENCE = 30.0

#: For its grace of 7 s and its start, and for the proxy's health checks to agree.
RETURN_PATIENCE = 45.0

INTERVAL = 0.1


class RollingError(Exception):
    """The restart stops here. Its text is one line."""


@dataclass(frozen=True)
class Running:
    """A running stack: its folder, and its proxy's admin listener."""

    var: Path
    proxy: admin.Listener
    #: What is told of each step.
    tell: Callable[[str], None] = show

    def instances(self) -> dict[str, dict[str, Any]]:
        parts = folder.read_state(self.var)["parts"]
        return {part["name"]: part for part in parts if part["kind"] == PartKind.INSTANCE.value}

    def pid(self, name: str) -> int:
        return int(self.instances()[name]["pid"])

    def backends(self) -> dict[str, dict[str, Any]]:
        backends = admin.ask(self.proxy, "GET", "/status")["backends"]
        return {backend["name"]: backend for backend in backends}

    def set_state(self, name: str, state: str) -> None:
        admin.ask(self.proxy, "PUT", f"/backends/{name}/state", {"state": state})


def _tell_json(text: str) -> None:
    show(json.dumps({"message": text}))


def running(var: Path, *, as_json: bool) -> Running:
    """The stack in this state folder. Raises OSError, ValueError, KeyError."""
    return Running(var, admin.listener(var / "proxy.toml"), _tell_json if as_json else show)


#: What ends a restart or a reload before its end.
FAILURES = (RollingError, AdminError, ControlError, folder.StateError, OSError, KeyError, ValueError)


def roll(var: Path, *, drain_first: bool = False, as_json: bool = False) -> int:
    """Restart the instances of the stack that runs in this state folder. The exit status."""
    restarted: list[str] = []
    try:
        with folder.changing(var):
            stack = running(var, as_json=as_json)
            instances = stack.instances()
            stack.tell(f"Restarting {', '.join(instances)} of the stack in {var}/")
            for name, instance in instances.items():
                step = restart if drain_first or not instance["beside"] else replace
                step(stack, name, restarted.append)
    except FAILURES as exc:
        say(f"heliograph rolling stops: {exc}{_state_of(restarted)}")
        return 1
    stack.tell("All instances were restarted.")
    return 0


def _state_of(restarted: list[str]) -> str:
    """How it stands, and how to go back."""
    if not restarted:
        return ""
    return f"; {', '.join(restarted)} run the new code: bring the old code back, or mend it, and roll again"


def renew(stack: Running, name: str, begun: Callable[[str], None]) -> None:
    """Have an instance run with the settings that the manager has checked."""
    if not stack.instances()[name]["beside"]:
        restart(stack, name, begun, control.RENEW)
        return
    before = stack.pid(name)
    replace(stack, name, begun, control.RENEW)
    _wait_for_return(stack, name, before)  # where it was down, it was only started


def replace(stack: Running, name: str, begun: Callable[[str], None], command: str = control.REPLACE) -> None:
    """`begun` is called with the name once the instance has changed, or is about to, whatever comes of it."""
    before = stack.pid(name)
    stack.tell(f"{name}: a new process is starting beside process {before}")
    try:
        control.ask(stack.var, command, name)
    except ControlError as exc:
        if stack.pid(name) == before:
            raise RollingError(f"{exc}; process {before} serves on") from exc
        begun(name)
        raise
    begun(name)
    stack.tell(f"{name}: ready again, process {stack.pid(name)}")


def restart(
    stack: Running, name: str, begun: Callable[[str], None], command: str = control.STOP_FIRST
) -> None:
    """`begun` as in `replace`."""
    _require_another(stack, name)
    try:
        stack.set_state(name, "drain")
        stack.tell(f"{name}: draining")
        _wait_until_idle(stack, name)
        before = stack.pid(name)
        control.ask(stack.var, command, name)
        begun(name)
        stack.tell(f"{name}: process {before} is stopping")
        _wait_for_return(stack, name, before)
    finally:
        stack.set_state(name, "ready")
    stack.tell(f"{name}: ready again, process {stack.pid(name)}")


def _require_another(stack: Running, name: str) -> None:
    """Nothing is taken away where it is down itself."""
    backends = stack.backends()
    others = [backend for other, backend in backends.items() if other != name]
    if backends[name]["healthy"] and not any(one["healthy"] and one["state"] == "ready" for one in others):
        raise RollingError(f"without {name} no instance would be left that is ready and healthy")


def _wait_until_idle(stack: Running, name: str) -> None:
    """Tunnels do not count: the instance tells their clients to come back."""
    if not _within(DRAIN_PATIENCE, lambda: not stack.backends()[name]["active"]):
        left = stack.backends()[name]["active"]
        stack.tell(
            f"{name}: {left} requests still run after {DRAIN_PATIENCE:g} s; they get the instance's own grace"
        )


def _wait_for_return(stack: Running, name: str, before: int) -> None:
    seen = {before}

    def back() -> bool:
        seen.add(stack.pid(name))
        if len(seen) > 2:  # the one that followed has ended as well
            raise RollingError(
                f"{name} does not come back: it ends when it is started; its stack's output says why"
            )
        return (
            len(seen) == 2 and _answers(stack.instances()[name]) and bool(stack.backends()[name]["healthy"])
        )

    if not _within(RETURN_PATIENCE, back):
        raise RollingError(f"{name} is not back and healthy after {RETURN_PATIENCE:g} s")


def _answers(part: dict[str, Any]) -> bool:
    connection = http.client.HTTPConnection(part["host"], part["port"], timeout=admin.TIMEOUT)
    try:
        connection.request("GET", part["health"], headers={"Host": "localhost"})
        status = connection.getresponse().status
        # Any below 500 of another server, as everywhere.
        return (
            status == http.HTTPStatus.OK if part["beside"] else status < http.HTTPStatus.INTERNAL_SERVER_ERROR
        )
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _within(patience: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(INTERVAL)
    return True
