"""Every option of Gunicorn works, or stops the start with one line."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest
from gunicorn.config import KNOWN_SETTINGS
from proxy_tests.processes import PYTHON, ROOT, Process, alive, free_port, until

from heliograph.server.gunicorn_options import MEANINGLESS, REFUSED, WORKING
from tests.heliograph.server.test_hosting import CONFIGURED, asked
from tests.serving import Server

APPLICATION = "tests.heliograph.server.foreign:app"


def test_each_setting_of_the_installed_gunicorn_is_known() -> None:
    known = sorted(setting.name for setting in KNOWN_SETTINGS)
    assert known == sorted([*WORKING, *REFUSED, *MEANINGLESS])


def test_the_documentation_has_each_setting_with_what_it_does_here() -> None:
    expected = []
    for section in dict.fromkeys(setting.section for setting in KNOWN_SETTINGS):
        expected += [f"## {section}", "| setting | here | |", "|---|---|---|"]
        found = [setting for setting in KNOWN_SETTINGS if setting.section == section]
        for setting in sorted(found, key=lambda one: one.order):
            name = f"`{setting.name}`" + (f" `{setting.cli[-1]}`" if setting.cli else "")
            if setting.name in WORKING:
                expected.append(f"| {name} | works | |")
            elif setting.name in REFUSED:
                expected.append(f"| {name} | refused | {REFUSED[setting.name]} |")
            else:
                expected.append(f"| {name} | no meaning | {MEANINGLESS[setting.name]} |")
    lines = (ROOT / "docs/gunicorn.md").read_text().splitlines()
    assert [line for line in lines if line.startswith(("|", "## "))] == expected


REFUSALS = {
    "--threads": ["--threads", "8"],
    "--preload": ["--preload"],
    "--limit-request-line": ["--limit-request-line", "100"],
    "--limit-request-fields": ["--limit-request-fields", "10"],
    "--limit-request-field_size": ["--limit-request-field_size", "10"],
    "--forwarded-allow-ips": ["--forwarded-allow-ips", "*"],
    "--proxy-protocol": ["--proxy-protocol=auto"],
    "--root-path": ["--root-path", "/x"],
    "--dirty-workers": ["--dirty-workers", "1"],
    "--no-sendfile": ["--no-sendfile"],
    "--dirty-threads": ["--dirty-threads", "2"],
    "--http2-max-frame-size": ["--http2-max-frame-size", "20000"],
    "--worker-class gthread": ["-k", "gthread"],
    "--worker-class tornado": ["-k", "tornado"],
    "--worker-class asgi": ["-k", "asgi"],
    "--worker-class eventlet": ["-k", "eventlet"],
    "--worker-class sync": ["-k", "sync"],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_would_be_ignored_stops_the_start_with_one_line(tmp_path: Path, name: str) -> None:
    command = [*CONFIGURED, "--bind", f"127.0.0.1:{free_port()}", *REFUSALS[name], APPLICATION]
    with Process(command, tmp_path / "output") as process:
        assert process.wait() == 1
        [line] = process.output.splitlines()
        assert line.startswith(name), line


@pytest.mark.parametrize("name", ["--threads", "--preload", "--no-sendfile"])
def test_so_it_does_with_our_worker_alone(tmp_path: Path, name: str) -> None:
    pidfile = tmp_path / "pid"
    command = [PYTHON, "-m", "gunicorn", "--no-control-socket", "-k", "heliograph.server.worker.Worker"]
    command += ["--pid", str(pidfile), "--bind", f"127.0.0.1:{free_port()}", *REFUSALS[name], APPLICATION]
    with Process(command, tmp_path / "output") as process:
        assert process.wait() == 1
        [line] = [line for line in process.output.splitlines() if "[INFO]" not in line]
        assert line.startswith(name), line
    assert not pidfile.exists()


@pytest.mark.parametrize("arguments", [["-k", "gthread"], ["--threads", "8"]])
def test_the_application_itself_refuses_threads(tmp_path: Path, arguments: list[str]) -> None:
    command = [PYTHON, "-m", "gunicorn", "--no-control-socket", "--bind", f"127.0.0.1:{free_port()}"]
    with Process([*command, *arguments, "wsgi:app"], tmp_path / "output") as process:
        assert process.wait() != 0
        lines = [line for line in process.output.splitlines() if "--worker-class gthread" in line]
        assert len(lines) == 1
        assert "Traceback" not in process.output


@pytest.mark.parametrize(
    "name", ["HELIOGRAPH_HISTORY_SIZE", "HELIOGRAPH_WS_MAX_MESSAGE", "HELIOGRAPH_MAX_BODY"]
)
def test_a_wrong_setting_of_any_part_is_one_line(tmp_path: Path, name: str) -> None:
    command = [*CONFIGURED, "--bind", f"127.0.0.1:{free_port()}", APPLICATION]
    with Process(command, tmp_path / "output", {name: "huge"}) as process:
        assert process.wait() == 1
        [line] = process.output.splitlines()
        assert line.startswith(f"{name}='huge': ")


def test_with_jitter_workers_end_after_different_numbers_of_requests(tmp_path: Path) -> None:
    """Five that end after the same of 200 numbers do not happen."""
    limits = ["--max-requests", "5", "--max-requests-jitter", "200"]

    def command(port: int) -> list[str]:
        return [*CONFIGURED, "--bind", f"127.0.0.1:{port}", *limits, APPLICATION]

    counts: list[int] = []
    with Server(tmp_path, command=command) as server:
        server.wait_for_port(server.port)
        while len(set(counts)) < 2 and len(counts) < 5:
            worker = until(lambda: next(iter({server.worker} - {server.pid}), 0), "a worker")
            counts.append(answered_on_one_connection(server))
            until(lambda gone=worker: not alive(gone), "the worker to end")  # type: ignore[misc]
    assert len(set(counts)) == 2
    assert all(5 <= count <= 206 for count in counts), counts


def answered_on_one_connection(server: Server) -> int:
    """How many requests its worker answers before it ends."""
    answered = 0
    with server.connect() as wire, suppress(ConnectionError):
        while True:
            wire.send(b"GET /seen HTTP/1.1\r\nHost: localhost\r\n\r\n")
            if wire.answer().headers.get("connection") == "close":
                return answered + 1
            answered += 1
    return answered


def test_options_that_watch_requests_work(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(20)
        access = tmp_path / "access.log"
        options = ["--access-logfile", str(access), "--statsd-host", f"127.0.0.1:{statsd.getsockname()[1]}"]
        options += ["--max-requests", "5", "--log-file", str(tmp_path / "error.log"), "--keep-alive", "0"]

        def command(port: int) -> list[str]:
            return [*CONFIGURED, "--bind", f"127.0.0.1:{port}", *options, APPLICATION]

        with Server(tmp_path, command=command) as server:
            server.wait_for_port(server.port)
            worker = server.worker
            with server.connect() as wire:
                wire.send(b"GET /seen HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert wire.answer().headers["connection"] == "close"
                assert wire.rest() == b""
            until(lambda: b"gunicorn.requests" in statsd.recv(4096), "a request to be told")
            for _ in range(4):
                assert asked(server, "/seen").status == 200
            until(lambda: server.worker not in (worker, server.pid), "another worker")
            assert asked(server, "/seen").status == 200
            assert access.read_text().count('"GET /seen HTTP/1.1" 200') >= 5
            assert "Starting gunicorn" in (tmp_path / "error.log").read_text()
