"""nginx before a real proxy: what passes the proxy passes nginx, and what the proxy decides about slow clients holds here, too."""

from __future__ import annotations

import contextlib
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from heliograph_proxy.http1.responses import MAX_HEAD_BYTES
from heliograph_proxy.settings import Timeouts
from proxy_tests.processes import ROOT, Process, free_ports

from heliograph.stack import nginx
from heliograph.stack.front import Certificate, Tls
from tests.stack import certificates
from tests.stack.checkout import open_to_everyone
from tests.stack.front import NGINX, Nginx, configured
from tests.stack.upstream import PATIENCE, Exchange, Upstream

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

#: What wants no header of the application's to be passed on as it is written.
MEDIA_TYPES = ["text/html; charset=utf-8", "text/plain", "application/json"]

PATHS = ["/", "/echo", "/ws/echo", "/events", "/channels/lebowski/events"]


@contextlib.contextmanager
def layers(folder: Path, *, https: bool) -> Iterator[Nginx]:
    """nginx, the proxy behind it, and an upstream."""
    upstream = Upstream()
    open_to_everyone(folder)  # as root, the workers are nobody
    port, secure, proxy, admin = free_ports(4)
    settings = folder / "proxy.toml"
    settings.write_text(
        f'listen = "127.0.0.1:{proxy}"\nadmin = "127.0.0.1:{admin}"\n[[backend]]\nname = "b1"\n'
        f'address = "127.0.0.1:{upstream.port}"\n[health]\ninterval = 600\n[timeouts]\nbody = 0.3\n'
    )
    tls = None
    if https:
        made = certificates.make(folder)
        directive = nginx.version(str(NGINX)) >= nginx.HTTP2_DIRECTIVE
        tls = Tls(f"127.0.0.1:{secure}", Certificate(str(made.certificate), str(made.key)), directive)
    command = [sys.executable, "-m", "heliograph_proxy", "run", "-c", str(settings)]
    with (
        Process(command, folder / "proxy.log").wait_for_port(proxy),
        Process(configured(folder, port, proxy, tls=tls), folder / "nginx.log").wait_for_port(port),
    ):
        served = Nginx(secure if https else port, upstream, folder)
        served.url = served.url.replace("http", "https") if https else served.url
        yield served
    upstream.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with layers(tmp_path_factory.mktemp("both"), https=False) as served:
        yield served


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with layers(tmp_path_factory.mktemp("encrypted"), https=True) as served:
        yield served


def test_a_body_that_is_too_slow_is_answered_and_its_connection_ends(both: Nginx) -> None:
    both.upstream.reset()
    with both.connect() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nfirst")
        data = b""
        while piece := client.recv(65536):
            data += piece
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/request-timeout" in data


@pytest.mark.parametrize("path", PATHS)
def test_the_longest_head_that_passes_the_proxy_passes_nginx(both: Nginx, path: str) -> None:
    start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
    value = "x" * (MAX_HEAD_BYTES - len(start) - len("X: \r\n\r\n") + 2)
    both.upstream.handler = lambda exchange: exchange.send(f"{start}X: {value}\r\n\r\n".encode())
    assert requests.get(f"{both.url}{path}", timeout=PATIENCE, stream=True).headers["X"] == value
    both.upstream.handler = lambda exchange: exchange.send(f"{start}X: {value}x\r\n\r\n".encode())
    answer = requests.get(f"{both.url}{path}", timeout=PATIENCE)
    assert (answer.status_code, "too long" in answer.json()["detail"]) == (502, True)


def first_of_a_stream(served: Nginx, media_type: str) -> bytes:
    """What arrives of an answer that has begun and goes on, without a word of the application's about buffering."""

    def stream(exchange: Exchange) -> None:
        exchange.send(f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n".encode())
        exchange.send(b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        exchange.connection.recv(1)  # until the test is over

    served.upstream.handler = stream
    fields = {"Accept-Encoding": "gzip"}
    with requests.get(
        f"{served.url}/",
        headers=fields,
        stream=True,
        timeout=PATIENCE,
        verify=str(served.folder / "here.pem") if served.url.startswith("https") else True,
    ) as answer:
        assert answer.raw.version == 11
        assert answer.headers["Content-Encoding"] == "gzip"
        unpacking, got = zlib.decompressobj(31), b""
        while not got:
            got += unpacking.decompress(answer.raw.read1(1))
    return got


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_stream_passes_at_once_also_where_it_is_compressed(both: Nginx, media_type: str) -> None:
    assert b"first".startswith(first_of_a_stream(both, media_type))


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_compressed_stream_passes_at_once_by_https_too(encrypted: Nginx, media_type: str) -> None:
    assert b"first".startswith(first_of_a_stream(encrypted, media_type))


def test_nginx_bears_silence_in_an_answer_for_longer_than_the_proxy() -> None:
    told = [
        int(seconds)
        for file in sorted(Path(ROOT, "nginx").rglob("*.conf"))
        for seconds in re.findall(r"proxy_read_timeout (\d+)s;", file.read_text())
    ]
    assert told
    assert min(told) > Timeouts().tunnel
