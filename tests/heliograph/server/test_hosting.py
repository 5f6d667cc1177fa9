"""An application that knows nothing of the library, in our worker."""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, Process

from tests.heliograph.websocket.raw import BINARY, RawWebSocket, frame
from tests.serving import CLOSE, PATIENCE, Answer, Server, problem

CONFIGURED = (PYTHON, "-m", "gunicorn", "-c", "python:heliograph.server.config")


def foreign(port: int) -> list[str]:
    return [*CONFIGURED, "--bind", f"127.0.0.1:{port}", "tests.heliograph.server.foreign:app"]


def nested(port: int) -> list[str]:
    return [*CONFIGURED, "--bind", f"127.0.0.1:{port}", "tests.heliograph.server.nested:app"]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "HELIOGRAPH_INSTANCE": "foreign1",
        "HELIOGRAPH_WS_MAX_MESSAGE": "64KiB",
        "HELIOGRAPH_WS_MEMORY": "96KiB",
    }
    with Server(tmp_path_factory.mktemp("foreign"), settings, foreign) as server:
        server.wait_for_port(server.port)
        yield server


def asked(server: Server, path: str, *fields: str, method: str = "GET", host: str = "localhost") -> Answer:
    lines = "".join(f"{field}\r\n" for field in (f"Host: {host}", "Connection: close", *fields))
    return server.raw(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode(), method)


def test_health_needs_no_view(host: Server) -> None:
    answer = asked(host, "/-/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "ready": True, "checks": {}})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-instance"] == "foreign1"
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert asked(host, "/-/health", "X-Request-Id: probe-1").headers["x-request-id"] == "probe-1"
    assert asked(host, "/-/health", method="HEAD").status == 200
    problem(asked(host, "/-/health", method="POST"), 405, "method-not-allowed")


def test_its_requests_are_counted(host: Server) -> None:
    name = 'heliograph_requests_total{method="GET",route="none",status="404"}'

    def count() -> float:
        lines = asked(host, "/-/metrics").body.decode().splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    before = count()
    asked(host, "/nowhere")
    assert count() == before + 1


@pytest.mark.parametrize("path", ["/-/health", "/-/metrics"])
@pytest.mark.parametrize(
    "field",
    ["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 9.9.9.9", "Forwarded: for=::1", "Via: 1.1 nginx"],
)
def test_what_came_through_a_proxy_is_not_answered(host: Server, path: str, field: str) -> None:
    problem(asked(host, path, field), 404, "not-found")


def test_a_peer_that_is_not_trusted_gets_404(small: Server) -> None:
    problem(asked(small, "/-/health"), 404, "not-found")
    problem(asked(small, "/-/metrics"), 404, "not-found")


def test_the_probe_is_neither_refused_for_its_host_nor_logged(server: Server) -> None:
    answer = asked(server, "/-/health", "X-Request-Id: a-probe", host="web1.internal")
    checks = {"spool": "ok", "channels": "ok", "telegraph": "ok"}
    assert answer.json() == {"status": "ok", "ready": True, "checks": checks}
    later = asked(server, "/echo?message=later", "User-Agent: heliograph-proxy")
    server.logged(request_id=later.headers["x-request-id"], agent="heliograph-proxy", status=200)
    assert not any(line.get("request_id") == "a-probe" for line in server.log_lines())


def test_it_is_asked_by_any_name_and_its_answers_are_its_own(host: Server) -> None:
    answer = asked(host, "/nowhere", host="any.example")
    assert (answer.status, answer.body) == (404, b"<h1>no...")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["x-instance"] == "foreign1"


def test_the_client_behind_a_trusted_proxy_is_its_client(host: Server) -> None:
    fields = ("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example")
    seen = asked(host, "/seen", *fields).json()
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (
        "1.2.3.4",
        "https",
        "shop.example",
    )


def test_what_it_sets_itself_is_set_once(host: Server) -> None:
    with host.connect() as wire:
        wire.send(b"GET /own-fields HTTP/1.1\r\n" + CLOSE + b"\r\n")
        head = wire.rest().partition(b"\r\n\r\n")[0].lower()
    for name, value in ((b"x-request-id", b"mine"), (b"x-content-type-options", b"nosniff")):
        assert head.count(name) == 1
        assert name + b": " + value in head


def test_an_exception_is_logged_as_500(host: Server) -> None:
    for path in ("/raises", "/breaks-first"):
        answer = asked(host, path)
        assert problem(answer, 500, "internal-error")
        assert answer.headers["x-instance"] == "foreign1"
        assert host.logged(request_id=answer.headers["x-request-id"], path=path)["status"] == 500


@pytest.mark.parametrize("path", ["/times-out", "/broken-pipe", "/bare-os-error", "/text", "/no-status"])
def test_an_error_of_the_application_is_never_taken_for_its_client(host: Server, path: str) -> None:
    answer = asked(host, path)
    problem(answer, 500, "internal-error")
    assert answer.headers["x-instance"] == "foreign1"
    line = host.logged(path=path)
    assert (line["status"], line["complete"]) == (500, False)
    host.logged(message="the application failed", request_id=answer.headers["x-request-id"])


@pytest.mark.parametrize(("path", "status"), [("/long", 200), ("/own-timeout", 200), ("/empty-204", 204)])
def test_only_a_client_that_left_is_logged_as_one(host: Server, path: str, status: int) -> None:
    with host.connect() as wire:
        wire.send(f"GET {path} HTTP/1.1\r\n".encode() + CLOSE + b"\r\n")
        wire.rest()
    assert host.logged(path=path)["status"] == status


def test_its_websockets_take_no_longer_messages_than_the_settings_say(host: Server) -> None:
    with RawWebSocket(host, "/talk") as client:
        client.send(frame(BINARY, b"x" * (64 << 10)))
        assert client.frame().payload == b"x" * (64 << 10)
        client.send(frame(BINARY, b"x" * ((64 << 10) + 1)))
        assert client.frame().code == 1009


def test_its_websockets_hold_no_more_in_all_than_the_settings_say(host: Server) -> None:
    with RawWebSocket(host, "/talk") as one, RawWebSocket(host, "/talk") as other:
        for client in (one, other):
            client.send(frame(BINARY, b"x" * (60 << 10), fin=False))
        ended = select.select([one.socket, other.socket], [], [], PATIENCE)[0]
        closed = one if one.socket in ended else other
        assert closed.frame().code == 1013


def test_below_a_middleware_of_its_own_an_application_is_logged_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {"HELIOGRAPH_ALLOWED_HOSTS": "127.0.0.1"}
    with Server(tmp_path_factory.mktemp("nested"), settings, command=nested) as server:
        server.wait_for_port(server.port)
        assert asked(server, "/-/health").json()["checks"] == {"spool": "ok", "channels": "ok"}
        inside = asked(server, "/inside/hello", "X-Forwarded-For: 1.2.3.4")
        assert inside.body == b"hello 1.2.3.4"
        outside = asked(server, "/other")
        for answer, status in ((inside, 200), (outside, 404)):
            found = server.logged(request_id=answer.headers["x-request-id"])
            assert found["status"] == status
        ids = [line["request_id"] for line in server.log_lines() if "request_id" in line]
        assert len(ids) == len(set(ids))
        problem(asked(server, "/inside/hello", host="evil.example"), 421, "unknown-host")


def test_a_wrong_setting_ends_gunicorn_without_our_configuration(tmp_path: Path) -> None:
    command = (PYTHON, "-m", "gunicorn", "-k", "heliograph.server.worker.Worker", "--bind", "127.0.0.1:0")
    settings = {"HELIOGRAPH_MAX_BODY": "x"}
    with Process([*command, "tests.heliograph.server.foreign:app"], tmp_path / "log", settings) as process:
        assert process.wait() == 3
        assert process.output.count("HELIOGRAPH_MAX_BODY='x': ") == 1
