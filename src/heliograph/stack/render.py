"""The configurations of proxy and nginx for one stack, from the ones in conf/ and nginx/. Pure: text in, text out.

What is replaced has to be there: a file that was edited beyond recognition raises RenderError instead of running with
other ports than those that were set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    private: tuple[str, ...] = ()
    log: str = ""


#: The peers of each layer that are layers of the same stack.
OWN_PEERS = ("127.0.0.1", "::1", "unix")


def proxy_toml(
    text: str, listen: str, admin: str, backends: Mapping[str, str], trusted: Sequence[str] = ()
) -> str:
    """conf/proxy.toml with other addresses; its first [[backend]] is the pattern for all of `backends`."""
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


def proxy_listen(text: str) -> list[str]:
    """Where conf/proxy.toml wants the proxy to listen."""
    found = _parse(text).get("listen", [])
    return [found] if isinstance(found, str) else [str(one) for one in found]


def for_stack(text: str, private: Sequence[str], log: str) -> str:
    """A rendered proxy.toml with paths that it answers with 404, beside those of the file, and the format of a stack's log."""
    given = _parse(text).get("private", [])
    shown = ", ".join(f'"{path}"' for path in dict.fromkeys([*given, *private]))
    text = re.sub(r"^private\s*=.*\n", "", text, flags=re.MULTILINE)
    text = _replace(text, r"^(listen\s*=.*)$", rf"\1\nprivate = [{shown}]", "conf/proxy.toml")
    if log:
        name = "combined" if log == "text" else "json"
        text = re.sub(r"^format\s*=\s*\"(json|combined)\"", f'format = "{name}"', text, flags=re.MULTILINE)
    _parse(text)
    return text


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
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
        (r'^(?: +"~\*\^/[^"]+\(\?:/\|\$\)" yes;\n)+', _private_lines(front.private)),
        (r"^(    access_log \S+) json ", rf"\1 {front.log or 'json'} "),
        (r"^(        server) 127\.0\.0\.1:8000 ", rf"\1 {front.proxy} "),
        (r"(?<= )var/", f"{front.var}/"),
        (r"^(        )(# 10\.0\.0\.0/8 1;)$", rf"\g<1>{believed}"),
    ):
        text = _replace(text, pattern, replacement, name)
    # The block for TLS, where it is in use: beside the plain one. Somebody may have removed it.
    host = front.listen.rpartition(":")[0]
    return re.sub(r"^( +listen) 127\.0\.0\.1:8443 ", rf"\1 {host}:8443 ", text, flags=re.MULTILINE)


def _private_lines(paths: Sequence[str]) -> str:
    """Entries of nginx's map of private paths, as the replacement of a pattern."""
    lines = [f'        "~*^{re.escape(path)}(?:/|$)" yes;\n' for path in paths]
    return "".join(lines).replace("\\", r"\\")


@dataclass(frozen=True)
class Listen:
    """A `listen` of nginx. No host: every address."""

    host: str
    port: int
    tls: bool


def listens(text: str) -> list[Listen]:
    """Where nginx listens with this configuration, Unix sockets left out."""
    found = []
    for value in re.findall(r"^\s*listen\s+([^;#]+);", text, re.MULTILINE):
        address, *words = value.split()
        if address.startswith("unix:"):
            continue
        host, colon, port = address.rpartition(":")
        if address.isdigit():
            host, port = "", address
        elif not colon or address.endswith("]"):
            host, port = address, "80"
        host = "" if host == "*" else host.strip("[]")
        found.append(Listen(host, int(port) if port.isdigit() else 0, "ssl" in words))
    return found


def _replace(text: str, pattern: str, replacement: str, name: str) -> str:
    replaced, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if not count:
        raise RenderError(f"{name}: nothing matches {pattern!r}, so it cannot be fitted to this stack")
    return replaced
