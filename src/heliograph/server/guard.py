"""Listening beyond loopback needs a secret or HELIOGRAPH_OPEN=1: a check of the sockets that are really bound.

Who listens is not read from the names of settings: a bind may come from a command line, a variable, a file or another process.
It concerns applications that serve channels and have no rule of their own for who may come. What a stack listens on its manager
tells to the instances, as it does not know what they serve. Where our worker loads the application,
or the application asks for it when it is complete, servers that bind before are refused at the start; all others at the first
request.
"""

from __future__ import annotations

import _socket  # not `socket`: gevent's would make the listener of another server non-blocking
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from heliograph_proxy.loopback import is_loopback

from heliograph.defaults import EXPOSED_VARIABLE
from heliograph.given import SettingError
from heliograph.problems import Problem, Unavailable
from heliograph.request.options import AccessOptions
from heliograph.settings import environment

log = logging.getLogger("heliograph")

#: An address as Gunicorn has it: host and port, the path of a Unix socket, or an inherited descriptor.
Address = tuple[str, int] | str | int


def hosts(address: Address) -> list[str]:
    """The hosts an address stands for; none for a Unix socket. A name is looked up, as binding will."""
    if isinstance(address, str):
        return []
    if isinstance(address, int):
        return [_host_of(address)] if _is_internet(address) else []
    host = address[0]
    if not host or is_loopback(host):
        return [host]
    try:
        return [str(found[4][0]) for found in _socket.getaddrinfo(host, address[1], type=_socket.SOCK_STREAM)]
    except (
        OSError,
        UnicodeError,
    ):  # UnicodeError: no name at all, such as one with an empty or too long label
        return [host]  # binding will fail as well


def refuse_open(access: AccessOptions, addresses: Iterable[Address], name: str) -> None:
    """Raise SettingError for the first address beyond loopback, set by `name`, when nothing protects the service."""
    for address in addresses:
        for host in hosts(address):
            access.refuse_open(host, name, host)


def refuse_open_front(access: AccessOptions) -> None:
    """The same for the layers in front of this instance, which listen later than it does: their manager tells of them."""
    name, equals, shown = environment().get(EXPOSED_VARIABLE, "").partition("=")
    if equals:
        access.refuse_open("", name, shown)


def refuse_open_sockets(access: AccessOptions) -> None:
    """The same for the sockets on which this process listens already, and for the one that `flask run` is about to bind."""
    refuse_open(access, _listening(), "a listening socket")
    click = sys.modules.get("click")
    context = click.get_current_context(silent=True) if click else None
    while context is not None:
        if context.info_name == "run" and isinstance(context.params.get("host"), str):
            refuse_open(access, [_flask_address(context.params["host"])], "--host")
        context = context.parent


class ServingGuard:
    """Looks at the sockets of the process when requests come, until there are any."""

    def __init__(self, access: AccessOptions, protected: Callable[[], bool] = lambda: False) -> None:
        """`protected`: whether the application has its own rule for who may come, once it is complete."""
        self._access = access
        self._protected = protected
        self._done = bool(access.auth_secret or access.open)
        self._refused = ""

    def require(self) -> None:
        """Raise SettingError, when the application is complete, where it listens already and may not."""
        if not self._done and not self._protected():
            refuse_open_front(self._access)
            refuse_open_sockets(self._access)

    def refusal(self) -> Problem | None:
        """What answers a request instead of the application."""
        if not self._done and self._protected():
            self._done = True
        elif not self._done:
            listening = list(_listening())
            try:
                refuse_open_front(self._access)
                refuse_open(self._access, listening, "a listening socket")
            except SettingError as exc:
                log.error("%s", exc)
                self._refused = str(exc)
            self._done = bool(listening)
        return Unavailable(self._refused) if self._refused else None


def _flask_address(host: str) -> Address:
    """`flask run --host` takes the path of a Unix socket as well."""
    return host.removeprefix("unix://") if host.startswith("unix://") else (host, 0)


def _listening() -> Iterator[int]:
    """The descriptors of this process on which it listens for connections of the Internet's families."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode) and _listens(descriptor):
                yield descriptor
        except OSError:  # the one of the folder itself, which is closed by now
            continue


def _borrowed(descriptor: int) -> _socket.socket:
    return _socket.socket(fileno=os.dup(descriptor))


def _is_internet(descriptor: int) -> bool:
    borrowed = _borrowed(descriptor)
    try:
        return borrowed.family in (_socket.AF_INET, _socket.AF_INET6)
    finally:
        borrowed.close()


def _listens(descriptor: int) -> bool:
    borrowed = _borrowed(descriptor)
    try:
        return bool(borrowed.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN))
    finally:
        borrowed.close()


def _host_of(descriptor: int) -> str:
    borrowed = _borrowed(descriptor)
    try:
        return str(borrowed.getsockname()[0])
    finally:
        borrowed.close()
