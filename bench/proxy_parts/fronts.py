"""Our proxy and nginx, each in front of the same fast backend: another nginx, or a program of bench/loads.

Both proxies keep connections alive on both sides, log every request to a file, give it an id and add the forwarding
headers; nginx has one worker, as our proxy is one process. Ours runs from conf/proxy.toml as it is shipped.
"""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.harness import ROOT, free_ports, needs, running
from heliograph.settings import environment
from heliograph.stack.render import proxy_toml

#: How many connections an nginx may have: each takes a descriptor, and files and logs some more.
SPARE_DESCRIPTORS = 256

#: Lengths of what the backend has to send. They are holes in files, so reading them costs no disk. A slow reader's is longer
#: than the proxy and its sockets hold, and short enough that the kernel's memory for TCP holds a thousand of them.
FILES = {"large": 1 << 30, "slow": 512 << 10}

COMMON = """\
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/{name}.pid;
error_log stderr;
daemon off;
events {{ worker_connections {connections}; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    client_max_body_size 0;
"""

BACKEND = """\
    access_log off;
    sendfile on;
    server {{
        {listen}
        location / {{ return 200 "hello"; }}
        location /files/ {{ root {folder}; }}
    }}
}}
"""

#: Two ways to relay large bodies; whichever is faster stands for nginx.
PEER = """\
    access_log {folder}/nginx-access.log combined;
    map $http_upgrade $onwards {{ default upgrade; "" ""; }}
    upstream backends {{
        {servers}
        keepalive 64;
        keepalive_timeout 1s;
        keepalive_requests 100000000;
    }}
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $onwards;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Request-Id $request_id;
    proxy_set_header Via "1.1 nginx";
    proxy_request_buffering off;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backends;
        }}
        location /files/buffered/ {{
            proxy_pass http://backends/files/;
            proxy_buffers 16 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 256k;
            proxy_max_temp_file_size 0;
            client_body_buffer_size 256k;
        }}
        location /files/unbuffered/ {{
            proxy_pass http://backends/files/;
            proxy_buffering off;
            proxy_buffers 4 256k;
            proxy_buffer_size 256k;
            client_body_buffer_size 64k;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Front:
    """A proxy that runs; `pid` leads its process group."""

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def nginx_backend(work: Path, count: int = 1) -> Iterator[list[int]]:
    """`count` ports of an nginx that answers "hello" by itself, and sends FILES from /files/."""
    (work / "files").mkdir(exist_ok=True)
    for name, length in FILES.items():
        with (work / "files" / name).open("wb") as file:
            file.truncate(length)
    ports = free_ports(count)
    listen = " ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    text = common(work, "backend") + BACKEND.format(listen=listen, folder=work)
    with nginx(work, "backend", text, ports[0]):
        yield ports


@contextlib.contextmanager
def load_backend(work: Path, program: str) -> Iterator[list[int]]:
    """The port of a server in bench/loads."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", f"bench.loads.{program}", str(port)]
    with running(command, f"http://127.0.0.1:{port}/", work / f"{program}.log", environment()):
        yield [port]


@contextlib.contextmanager
def both(work: Path, backends: Sequence[int]) -> Iterator[tuple[Front, Front]]:
    """Our proxy and nginx in front of these ports."""
    with ours(work, backends) as mine, peer(work, backends) as theirs:
        yield mine, theirs


@contextlib.contextmanager
def ours(work: Path, backends: Sequence[int]) -> Iterator[Front]:
    port, admin = free_ports(2)
    pattern = (ROOT / "conf/proxy.toml").read_text()
    addresses = {f"backend{number}": f"127.0.0.1:{each}" for number, each in enumerate(backends, 1)}
    (work / "proxy.toml").write_text(
        proxy_toml(pattern, f"127.0.0.1:{port}", f"127.0.0.1:{admin}", addresses)
    )
    command = [sys.executable, "-m", "heliograph_proxy", "run", "-c", str(work / "proxy.toml")]
    with running(command, f"http://127.0.0.1:{port}/", work / "proxy.log", environment()) as pid:
        yield Front("heliograph", port, pid)


@contextlib.contextmanager
def peer(work: Path, backends: Sequence[int]) -> Iterator[Front]:
    (port,) = free_ports(1)
    servers = " ".join(f"server 127.0.0.1:{each};" for each in backends)
    text = common(work, "nginx") + PEER.format(folder=work, port=port, servers=servers)
    with nginx(work, "nginx", text, port) as pid:
        yield Front("nginx", port, pid)


def common(work: Path, name: str) -> str:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return COMMON.format(
        folder=work, name=name, descriptors=hard, connections=max(hard - SPARE_DESCRIPTORS, SPARE_DESCRIPTORS)
    )


@contextlib.contextmanager
def nginx(work: Path, name: str, text: str, port: int) -> Iterator[int]:
    file = work / f"{name}.conf"
    file.write_text(text)
    command = [needs("nginx", "nginx"), "-c", str(file)]
    with running(command, f"http://127.0.0.1:{port}/", work / f"{name}.log", environment()) as pid:
        yield pid
