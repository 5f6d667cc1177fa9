"""What is wrong or odd with a configuration file, as far as it can be told without running it: `heliograph-proxy check`.

An error cannot work: a key that nothing reads, a value that is not allowed, or values that exclude each other. A warning can,
but is hardly meant.
"""

from __future__ import annotations

import copy
import errno
import os
import re
import resource
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from heliograph_proxy import values
from heliograph_proxy.balancing.strategies import create
from heliograph_proxy.errors import SettingsError
from heliograph_proxy.settings import ProxySettings, parse, read, state_folder
from heliograph_proxy.trust import read_address
from heliograph_proxy.values import Address

#: How long the names of all backends together may take to be looked up.
LOOKUP_SECONDS = 2.0

#: Where no [[backend]] is left that could be looked at, the others can.
_STAND_IN = {"name": "none", "address": "unix:/nowhere"}

_PLACE = re.compile(r"(\w+)(?:\[(\d+)\])?(?:\.(.+))?")


def check(file: str) -> tuple[list[SettingsError], list[SettingsError]]:
    """All errors and all warnings, in the order of the file where there is one."""
    try:
        document = read(file)
    except SettingsError as exc:
        return [exc], []
    settings, errors = _parse(document, file)
    if settings is None:
        return errors, []
    settings = replace(settings, state=state_folder(file))
    errors += [SettingsError(file, key, text) for key, text in _errors(settings)]
    try:
        create(settings.strategy, Random())
    except SettingsError as exc:
        errors.append(SettingsError(file, "strategy", str(exc)))
    return errors, [SettingsError(file, key, text) for key, text in _warnings(settings)]


def _parse(document: dict[str, Any], file: str) -> tuple[ProxySettings | None, list[SettingsError]]:
    """The settings, without what is wrong with them: so that the rest can be looked at, too."""
    errors: list[SettingsError] = []
    rest = copy.deepcopy(document)
    while True:
        try:
            return parse(rest, file), errors
        except SettingsError as exc:
            found = [exc, *exc.others]
        errors += [error for error in found if str(error) not in map(str, errors)]
        before = copy.deepcopy(rest)
        for error in reversed(found):
            _remove(rest, error.key)
        if not rest.get("backend"):
            rest["backend"] = [_STAND_IN]
        if rest == before:
            return None, errors


def _remove(document: dict[str, Any], place: str) -> None:
    """Take a key out: a backend as a whole, and the address for which a token is needed."""
    match = _PLACE.fullmatch(place)
    name, number, key = match.groups() if match else (place, None, None)
    if place == "admin_token":
        document.pop("admin", None)
    if place in document:
        del document[place]
    elif number is not None:
        backends = document.get(name, [])
        if len(backends) >= int(number):
            del backends[int(number) - 1]
    elif key is not None and isinstance(document.get(name), dict):
        document[name].pop(key, None)


def _errors(settings: ProxySettings) -> Iterator[tuple[str, str]]:
    listeners = {_same(address): name for name, address in _listeners(settings)}
    seen: dict[tuple[str, int, str], str] = {}
    for number, one in enumerate(settings.backends, 1):
        key, place = f"backend[{number}].address", _same(one.address)
        if place in listeners:
            yield key, f"must not be {listeners[place]}, where this proxy itself listens"
        elif place in seen:
            yield key, f"must be another address than that of {seen[place]}, not {one.address} too"
        seen.setdefault(place, one.name)
    for name, address in _listeners(settings):
        folder = Path(address.path).parent
        if address.path and not folder.is_dir():
            yield name, f"must be a path in a folder that can be written to; {_unwritable(folder)}"
    access = settings.log.access
    if access not in ("", "-") and (reason := _no_log(Path(access))):
        yield "log.access", f'must be "-", "" or a file that can be written to; {reason}'
    if settings.sticky.cookie and not settings.sticky.secret:
        folder = settings.state
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if reason := _unwritable(folder):
            yield "sticky.secret", f"is needed, since none can be kept in {settings.state}: {reason}"


def _warnings(settings: ProxySettings) -> Iterator[tuple[str, str]]:
    missing = _unknown_hosts({one.address.host for one in settings.backends if not one.address.path})
    for number, one in enumerate(settings.backends, 1):
        if one.address.host in missing:
            yield f"backend[{number}].address", f"the host {one.address.host} is not found now"
        if one.weight == 0:
            yield f"backend[{number}].weight", f"0 gives {one.name} nothing new"
    if all(one.backup for one in settings.backends):
        yield "backend", "all are backups"
    if settings.admin_token and len(settings.admin_token) < values.MIN_TOKEN:
        yield "admin_token", f"has fewer than {values.MIN_TOKEN} characters"
    for name, address in _listeners(settings):
        if not address.path and _not_ours(address.host):
            yield name, f"this machine has no address {address.host} now"
        folder = Path(address.path).parent
        if address.path and folder.is_dir() and (reason := _unwritable(folder)):
            yield name, f"only a socket that is handed over works there, as systemd does it: {reason}"
    health = settings.health
    if health.timeout > health.interval:
        yield "health.timeout", f"above health.interval, {health.interval:g}: checks come later than that"
    limits = settings.limits
    if limits.header_field_bytes > limits.header_bytes:
        yield "limits.header_field_bytes", f"above limits.header_bytes, {limits.header_bytes}"
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limits.connections > descriptors:
        yield "limits.connections", f"above the {descriptors} descriptors that a process may have here"


def _listeners(settings: ProxySettings) -> tuple[tuple[str, Address], ...]:
    return *(("listen", one) for one in settings.listen), ("admin", settings.admin)


def _same(address: Address) -> tuple[str, int, str]:
    """Equal for addresses that are one, as far as that can be told without a look-up."""
    host = address.host.lower().removesuffix(".")
    found = read_address("127.0.0.1" if host == "localhost" else host)
    return found or host, address.port, address.path


def _unwritable(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} is not writable for this user"


def _no_log(file: Path) -> str:
    if not file.exists():
        return _unwritable(file.parent)
    if file.is_dir():
        return f"{file} is a folder"
    return "" if os.access(file, os.W_OK) else f"{file} is not writable for this user"


def _unknown_hosts(hosts: set[str]) -> set[str]:
    """Those that are not found, or not in time."""
    missing = set(hosts)

    def look_up(host: str) -> None:
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return
        missing.discard(host)

    lookers = [threading.Thread(target=look_up, args=(host,), daemon=True) for host in hosts]
    for one in lookers:
        one.start()
    for one in lookers:
        one.join(LOOKUP_SECONDS)
    return missing


def _not_ours(host: str) -> bool:
    """Whether this machine lacks an address, which may come later."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError as exc:
            return exc.errno == errno.EADDRNOTAVAIL or isinstance(exc, socket.gaierror)
    return False
