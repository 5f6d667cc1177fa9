"""Applications that do not work on the stack: what people are told, and that nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, answers

from tests.stack.running import Stack

PATIENCE = 30.0

BARE = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"slow"]
"""

#: Longer than Gunicorn lets a worker be silent.
SLOW = 35


def stack(folder: Path, text: str, *arguments: str) -> Stack:
    root = folder / "project"
    root.mkdir()
    (root / "theirs.py").write_text(text)
    command = (PYTHON, "-m", "heliograph.cli", "run", "--nginx=0", "--instances=1", *arguments)
    return Stack(folder, {"HELIOGRAPH_INSTANCES": ""}, command=command, root=root)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (
            "import json\n\njson.loads('{')\n",
            "theirs:app",
            "theirs cannot be imported: JSONDecodeError: Expecting ",
        ),
        (
            "app = 7\n",
            "theirs:app",
            "theirs:app is no WSGI application: it is of type int, which cannot be called\n",
        ),
        (
            "def make():\n    return app\n",
            "theirs:make()",
            "theirs:make() fails: NameError: name 'app' is not defined",
        ),
    ],
)
def test_what_cannot_be_loaded_ends_the_start_at_once_with_one_line(
    tmp_path: Path, text: str, name: str, said: str
) -> None:
    with stack(tmp_path, text, name) as broken:
        assert broken.wait() == 1
        assert broken.output.count(f"The application cannot be loaded: {said}") == 1
        assert broken.output.endswith(
            "web1 cannot start: it ended with status 3; its own lines above say why\n"
        )
        traceback = broken.output.partition("Traceback (most recent call last):\n")[2]
        assert not traceback or traceback.startswith(f'  File "{tmp_path}/project/theirs.py", line ')
        assert bool(traceback) == ("app = 7" not in text)
        assert not any(answers(port) for port in broken.ports.all)


def test_an_application_that_fails_at_every_request_answers_500_and_its_instance_stays(
    tmp_path: Path,
) -> None:
    text = "def app(environ, start_response):\n    raise RuntimeError('broken on purpose')\n"
    with stack(tmp_path, text, "theirs").started() as failing:
        before = failing.pids()
        for _ in range(8):
            assert requests.get(failing.url, timeout=PATIENCE).status_code in (500, 502, 503)
        assert "RuntimeError: broken on purpose" in failing.output
        assert failing.pids() == before


@pytest.mark.slow
def test_an_application_may_take_long_to_import_and_a_line_says_so(tmp_path: Path) -> None:
    text = f"import time\ntime.sleep({SLOW})\n" + BARE
    with stack(tmp_path, text, "theirs") as slow:
        slow.wait_for_output("web1 takes long to start, 10 s so far; it has 120 s", 90)
        slow.wait_for_output("Configurations and nginx's access log: ", 110)
        assert requests.get(slow.url, timeout=PATIENCE).text == "slow"
        assert "WORKER TIMEOUT" not in slow.output
