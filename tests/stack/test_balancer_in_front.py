"""A balancer that ends TLS in front of a whole stack: what it says reaches the application, what others say does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.stack.front import NGINX, Nginx
from tests.stack.running import Stack
from tests.stack.upstream import Upstream

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")

BALANCER = "127.0.0.2"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("behind")
    settings = {"HELIOGRAPH_TRUSTED_PROXIES": f"::ffff:{BALANCER}", "HELIOGRAPH_INSTANCES": "1"}
    unused = Upstream()
    with Stack(folder, settings).started() as stack:
        yield Nginx(stack.ports.nginx, unused, folder)
    unused.close()


def request(front: Nginx, line: str, *fields: str) -> bytes:
    """With what the balancer tells, as far as `fields` do not say otherwise."""
    told = (
        "X-Forwarded-For: 6.6.6.6, [2001:db8::7]:443",
        "X-Forwarded-Proto: HTTPS",
        f"X-Forwarded-Host: localhost:{front.port}",
        "X-Forwarded-Prefix: /shop",
        "X-Request-Id: of-the-balancer",
        f"Host: localhost:{front.port}",
        "Connection: close",
    )
    named = {field.partition(":")[0] for field in fields}
    lines = [line, *fields, *(one for one in told if one.partition(":")[0] not in named), "", ""]
    return "\r\n".join(lines).encode()


def ask(front: Nginx, source: str, line: str, *fields: str) -> tuple[int, dict[str, str], bytes]:
    return front.raw(request(front, line, *fields), source)


def test_the_application_sees_the_client_behind_the_balancer(front: Nginx) -> None:
    status, fields, body = ask(front, BALANCER, "GET /echo/request HTTP/1.1")
    seen = json.loads(body)
    assert (status, seen["remote_addr"], seen["scheme"]) == (200, "2001:db8::7", "https")
    assert seen["host"] == f"localhost:{front.port}"
    assert fields["x-request-id"] == "of-the-balancer"


def test_others_are_who_they_are(front: Nginx) -> None:
    _, fields, body = ask(front, "127.0.0.1", "GET /echo/request HTTP/1.1")
    seen = json.loads(body)
    assert (seen["remote_addr"], seen["scheme"]) == ("127.0.0.1", "http")
    assert "x-forwarded-prefix" not in {name.lower() for name, _ in seen["headers"]}
    assert fields["x-request-id"] != "of-the-balancer"


@pytest.mark.parametrize(("source", "status"), [(BALANCER, 200), ("127.0.0.1", 403)])
def test_pages_may_write_where_their_origin_is_right(front: Nginx, source: str, status: int) -> None:
    origin = f"Origin: https://localhost:{front.port}"
    assert ask(front, source, "POST /echo HTTP/1.1", origin, "Content-Length: 0")[0] == status


@pytest.mark.parametrize(("source", "status"), [(BALANCER, 101), ("127.0.0.1", 403)])
def test_websockets_too(front: Nginx, source: str, status: int) -> None:
    fields = (
        f"Origin: https://localhost:{front.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    with front.connect(source) as client:
        client.sendall(request(front, "GET /ws/echo HTTP/1.1", *fields))
        assert client.recv(12) == f"HTTP/1.1 {status}".encode()
