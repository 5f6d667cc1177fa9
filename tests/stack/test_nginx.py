"""nginx/nginx.conf under a real nginx: what the proxy is told, WebSockets, errors of its own, TLS."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import Process, free_port

from tests.stack import certificates
from tests.stack.checkout import hand_over, open_to_everyone
from tests.stack.front import NGINX, Nginx, configured
from tests.stack.upstream import PATIENCE, Exchange, Upstream

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


def test_the_tls_block_works_when_it_is_taken_into_use(tmp_path: Path) -> None:
    upstream, port, tls = Upstream(), free_port(), free_port()
    command = configured(tmp_path, port, upstream.port)
    made = certificates.make(tmp_path)
    file = tmp_path / "nginx/nginx.conf"
    text = re.sub(r"^    # (server \{|    .*|\})$", r"    \1", file.read_text(), flags=re.MULTILINE)
    text = text.replace("/etc/ssl/private/heliograph.pem", str(made.certificate))
    text = text.replace("/etc/ssl/private/heliograph.key", str(made.key))
    file.write_text(text.replace("listen 127.0.0.1:8443 ssl", f"listen 127.0.0.1:{tls} ssl"))
    with Process(command, tmp_path / "output").wait_for_port(tls):
        answer = requests.get(f"https://127.0.0.1:{tls}/", verify=str(made.certificate), timeout=PATIENCE)
        plain = requests.get(f"http://127.0.0.1:{tls}/", timeout=PATIENCE)
    seen = upstream.next()
    upstream.close()
    assert answer.status_code == 200
    assert seen.values("X-Forwarded-Proto") == ["https"]
    assert plain.status_code == 400
    assert plain.json()["type"] == "/problems/bad-request"


def test_it_runs_as_a_user_without_privileges_from_a_folder_of_his(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("unprivileged")
    port, upstream = free_port(), Upstream()
    command = configured(folder, port, upstream.port)
    user = hand_over(folder)
    with Process(command, folder / "output", user=user).wait_for_port(port) as process:
        assert requests.get(f"http://127.0.0.1:{port}/static/style.css", timeout=PATIENCE).status_code == 200
        assert requests.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE).status_code == 200
    upstream.close()
    assert "[alert]" not in process.output
    assert "[emerg]" not in process.output


def test_the_proxy_is_told_what_nginx_saw_and_not_what_the_client_says(nginx: Nginx) -> None:
    forged = {
        "X-Forwarded-For": "8.8.8.8",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "X-Real-IP": "8.8.4.4",
        "Forwarded": "for=8.8.8.8",
        "X-Request-Id": "mine",
        "Host": "heliograph.example:81",
    }
    requests.get(f"{nginx.url}/echo", headers=forged, timeout=PATIENCE)
    seen = nginx.upstream.next()
    assert seen.values("Host") == ["heliograph.example:81"]
    assert seen.values("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.values("X-Forwarded-Proto") == ["http"]
    assert seen.values("X-Forwarded-Host") == ["heliograph.example:81"]
    for name in ("X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP", "Forwarded"):
        assert seen.values(name) == []
    [request_id] = seen.values("X-Request-Id")
    assert re.fullmatch("[0-9a-f]{32}", request_id)


def test_the_target_arrives_as_it_was_written(nginx: Nginx) -> None:
    nginx.raw(b"GET /echo/request//a%2Fb/./c?x=%20+&y HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert nginx.upstream.next().request_line == "GET /echo/request//a%2Fb/./c?x=%20+&y HTTP/1.1"


def test_a_request_without_host_is_for_the_address_it_was_sent_to(nginx: Nginx) -> None:
    nginx.raw(b"GET / HTTP/1.0\r\n\r\n")
    assert nginx.upstream.next().values("Host") == [f"127.0.0.1:{nginx.port}"]


def test_connections_to_the_proxy_are_kept_alive(nginx: Nginx) -> None:
    with (
        requests.Session() as client
    ):  # one connection, and so one of nginx's workers, each of which has a pool of its own
        for _ in range(3):
            client.get(f"{nginx.url}/", timeout=PATIENCE)
    seen = [nginx.upstream.next() for _ in range(3)]
    assert len({exchange.number for exchange in seen[1:]}) == 1
    assert all(not exchange.values("Connection") for exchange in seen)


LONG = b"a" * 9000

OWN_ERRORS = [
    pytest.param(
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n", 404, "not-found", id="metrics are for those inside"
    ),
    pytest.param(b"GET /readyz HTTP/1.1\r\nHost: x\r\n", 404, "not-found", id="so is readyz"),
    pytest.param(b"GET //metrics HTTP/1.1\r\nHost: x\r\n", 404, "not-found", id="however it is written"),
    pytest.param(
        b"GET /-/problem HTTP/1.1\r\nHost: x\r\n", 404, "not-found", id="the page of problems itself"
    ),
    pytest.param(b"TRACE / HTTP/1.1\r\nHost: x\r\n", 405, "method-not-allowed", id="TRACE"),
    pytest.param(
        b"POST /static/style.css HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n",
        405,
        "method-not-allowed",
        id="POST",
    ),
    pytest.param(b"GET / HTTP/1.1\r\n", 400, "bad-request", id="HTTP/1.1 without Host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, "bad-request", id="two hosts"),
    pytest.param(b"utter nonsense\r\n", 400, "bad-request", id="not HTTP"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\r\n", 400, "bad-request", id="TLS on a plain port"),
    pytest.param(b"GET /" + LONG + b" HTTP/1.1\r\nHost: x\r\n", 414, "uri-too-long", id="long request line"),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + LONG + b"\r\n", 431, "headers-too-large", id="long field"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n",
        501,
        "not-implemented",
        id="odd encoding",
    ),
    pytest.param(b"GET / HTTP/9.1\r\nHost: x\r\n", 505, "http-version-not-supported", id="odd version"),
]


@pytest.mark.parametrize(("request_", "status", "name"), OWN_ERRORS)
def test_errors_of_its_own_are_problems(nginx: Nginx, request_: bytes, status: int, name: str) -> None:
    found, fields, body = nginx.raw(request_ + b"Connection: close\r\n\r\n")
    problem = json.loads(body)
    assert found == status
    assert problem["status"] == status
    assert problem["type"] == f"/problems/{name}"
    assert problem["title"]
    assert problem["detail"]
    assert fields["content-type"] == "application/problem+json"
    assert fields["x-content-type-options"] == "nosniff"
    assert re.fullmatch("[0-9a-f]{32}", fields["x-request-id"])
    assert fields["server"] == "nginx"


def test_405_says_what_is_allowed(nginx: Nginx) -> None:
    _, fields, _ = nginx.raw(b"DELETE /static/style.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert fields["allow"] == "get, head"
    _, fields, _ = nginx.raw(b"TRACE /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert "post" in fields["allow"]


def test_a_proxy_that_is_not_there_is_a_problem_too(tmp_path: Path) -> None:
    port = free_port()
    open_to_everyone(tmp_path)
    with Process(configured(tmp_path, port, free_port()), tmp_path / "output").wait_for_port(port):
        answer = requests.post(f"http://127.0.0.1:{port}/echo", data=b"x", timeout=PATIENCE)
    assert answer.status_code == 502
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/bad-gateway"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_errors_from_behind_pass_as_they_are(nginx: Nginx) -> None:
    body = b'{"type": "/problems/spool-full", "status": 503}'
    nginx.upstream.handler = lambda exchange: exchange.answer(
        "503 Service Unavailable",
        body,
        Content_Type="application/problem+json",
        Retry_After="7",
        X_Request_Id="ours",
        X_Content_Type_Options="nosniff",
    )
    answer = requests.get(f"{nginx.url}/", timeout=PATIENCE)
    assert (answer.status_code, answer.content) == (503, body)
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["X-Request-Id"] == "ours"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_426_still_says_what_to_upgrade_to(nginx: Nginx) -> None:
    nginx.upstream.handler = lambda exchange: exchange.answer(
        "426 Upgrade Required", b"{}", Upgrade="websocket", Connection="upgrade"
    )
    answer = requests.get(f"{nginx.url}/ws/echo", timeout=PATIENCE)
    assert answer.status_code == 426
    assert answer.headers["Upgrade"] == "websocket"
    assert "upgrade" in answer.headers["Connection"]


def test_other_answers_name_no_upgrade(nginx: Nginx) -> None:
    answer = requests.get(f"{nginx.url}/ws/echo", timeout=PATIENCE)
    assert "upgrade" not in answer.headers["Connection"]


def test_a_websocket_is_a_tunnel_for_bytes_in_both_directions(nginx: Nginx) -> None:
    def upgrade(exchange: Exchange) -> None:
        exchange.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        exchange.send(exchange.read(5)[::-1])

    nginx.upstream.handler = upgrade
    with nginx.connect() as client:
        client.sendall(
            b"GET /events HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
        )
        head = client.recv(65536)
        client.sendall(b"hello")
        assert client.recv(5) == b"olleh"
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nUpgrade: websocket\r\n" in head
    seen = nginx.upstream.next()
    assert seen.values("Upgrade") == ["websocket"]
    assert seen.values("Connection") == ["upgrade"]


def test_other_upgrades_are_not_passed_on(nginx: Nginx) -> None:
    requests.get(f"{nginx.url}/", headers={"Upgrade": "h2c", "Connection": "Upgrade"}, timeout=PATIENCE)
    seen = nginx.upstream.next()
    assert seen.values("Upgrade") == []
    assert seen.values("Connection") == []
