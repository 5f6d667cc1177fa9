"""The configurations of proxy and nginx for one stack, from those of the project or the templates. Pure: text in, text out.

Only what a stack needs is changed; what else was edited there stays. A file in which there is no place for that raises RenderError
instead of running with other ports than those that were set.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heliograph.stack import front as serving
from heliograph.stack import toml
from heliograph.stack.front import StaticFolder, Tls


class RenderError(Exception):
    """A configuration in conf/ or nginx/ lacks what a stack has to replace in it. Its text is one line."""


@dataclass(frozen=True)
class Front:
    """What nginx is told. `var` is the state folder, relative to the project."""

    listen: str
    proxy: str
    var: str
    as_root: bool
    descriptors: int
    #: Networks of the balancers in front of it whose forwarding headers it believes.
    trusted: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    log: str = ""
    tls: Tls | None = None
    static: tuple[StaticFolder, ...] = ()


#: The peers of each layer that are layers of the same stack.
OWN_PEERS = ("127.0.0.1", "::1", "unix")


#: A `listen` of nginx at the beginning of a directive.
_LISTEN = r"((?:^|[;{}])[ \t]*listen\s+)"

#: The addresses of what needs none, or no look-up.
_NAMES = {"": "0.0.0.0", "localhost": "127.0.0.1"}

#: Where a stack's sessions stick unless its proxy.toml says so itself: a client of Socket.IO that polls sends several requests,
#: and only the instance that has its session can answer them.
STICKY = {"cookie": "heliograph_socketio", "path": "/socket.io/"}

#: Of one range: each port is a socket, and is looked at before the start. All 65,535 are a slip.
MAX_PORTS = 1024


def proxy_toml(
    text: str,
    listen: str | Sequence[str],
    admin: str,
    backends: Mapping[str, str],
    trusted: Sequence[str] = (),
) -> str:
    """conf/proxy.toml with other addresses. A backend that it does not name is made as its first one."""
    document = _parse(text)
    document |= {"listen": _one_or_more(listen), "admin": admin}
    if trusted:
        document["trusted"] = list(dict.fromkeys([*OWN_PEERS, *trusted]))
    given: Any = document.get("backend")
    if not isinstance(given, list) or not given:
        raise RenderError("conf/proxy.toml: no [[backend]] is there to be replaced")
    named: dict[str, dict[str, Any]] = {one["name"]: one for one in given if "name" in one}
    document["backend"] = [
        {**(named[name] if name in named else given[0]), "name": name, "address": address}
        for name, address in backends.items()
    ]
    return toml.dumps(document)


def _one_or_more(listen: str | Sequence[str]) -> str | list[str]:
    if isinstance(listen, str):
        return listen
    return listen[0] if len(listen) == 1 else [*listen]


def proxy_listen(text: str) -> list[str]:
    """Where conf/proxy.toml wants the proxy to listen."""
    found = _parse(text).get("listen", [])
    return [found] if isinstance(found, str) else [str(one) for one in found]


def for_stack(text: str, private: Sequence[str], log: str, health: str = "") -> str:
    """A rendered proxy.toml with paths that it answers with 404, beside those of the file, the format of its log, and sessions
    that stick for Socket.IO.

    `health`: the path that tells whether instances of another server are well: any answer below 500 does.
    """
    document = _parse(text)
    if health:
        document["health"] = {**document.get("health", {}), "path": health, "below": 500}
    sticky = document.setdefault("sticky", {})
    if not sticky.get("cookie"):
        sticky |= STICKY
    document["private"] = list(dict.fromkeys([*document.get("private", []), *private]))
    if log:
        document.setdefault("log", {})["format"] = "combined" if log == "text" else "json"
    return toml.dumps(document)


def _parse(text: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise RenderError(f"conf/proxy.toml: {exc}") from exc
    for name, (is_right, wanted) in _TYPES.items():
        if name in document and not is_right(document[name]):
            raise RenderError(f"conf/proxy.toml: {name} must be {wanted}")
    return document


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_backends(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_table(one) and isinstance(one.get("name", ""), str) for one in value
    )


#: What is read here, by name. The proxy looks at the rest.
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "backend": (_is_backends, "tables [[backend]], whose names are texts"),
    "health": (_is_table, "a table [health]"),
    "listen": (lambda value: isinstance(value, str) or _is_texts(value), "a text or a list of texts"),
    "log": (_is_table, "a table [log]"),
    "private": (_is_texts, "a list of texts"),
    "sticky": (_is_table, "a table [sticky]"),
}


def nginx_conf(text: str, front: Front) -> str:
    """nginx/nginx.conf for one stack. Errors go to the terminal, as those of the other parts do."""
    text = serving.without_written(text)
    text = re.sub(r"^(error_log\s+)var/nginx-error\.log\b", r"\g<1>stderr", text, flags=re.MULTILINE)
    for name, default in (("error_log", "stderr warn"), ("pid", "var/nginx.pid")):
        if not re.search(rf"^{name}\s", text, re.MULTILINE):
            text = f"{name} {default};\n{text}"
    if front.as_root:
        text = re.sub(r"^user\s.*\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(?=pid\s)", "user root;\n", text, flags=re.MULTILINE)
    # Each connection of a worker takes a descriptor, and files and logs some more.
    text = _at_most(text, "worker_rlimit_nofile", front.descriptors)
    text = _at_most(text, "worker_connections", max(256, front.descriptors - 256))
    if front.log:
        text = re.sub(r"^(\s*access_log\s+\S+\s+)json\b", rf"\g<1>{front.log}", text, flags=re.MULTILINE)
    text = _listen(text, front.listen)
    text = _replace(text, r"^(\s*server\s+)127\.0\.0\.1:8000(?=[\s;])", rf"\g<1>{front.proxy}")
    text = _private(text, front.private)
    text = re.sub(r"(?<=[ \t])var/([^\s;]*)", lambda found: quoted(f"{front.var}/{found[1]}"), text)
    if front.trusted:
        believed = " ".join(f"{network} 1;" for network in dict.fromkeys(front.trusted))
        text = re.sub(r"^\s*# 10\.0\.0\.0/8 1;\n", "", text, flags=re.MULTILINE)
        text = _replace(text, r"^(\s*geo\s+\$trusted_peer\s*\{)", rf"\g<1>\n        {believed}")
    # The block for TLS, where it is in use: beside the plain one. Somebody may have removed it.
    host = front.listen.rpartition(":")[0]
    text = re.sub(
        r"^(\s*listen\s+)127\.0\.0\.1:8443(?=[\s;])", rf"\g<1>{host}:8443", text, flags=re.MULTILINE
    )
    try:
        return _static(_tls(text, front.tls), front.static)
    except serving.Unwritable as exc:
        raise RenderError(str(exc)) from exc


def _static(text: str, folders: Sequence[StaticFolder]) -> str:
    if folders:
        entries = "\n        ".join(f'"~^{re.escape(one.url)}" "GET, HEAD";' for one in folders)
        text = _into_map(text, "methods_here", entries.replace("\\", r"\\"))
    return serving.with_static(text, folders)


def _tls(text: str, tls: Tls | None) -> str:
    """With a server for HTTPS, to which the plain one redirects."""
    if tls is None:
        return text
    origin = f"https://$host_named{tls.suffix}"
    text = _into_map(text, "https_origin", rf'"~(?s)^(?!/-/problem ).* (?:http|ws)$" "{origin}";')
    text = _into_map(text, "hsts", f'"on " "{serving.HSTS}";')
    return _replace(text, r"^\}\s*\Z", (serving.tls_server(tls) + "}\n").replace("\\", r"\\"))


def _into_map(text: str, variable: str, entries: str) -> str:
    return _replace(text, rf"^(\s*map\s.*\s\${variable}\s*\{{)", rf"\g<1>\n        {entries}")


def quoted(path: str) -> str:
    """A path as nginx reads it. Raises RenderError for one that it cannot be told of."""
    try:
        return path if re.fullmatch(r"[\w./~+-]+", path) else serving.quoted(path)
    except serving.Unwritable as exc:
        raise RenderError(str(exc)) from exc


def _at_most(text: str, name: str, limit: int) -> str:
    """A number that is set there, or the most that this machine allows."""
    return re.sub(
        rf"^(\s*{name}\s+)(\d+)(?=\s*;)",
        lambda found: f"{found[1]}{min(int(found[2]), limit)}",
        text,
        flags=re.MULTILINE,
    )


def _listen(text: str, address: str) -> str:
    """Listening where the stack's front is: in the place of the file's own address, else beside what was set instead."""
    bare = _without_comments(text)
    places = [*re.finditer(_LISTEN + r"127\.0\.0\.1:8080(?=[\s;])", bare, re.MULTILINE)]
    for found in reversed(places):
        text = text[: found.end(1)] + address + text[found.end() :]
    if places or address in {at(_NAMES.get(one.host, one.host), one.port) for one in listens(text)}:
        return text
    first = re.search(_LISTEN + r"(?=\S)", bare, re.MULTILINE)
    if first is None:
        raise RenderError("nginx/nginx.conf: there is no listen, beside which that of the stack could be put")
    return f"{text[: first.end()]}{address};\n        listen {text[first.end() :]}"


def _without_comments(text: str) -> str:
    """Of the same length: spaces in their place."""
    return re.sub(r"#.*", lambda found: " " * len(found[0]), text)


def _private(text: str, paths: Sequence[str]) -> str:
    """These instead of the two that the file has by itself."""
    lines = "".join(f'        "~*^{re.escape(path)}(?:/|$)" yes;\n' for path in paths)
    put = iter([lines])
    own = r'^[ \t]*"~\*\^/(?:metrics|readyz)\(\?:/\|\$\)" yes;\n'
    text, found = re.subn(own, lambda _: next(put, ""), text, flags=re.MULTILINE)
    if found or not paths:
        return text
    lines = lines.rstrip("\n").replace("\\", r"\\")
    return _replace(text, r"^(\s*map\s+\$uri\s+\$private\s*\{)", rf"\g<1>\n{lines}")


@dataclass(frozen=True)
class Listen:
    """A `listen` of nginx. No host: every address."""

    host: str
    port: int
    tls: bool
    #: Whether this port is asked: of a range the first one is.
    asked: bool = field(default=True, compare=False)


def listens(text: str) -> list[Listen]:
    """Where nginx listens for TCP with this configuration, Unix sockets left out."""
    found = []
    for _, value in re.findall(_LISTEN + r"([^;{}]+);", _without_comments(text), re.MULTILINE):
        address, *words = value.split()
        address = address.strip("\"'")
        if address.startswith("unix:") or {"udp", "quic"} & set(words):
            continue
        host, colon, port = address.rpartition(":")
        if re.fullmatch(r"[\d-]+", address):
            host, port = "", address
        elif not colon or address.endswith("]"):
            host, port = address, "80"
        host = "" if host == "*" else host.strip("[]")
        first, _, last = port.partition("-")
        if first.isdigit() and (last or first).isdigit():
            ports = range(int(first), int(last or first) + 1)
            if len(ports) > MAX_PORTS:
                raise RenderError(
                    f"nginx/nginx.conf: listen {address}: at most {MAX_PORTS} ports are allowed in a range"
                )
            found += [Listen(host, one, "ssl" in words, one == ports[0]) for one in ports]
    return list(dict.fromkeys(found))


def at(host: str, port: int) -> str:
    """host:port as URLs and configurations write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _replace(text: str, pattern: str, replacement: str) -> str:
    replaced, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if not found:
        raise RenderError(
            f"nginx/nginx.conf: nothing matches {pattern!r}, so it cannot be fitted to this stack"
        )
    return replaced
