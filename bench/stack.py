"""GET and POST /echo: our proxy beside nginx, each in front of the same two Gunicorn instances.

Both write an access log with every request, tell the instances the same of the client, and keep connections alive on both
sides; nginx has one worker, as our proxy is one process. The load, wrk, runs on the same machine.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.harness import ROOT, compare, folder, free_ports, needs, running, wrk
from heliograph.settings import environment
from heliograph.stack.render import proxy_toml

NGINX = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
daemon off;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/nginx-access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream instances {{
        server 127.0.0.1:{first};
        server 127.0.0.1:{second};
        keepalive 64;
        keepalive_timeout 1s;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{listen};
        location / {{
            proxy_pass http://instances;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header Via "1.1 nginx";
        }}
    }}
}}
"""

POST_1_KIB = """\
wrk.method = "POST"
wrk.body = string.rep("x", 1024)
wrk.headers["Content-Type"] = "application/octet-stream"
"""


@contextlib.contextmanager
def instances(work: Path, ports: list[int]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for number, port in enumerate(ports, 1):
            command = [sys.executable, "-m", "gunicorn", "-c", "conf/gunicorn.conf.py"]
            stack.enter_context(
                running(
                    [*command, "--bind", f"127.0.0.1:{port}", "wsgi:app"],
                    f"http://127.0.0.1:{port}/healthz",
                    work / f"web{number}.log",
                    {**environment(), "HELIOGRAPH_INSTANCE": f"web{number}"},
                )
            )
        yield


@contextlib.contextmanager
def in_front(work: Path, ports: list[int]) -> Iterator[tuple[str, str]]:
    """The URLs of our proxy and of nginx."""
    ours, admin, theirs = free_ports(3)
    backends = {f"web{number}": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)}
    pattern = (ROOT / "conf/proxy.toml").read_text()
    (work / "proxy.toml").write_text(proxy_toml(pattern, f"127.0.0.1:{ours}", f"127.0.0.1:{admin}", backends))
    (work / "nginx.conf").write_text(
        NGINX.format(folder=work, listen=theirs, first=ports[0], second=ports[1])
    )
    proxy = [sys.executable, "-m", "heliograph_proxy", "run", "-c", str(work / "proxy.toml")]
    nginx = [needs("nginx", "nginx"), "-c", str(work / "nginx.conf")]
    urls = (f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{theirs}")
    with (
        running(proxy, f"{urls[0]}/healthz", work / "proxy.log", environment()),
        running(nginx, f"{urls[1]}/healthz", work / "nginx.log", environment()),
    ):
        yield urls


def main() -> None:
    needs("wrk", "wrk")
    with folder() as work:
        post = work / "post.lua"
        post.write_text(POST_1_KIB)
        ports = free_ports(2)
        with instances(work, ports), in_front(work, ports) as (ours, theirs):
            names = ("heliograph", "nginx")
            get = "/echo?message=x"
            compare("GET /echo?message=x", lambda: wrk(ours + get), lambda: wrk(theirs + get), names)
            compare(
                "POST /echo of 1 KiB",
                lambda: wrk(f"{ours}/echo", post),
                lambda: wrk(f"{theirs}/echo", post),
                names,
            )
