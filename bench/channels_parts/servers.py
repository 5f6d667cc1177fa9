"""What is compared: our instances on any engine, FastAPI with broadcaster, nchan, a Flask hello; and a Redis for some of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.harness import Unavailable, free_ports, members, needs, running
from bench.websocket_parts.servers import Server, cores, ours
from heliograph.settings import environment

BROADCASTER = "FastAPI + broadcaster"

#: Where distributions put nginx's modules.
MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/share/nginx/modules"))

#: One worker, as all others here are one process; messages are kept as ours are.
NCHAN = """\
load_module {module};
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nchan.pid;
error_log stderr;
daemon off;
events {{ worker_connections 16000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    nchan_shared_memory_size 256M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /healthz {{ return 200 "ok"; }}
        location ~ "^/ws/channels/(\\w+)$" {{
            nchan_subscriber websocket;
            nchan_channel_id $1;
            nchan_subscriber_first_message newest;
        }}
        location ~ "^/channels/(\\w+)$" {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 10000;
            nchan_message_timeout 1h;
        }}
    }}
}}
"""


@contextlib.contextmanager
def instance(
    work: Path, channels: str, name: str = "heliograph", settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """One of ours, with its channels at a URL, without a limit for how often one may publish."""
    own = {
        "HELIOGRAPH_CHANNELS": channels,
        "HELIOGRAPH_RATE": "0",
        "HELIOGRAPH_SPOOL": str(work / "spool"),
        "HELIOGRAPH_INSTANCE": name.replace(" ", "-").replace(",", ""),
        **(settings or {}),
    }
    (port,) = free_ports(1)
    with _serving(work, name, ours(port), port, own) as server:
        yield server


def sqlite(work: Path, name: str = "channels") -> str:
    return f"sqlite:///{work}/{name}.db"


@contextlib.contextmanager
def broadcaster(work: Path, url: str) -> Iterator[Server]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "bench.peers.fastapi_broadcaster", str(port), url]
    with _serving(work, BROADCASTER, command, port) as server:
        yield server


@contextlib.contextmanager
def flask_hello(work: Path) -> Iterator[Server]:
    """In the same worker as ours."""
    (port,) = free_ports(1)
    command = [*ours(port)[:-1], "bench.peers.flask_hello:app"]
    with _serving(work, "Flask hello", command, port, {"HELIOGRAPH_SPOOL": str(work / "spool")}) as server:
        yield server


@contextlib.contextmanager
def nchan(work: Path) -> Iterator[Server | None]:
    """None where this machine does not have it: it is an aim, and not everybody can install it."""
    module = next((found for folder in MODULES if (found := folder / "ngx_nchan_module.so").exists()), None)
    if module is None or not shutil.which("nginx"):
        print(
            "  nchan is left out: it is not installed (Debian and Ubuntu: apt-get install libnginx-mod-nchan)"
        )
        yield None
        return
    (port,) = free_ports(1)
    file = work / "nchan.conf"
    file.write_text(NCHAN.format(module=module, folder=work, port=port))
    with _serving(work, "nchan in nginx", [needs("nginx", "nginx"), "-c", str(file)], port) as server:
        yield server


@contextlib.contextmanager
def redis_server(work: Path) -> Iterator[str]:
    """The URL of a Redis that keeps nothing on the disk, on the load's core."""
    (port,) = free_ports(1)
    command = [needs("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1"]
    log = work / "redis.log"
    url = f"redis://127.0.0.1:{port}/0"
    options = ["--save", "", "--appendonly", "no", "--dir", str(work)]
    with running([*command, *options], url, log, environment()) as leader:
        mine, _ = cores()
        os.sched_setaffinity(leader, mine)
        yield url


@contextlib.contextmanager
def _serving(
    work: Path, name: str, command: Sequence[str], port: int, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """On all cores but the load's."""
    log = work / f"{name.replace(' ', '-')}.log"
    url = f"http://127.0.0.1:{port}/healthz"
    with running(command, url, log, {**environment(), **(settings or {})}) as leader:
        _, others = cores()
        for pid in members(leader):
            os.sched_setaffinity(pid, others)
        yield Server(name, port, leader)


def log_of(work: Path, name: str) -> str:
    return (work / f"{name.replace(' ', '-')}.log").read_text(errors="replace")


def refuse_errors(work: Path, name: str) -> None:
    """Unavailable when one of ours had an error: then what was measured is nothing."""
    if "Traceback" in log_of(work, name):
        raise Unavailable(f"{name} failed: {log_of(work, name)[-500:]}")
