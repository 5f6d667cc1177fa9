"""The configurations of proxy and nginx for one stack, from the ones in conf/ and nginx/. Pure: text in, text out.

What is replaced has to be there: a file that was edited beyond recognition raises RenderError instead of running with
other ports than those that were set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class RenderError(Exception):
    """A configuration in conf/ or nginx/ lacks what a stack has to replace in it. Its text is one line."""


@dataclass(frozen=True)
class Front:
    """What nginx is told. `var` is the stack's folder, relative to the checkout."""

    listen: str
    proxy: str
    var: str
    as_root: bool
    descriptors: int
    #: Networks of the balancers in front of it whose forwarding headers it believes.
    trusted: tuple[str, ...] = ()


#: The peers of each layer that are layers of the same stack.
OWN_PEERS = ("127.0.0.1", "::1", "unix")


def proxy_toml(
    text: str, listen: str, admin: str, backends: Mapping[str, str], trusted: Sequence[str] = ()
) -> str:
    """conf/proxy.toml with other addresses; its first [[backend]] is the pattern for all of `backends`.

    `trusted`: networks of the balancers in front of the stack.
    """
    text = _replace(text, r"^listen\s*=.*$", f'listen = "{listen}"', "conf/proxy.toml")
    text = _replace(text, r"^admin\s*=.*$", f'admin = "{admin}"', "conf/proxy.toml")
    if trusted:
        peers = ", ".join(f'"{peer}"' for peer in dict.fromkeys([*OWN_PEERS, *trusted]))
        text = _replace(text, r"^trusted\s*=.*$", f"trusted = [{peers}]", "conf/proxy.toml")
    blocks = list(re.finditer(r"^\[\[backend\]\]\n(?:(?!\[).*\n?)*", text, re.MULTILINE))
    if not blocks:
        raise RenderError("conf/proxy.toml: no [[backend]] is there to be replaced")
    copies = []
    for name, address in backends.items():
        block = _replace(blocks[0][0], r"^name\s*=.*$", f'name = "{name}"', "conf/proxy.toml")
        copies.append(
            _replace(block, r"^address\s*=.*$", f'address = "{address}"', "conf/proxy.toml").rstrip()
        )
    for old in reversed(blocks):
        text = text[: old.start()] + text[old.end() :]
    start = blocks[0].start()
    text = text[:start] + "\n\n".join(copies) + "\n\n" + text[start:].lstrip("\n")
    _parse(text)
    return text


def _parse(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise RenderError(f"conf/proxy.toml: {exc}") from exc


def nginx_conf(text: str, front: Front) -> str:
    """nginx/nginx.conf for one stack. Errors go to the terminal, as those of the other parts do."""
    name = "nginx/nginx.conf"
    user = "user root;\n" if front.as_root else ""
    believed = " ".join(f"{network} 1;" for network in dict.fromkeys(front.trusted)) or r"\g<2>"
    # Each connection of a worker takes a descriptor, and files and logs some more.
    connections = max(256, min(32768, front.descriptors - 256))
    for pattern, replacement in (
        (r"^pid ", f"{user}pid "),
        (r"^error_log .*$", "error_log stderr warn;"),
        (r"^worker_rlimit_nofile .*$", f"worker_rlimit_nofile {front.descriptors};"),
        (r"^    worker_connections .*$", f"    worker_connections {connections};"),
        (r"^(        listen) 127\.0\.0\.1:8080 ", rf"\1 {front.listen} "),
        (r"^(        server) 127\.0\.0\.1:8000 ", rf"\1 {front.proxy} "),
        (r"(?<= )var/", f"{front.var}/"),
        (r"^(        )(# 10\.0\.0\.0/8 1;)$", rf"\g<1>{believed}"),
    ):
        text = _replace(text, pattern, replacement, name)
    return text


def _replace(text: str, pattern: str, replacement: str, name: str) -> str:
    replaced, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if not count:
        raise RenderError(f"{name}: nothing matches {pattern!r}, so it cannot be fitted to this stack")
    return replaced
