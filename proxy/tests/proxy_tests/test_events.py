"""The event log: lines of JSON on stderr, whatever is in them and whoever reads them."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from heliograph_proxy import eventlog as events

from proxy_tests.processes import PYTHON, ROOT


def test_an_event_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    events.log("backend-down", backend="b\n1", reason='"quoted" \ud800', seconds=1.5, kind=ValueError)
    [line] = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event.pop("event"), event.pop("backend"), event.pop("seconds")) == ("backend-down", "b\n1", 1.5)
    assert event.pop("time").endswith("Z")
    assert event == {"reason": '"quoted" \ud800', "kind": str(ValueError)}


def test_a_mistake_of_ours_is_told_with_its_place(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError as exc:
        events.log_exception("exchange-failed", exc, id="abc")
    event = json.loads(capfd.readouterr().err)
    assert (event["event"], event["id"]) == ("exchange-failed", "abc")
    assert "test_events.py" in event["traceback"]
    assert event["traceback"].endswith("ZeroDivisionError: on purpose\n")


@pytest.mark.parametrize("gone", ["closed", "no reader"])
def test_a_stderr_that_nobody_takes_is_no_error(gone: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [
            PYTHON,
            "-c",
            f"import os\nfrom heliograph_proxy import eventlog as e\n{'os.close(2)' if gone == 'closed' else ''}\ne.log('a')",
        ],
        cwd=ROOT,
        stderr=writer,
        check=False,
    )
    os.close(writer)
    assert ended.returncode == 0


def test_a_reader_that_reads_nothing_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    lines = 'from heliograph_proxy import eventlog as events\nfor number in range(100):\n    events.log("a" * 5000)\n'
    subprocess.run([PYTHON, "-c", lines], cwd=ROOT, stderr=writer, check=True, timeout=30)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert json.loads(pipe.readline())["event"] == "a" * 5000
