"""Log lines: in batches, in bounds, and in two forms."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextvars import Context
from pathlib import Path

import pytest
from heliograph_proxy.batches import timestamp
from proxy_tests.processes import PYTHON, Process, until

from heliograph.request.logs import (
    MAX_BUFFERED,
    BatchHandler,
    RequestLog,
    ScheduledWriter,
    formatter,
    mask_record,
    request_id,
    trace_id,
)
from tests.serving import Server, gunicorn


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("heliograph.x", logging.WARNING, "f.py", 1, message, (), exc_info)


@pytest.mark.parametrize("style", ["json", "text"])
def test_secrets_of_a_query_are_in_no_line_and_no_traceback(style: str) -> None:
    def fail() -> None:
        raise ValueError("GET /events?ticket=SECRET&x=1 HTTP/1.1")

    with pytest.raises(ValueError, match="ticket") as caught:
        fail()
    line = formatter(style).format(record("for /x?a=1&token=SECRET", caught.value))
    assert "SECRET" not in line
    assert "/x?a=1&token=***" in line
    assert "ticket=***&x=1" in line


def test_loggers_of_servers_are_masked_under_any_formatter() -> None:
    with pytest.raises(ValueError, match="ticket") as caught:
        raise ValueError("/x?ticket=SECRET")
    made = record("Error handling request %s", caught.value)
    made.args = ("/x?access_token=SECRET",)
    assert mask_record(made)
    assert "access_token=***" in (text := logging.Formatter().format(made))
    assert "SECRET" not in text


def test_lines_wait_and_are_written_together(pipe: tuple[int, int]) -> None:
    writer = ScheduledWriter(pipe[1])
    for line in ("one", "two"):
        writer.write(line)
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    writer.flush()
    assert os.read(pipe[0], 100) == b"one\ntwo\n"


def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = ScheduledWriter(file.fileno())
        for number in range(MAX_BUFFERED + 3):
            writer.write(str(number))
        writer.flush()
        writer.write("after")
        writer.flush()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[MAX_BUFFERED - 1] == str(MAX_BUFFERED - 1)
    assert json.loads(lines[MAX_BUFFERED]) == {"level": "warning", "message": "3 log lines dropped"}
    assert lines[MAX_BUFFERED + 1 :] == ["after"]


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    with open(os.devnull, "rb") as cannot_be_written:
        writer = ScheduledWriter(cannot_be_written.fileno())
        writer.write("lost")
        writer.flush()


def test_a_json_line_has_the_request_id_and_the_traceback() -> None:
    token = request_id.set("abc")
    try:
        raise ValueError("näh\u2028")
    except ValueError as exc:
        line = formatter("json").format(record("it\nbroke", exc))
    finally:
        request_id.reset(token)
    assert line.isprintable()
    parsed = json.loads(line)
    assert (parsed["level"], parsed["logger"], parsed["message"]) == ("warning", "heliograph.x", "it\nbroke")
    assert parsed["request_id"] == "abc"
    assert "ValueError: näh" in parsed["traceback"]
    # In a new context: in this one an earlier test may have served a request.
    without = Context().run(formatter("json").format, record("no request"))
    assert "request_id" not in json.loads(without)


def test_a_text_line_says_the_same() -> None:
    token = request_id.set("abc")
    line = formatter("text").format(record("it broke", ValueError("x")))
    request_id.reset(token)
    assert line.splitlines()[0].endswith("WARNING heliograph.x: it broke [abc]")
    assert "ValueError: x" in line


def test_a_line_has_the_trace_of_its_request() -> None:
    def lines() -> tuple[str, str]:
        trace_id.set("def")
        return formatter("json").format(record("x")), formatter("text").format(record("x"))

    as_json, as_text = Context().run(lines)
    assert json.loads(as_json)["trace_id"] == "def"
    assert "[trace def]" in as_text
    assert "trace" not in Context().run(formatter("json").format, record("x"))


def test_the_access_log_is_json_or_text(pipe: tuple[int, int]) -> None:
    writer = ScheduledWriter(pipe[1])
    RequestLog("json", writer).write({"path": "/\u009b"})
    RequestLog("text", writer).write({"path": "/é\n", "status": 200})
    writer.flush()
    one, other = os.read(pipe[0], 1000).decode().splitlines()
    assert json.loads(one)["path"] == "/\u009b"
    assert one.isprintable()
    assert other.endswith(' path="/\\u00e9\\n" status=200')


def test_a_handler_passes_records_on(pipe: tuple[int, int]) -> None:
    writer = ScheduledWriter(pipe[1])
    handler = BatchHandler(writer)
    handler.setFormatter(formatter("json"))
    handler.emit(record("hello"))
    writer.flush()
    assert json.loads(os.read(pipe[0], 1000))["message"] == "hello"


def test_times_are_rfc_3339_in_utc() -> None:
    assert timestamp(0.25) == "1970-01-01T00:00:00.250Z"


def test_what_waits_when_the_process_ends_is_written(tmp_path: Path) -> None:
    code = "from heliograph.request.logs import Logs\nLogs('json').requests.write({'last': 'line'})"
    with Process([PYTHON, "-c", code], tmp_path / "log") as process:
        assert process.wait() == 0
        assert json.loads(process.output)["last"] == "line"


#: Runs a command whose standard output is a pipe that is full and has no reader.
STUCK = """
import os, sys
reader, writer = os.pipe()
os.set_blocking(writer, False)
try:
    while True:
        os.write(writer, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(writer, True)
os.set_inheritable(reader, True)
os.dup2(writer, 1)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_reader_that_stands_still_does_not_stop_the_server(tmp_path: Path) -> None:
    with Server(tmp_path, command=lambda port: [PYTHON, "-c", STUCK, *gunicorn(port)[1:]]) as server:
        server.wait_for_port(server.port)
        for _ in range(20):
            assert server.get("/healthz").status == 200
        for pid in reversed(server.tree()):
            os.kill(pid, signal.SIGKILL)
        server.wait()


def test_all_lines_are_in_one_form_and_none_is_lost_at_the_end(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        answer = server.started().get("/healthz")
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.output.splitlines()]  # Gunicorn's too
    assert any(line.get("request_id") == answer.headers["x-request-id"] for line in lines)
    assert any(line.get("logger") == "gunicorn.error" for line in lines)


def test_text_is_for_people(tmp_path: Path) -> None:
    with Server(tmp_path, {"HELIOGRAPH_LOG": "text"}) as server:
        server.started()
        until(lambda: 'path="/healthz"' in server.output, "the access line")
        assert not server.log_lines()


def test_standard_streams_that_are_closed_are_no_error(tmp_path: Path) -> None:
    code = (
        "from heliograph.settings import load; from app.application import GROUPS, create_app\n"
        "create_app(load({}, GROUPS)); print('made')"
    )
    closed = f"import os, sys; os.close(2); exec({code!r})"
    with Process([sys.executable, "-c", closed], tmp_path / "log") as process:
        assert process.wait() == 0
        assert process.output == "made\n"
