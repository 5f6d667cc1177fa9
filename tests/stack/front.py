"""A real nginx under our configuration, before an upstream that shows what it is sent."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from proxy_tests.processes import ROOT

from heliograph.stack import render
from heliograph.stack.front import StaticFolder, Tls
from tests.stack.upstream import PATIENCE, Upstream

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

STYLE_SHEET = "/* a style sheet */\n" + "p { margin: 0 }\n" * 200


class Nginx:
    """A running nginx of our configuration, its upstream and its folder."""

    def __init__(self, port: int, upstream: Upstream, folder: Path) -> None:
        self.port, self.upstream, self.folder = port, upstream, folder
        self.url = f"http://127.0.0.1:{port}"

    def raw(self, request: bytes, source: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
        """Send bytes as they are; status, fields and body of the answer that closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0)) as client:
            client.sendall(request)
            data = b""
            while piece := client.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]), fields, body

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE, (source, 0))


def configured(
    folder: Path,
    port: int,
    upstream: int,
    trusted: tuple[str, ...] = (),
    *,
    binary: str | None = NGINX,
    tls: Tls | None = None,
    folders: tuple[StaticFolder, ...] = (),
    as_root: bool = False,
) -> list[str]:
    """A checkout's worth of files for nginx in `folder`; the command that runs it there. `as_root`: its workers stay root where we
    are, as in a stack, so that it does not matter who may enter pytest's folder."""
    shutil.copytree(ROOT / "nginx", folder / "nginx")
    (folder / "var").mkdir()
    static = folder / "app/static/vendor"
    static.mkdir(parents=True)
    (static / "library.js").write_text("export const x = 1;\n")
    folders = (StaticFolder("/static/", str(static.parent)), *folders)
    (static.parent / "style.css").write_text(STYLE_SHEET)
    private = ("/metrics", "/readyz", "/inner/part")
    listen, behind = f"127.0.0.1:{port}", f"127.0.0.1:{upstream}"
    front = render.Front(
        listen, behind, "var", as_root and os.geteuid() == 0, 4096, trusted, private, tls=tls, static=folders
    )
    text = render.nginx_conf((ROOT / "nginx/nginx.conf").read_text(), front)
    (folder / "nginx/nginx.conf").write_text(text)
    return [str(binary), "-p", f"{folder}/", "-c", "nginx/nginx.conf", "-g", "daemon off;"]
