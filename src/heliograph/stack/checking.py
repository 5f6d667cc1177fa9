"""Has proxy and nginx look at their new configurations, by processes of their own, before those that run are told of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from heliograph.stack import sources
from heliograph.stack.beside import CannotReplace
from heliograph.stack.children import signal_group, spawn
from heliograph.stack.plan import PRIVATE_UMASK
from heliograph.stack.reading import NGINX_CONF, PROXY_TOML, Configured

#: What a program that only reads a configuration may take, on a busy machine.
PATIENCE = 60.0

#: Where the new configurations lie while they are looked at: beside the present ones, as nginx reads others from there.
DRAFT = ".new"

#: After its time and process.
_NGINX_ERROR = re.compile(r"\[emerg\] (?:\d+#\d+: )?(.+)")


class CannotReload(CannotReplace):
    """What runs stays as it is. Its text is one line."""


async def check(configured: Configured, var: Path, names: Sequence[str]) -> None:
    """Look at the drafts of these configurations in the state folder. Raises CannotReload."""
    if PROXY_TOML in names:
        await _check_proxy(configured, var)
    if NGINX_CONF in names:
        await _check_nginx(configured, var)


async def _check_proxy(configured: Configured, var: Path) -> None:
    draft = var / f"{PROXY_TOML}{DRAFT}"
    command = (sys.executable, "-P", "-m", "heliograph_proxy", "check", "-c", str(draft), "--json")
    status, told = await _run(command, configured)
    if not status:
        return
    shown = _shown(configured.found.proxy, configured.project.root)
    try:
        error = json.loads(told)["errors"][0]
    except (ValueError, LookupError, TypeError):
        raise CannotReload(f"{shown}: {_last_line(told, status)}") from None
    raise CannotReload(": ".join(filter(None, (shown, error["key"], error["text"]))))


async def _check_nginx(configured: Configured, var: Path) -> None:
    root, nginx = configured.project.root, configured.layout.nginx
    assert nginx is not None
    draft = var / f"{NGINX_CONF}{DRAFT}"
    status, told = await _run((nginx, "-t", "-p", f"{root}/", "-c", str(draft)), configured)
    if status:
        found = _NGINX_ERROR.search(told)
        line = found[1] if found else _last_line(told, status)
        line = line.replace(str(var / "site.d"), sources.ADDITIONS)
        raise CannotReload(line.replace(str(draft), _shown(configured.found.nginx, root)))


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _last_line(told: str, status: int) -> str:
    lines = told.split("\n") if told.strip() else [f"its check ends with status {status}"]
    return [line.strip() for line in lines if line.strip()][-1]


async def _run(command: Sequence[str], configured: Configured) -> tuple[int, str]:
    """The status of a command of this project, and what it wrote. Raises CannotReload."""
    environment: Mapping[str, str] = configured.inherited
    output = os.memfd_create("output")
    try:
        process = spawn(
            command,
            cwd=configured.project.root,
            environment=environment,
            output=output,
            umask=PRIVATE_UMASK,
        )
        try:
            await _until_ended(process.pid)
        finally:
            signal_group(process.pid, signal.SIGKILL)
            status = process.wait()
        return status, os.pread(output, os.fstat(output).st_size, 0).decode(errors="replace")
    except TimeoutError:
        raise CannotReload(f"{command[0]} has not looked at it after {PATIENCE:g} s") from None
    except OSError as exc:
        raise CannotReload(f"{command[0]} cannot be executed: {exc.strerror}") from exc
    finally:
        os.close(output)


async def _until_ended(pid: int) -> None:
    """Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    process = os.pidfd_open(pid)
    loop.add_reader(process, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), PATIENCE)
    finally:
        loop.remove_reader(process)
        os.close(process)
