"""What nginx serves beside the application, as text for its configuration: HTTPS and static files. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Browsers keep to HTTPS for a year.
HSTS = "max-age=31536000"

#: The usual port, which URLs leave out.
HTTPS_PORT = 443


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain and its private key, as absolute paths of files in PEM."""

    file: str
    key: str


@dataclass(frozen=True)
class Tls:
    """HTTPS: where it listens, and by which files. `http2_directive`: this nginx has `http2 on;`."""

    listen: str
    certificate: Certificate
    http2_directive: bool

    @property
    def suffix(self) -> str:
        """The port as a URL has it."""
        port = self.listen.rpartition(":")[2]
        return "" if int(port) == HTTPS_PORT else f":{port}"


@dataclass(frozen=True)
class StaticFolder:
    """Files that nginx serves: what lies in `folder` is at `url`, which begins and ends with a slash."""

    url: str
    folder: str


#: `/url/=folder`; the URL as it stands in a request, without what would have to be escaped.
_STATIC = re.compile(r"((?:/[A-Za-z0-9._~@:-]+)+)/?\s*=(.+)", re.ASCII)


def read_static(text: str) -> tuple[StaticFolder, ...]:
    """Folders as a setting has them, by commas. Raises ValueError with the first part that cannot be meant."""
    found: dict[str, StaticFolder] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _STATIC.fullmatch(part)
        url = f"{match[1]}/" if match else ""
        if not match or url in found or {".", ".."} & set(url.split("/")):
            raise ValueError(part)
        found[url] = StaticFolder(url, match[2].strip())
    return tuple(found.values())


class Unwritable(ValueError):
    """A path that has no form in a configuration of nginx. Its text is one line."""


def quoted(path: str) -> str:
    """A path as nginx reads it. `$` has no escape there."""
    if "$" in path or not path.isprintable():
        raise Unwritable(f"{path!r}: nginx cannot be told of a path with $ or control characters in it")
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


#: What this module has written: an exported configuration is the pattern of a stack later.
_WRITTEN = (
    re.compile(
        r'\n[ \t]*location \^~ "[^\n]*" \{\n[ \t]*alias "[^\n]*;\n[ \t]*#[^\n]*\n'
        r"[ \t]*try_files \$uri @application;\n[ \t]*include snippets/static\.conf;\n[ \t]*\}"
    ),
    re.compile(
        r"\n    server \{\n        listen [^\n]*;\n(?:        http2 on;\n)?        server_name _;\n"
        r'        ssl_certificate "[^\n]*;\n        ssl_certificate_key "[^\n]*;\n'
        r"        include snippets/tls\.conf;\n        include snippets/site\.conf;\n    \}\n"
    ),
    re.compile(
        r'^[ \t]*"(?:~\^[^"\n]*" "GET, HEAD|~\(\?s\)[^\n]*" "https://[^"\n]*|on " "max-age=\d+)";\n',
        re.MULTILINE,
    ),
)


def without_written(text: str) -> str:
    """A configuration without folders and HTTPS, if it has those by this module."""
    for pattern in _WRITTEN:
        text = pattern.sub("", text)
    return text


#: The place of what every server serves.
_SITE = re.compile(r"^(\s*)include snippets/site\.conf;$", re.MULTILINE)


def with_static(text: str, folders: Sequence[StaticFolder]) -> str:
    """The folders in every server that has our site. Raises Unwritable where none has it."""
    text, places = _SITE.subn(
        lambda found: found[0] + "".join(_location(found[1], one) for one in folders), text
    )
    if folders and not places:
        raise Unwritable(
            "there is no line `include snippets/site.conf;`, below which static folders could be put"
        )
    return text


def _location(indent: str, static: StaticFolder) -> str:
    lines = (
        f"location ^~ {quoted(static.url)} {{",
        f"    alias {quoted(static.folder.rstrip('/') + '/')};",
        "    # What is not there is asked of the application.",
        "    try_files $uri @application;",
        "    include snippets/static.conf;",
        "}",
    )
    margin = indent.strip("\n")
    return "".join(f"\n{margin}{line}" for line in lines)


def tls_server(tls: Tls) -> str:
    """A server beside the plain one."""
    word, directive = (" ssl", "        http2 on;\n") if tls.http2_directive else (" ssl http2", "")
    return (
        "\n    server {\n"
        f"        listen {tls.listen}{word} default_server backlog=4096;\n{directive}"
        "        server_name _;\n"
        f"        ssl_certificate {quoted(tls.certificate.file)};\n"
        f"        ssl_certificate_key {quoted(tls.certificate.key)};\n"
        "        include snippets/tls.conf;\n"
        "        include snippets/site.conf;\n"
        "    }\n"
    )
