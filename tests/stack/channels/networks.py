"""Machines as network namespaces: each has its own loopback and a wire to one server, which can be cut and joined again.

    machine one ── wire ── server ── wire ── machine two

A thread may go `inside` a machine: sockets that it makes, and threads that it starts, are there.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import pytest

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Machine:
    """`address` of the server as this machine sees it."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.wire = f"w{number}"
        self.address = f"10.213.{number}.1"

    def command(self, *words: str) -> tuple[str, ...]:
        """A command that runs in it."""
        return ("ip", "netns", "exec", self.name, *words)

    def inside(self, work: Callable[[], T]) -> T:
        """Call `work` in a thread of this machine, and wait for it."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                enter(self.name)
                done.set_result(work())
            except BaseException as exc:
                done.set_exception(exc)

        Thread(target=run, daemon=True).start()
        return done.result()


def enter(name: str) -> None:
    """Move the current thread into a namespace."""
    descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


class Network:
    """A server and so many machines. Use as a context manager; skips the test where there are no namespaces."""

    def __init__(self, count: int) -> None:
        own = f"hg{os.getpid()}-{secrets.token_hex(2)}"  # of this run only
        self.server = f"{own}-s"
        self.machines = [Machine(f"{own}-{number}", number) for number in range(1, count + 1)]

    def __enter__(self) -> Network:
        if os.geteuid() != 0 or not shutil.which("ip"):
            pytest.skip("network namespaces need root and iproute2")
        try:
            ip("netns", "add", self.server)
        except subprocess.CalledProcessError:
            pytest.skip("network namespaces are not allowed here")
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        ip("-n", self.server, "link", "set", "lo", "up")
        for machine in self.machines:
            ip("netns", "add", machine.name)
            ip("-n", machine.name, "link", "set", "lo", "up")
            far = ("peer", "name", machine.wire, "netns", self.server)
            ip("-n", machine.name, "link", "add", machine.wire, "type", "veth", *far)
            network = machine.address.removesuffix(".1")
            ip("-n", machine.name, "address", "add", f"{network}.2/24", "dev", machine.wire)
            ip("-n", machine.name, "link", "set", machine.wire, "up")
            ip("-n", self.server, "address", "add", f"{machine.address}/24", "dev", machine.wire)
            self.join(machine)

    def __exit__(self, *_: object) -> None:
        """The wires go with their machines."""
        for name in (*(machine.name for machine in self.machines), self.server):
            if os.path.exists(f"/run/netns/{name}"):
                ip("netns", "delete", name)

    def cut(self, machine: Machine) -> None:
        """At the far end: what the machine sends goes nowhere, and nothing tells it so."""
        ip("-n", self.server, "link", "set", machine.wire, "down")

    def join(self, machine: Machine) -> None:
        ip("-n", self.server, "link", "set", machine.wire, "up")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
