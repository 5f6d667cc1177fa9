"""Applications that do not work on the stack: what people are told, and that nothing is left."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, alive, answers, until

from tests.stack.running import Stack

PATIENCE = 30.0

BARE = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"slow"]
"""

#: It patches, forks, starts threads and answers whatever comes to its mind.
WILD = """\
from gevent import monkey
monkey.patch_all()
import multiprocessing, os, subprocess, sys, threading, time

if os.fork() == 0:
    time.sleep(1000)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()

def work(queue):
    queue.put(42)

def computed():
    queue = multiprocessing.Queue()
    process = multiprocessing.Process(target=work, args=(queue,))
    process.start()
    found = queue.get(timeout=60)
    process.join()
    return [str(found).encode()]

def forked():
    if os.fork() == 0:
        os._exit(0)
    return [b"forked"]

ANSWERS = {
    "/computed": computed,
    "/forked": forked,
    "/command": lambda: [subprocess.run(["echo", "-n", "said"], capture_output=True).stdout],
    "/none": lambda: None,
    "/text": lambda: "text",
    "/texts": lambda: ["text"],
    "/exit": lambda: sys.exit(4),
    "/raise": lambda: 1 / 0,
}
STATUSES = {"/status": (200, []), "/field": ("200 OK", [("A", 3)]), "/injected": ("200 OK", [("A", "x\\r\\nB: y")])}

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path != "/unstarted":
        start_response(*STATUSES.get(path, ("200 OK", [])))
    return ANSWERS.get(path, lambda: [b"well"])()
"""

#: The last line.
END = "web1 cannot start: it ended with status 3; its own lines above say why"

#: Longer than Gunicorn lets a worker be silent.
SLOW = 35


#: For a start on a busy machine.
LONG = 120.0


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
            "theirs:app is no WSGI application: it is of type int, which cannot be called",
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
        [told] = [line for line in broken.lines() if "cannot be loaded" in str(line["message"])]
        assert str(told["message"]).startswith(f"The application cannot be loaded: {said}")
        assert broken.lines()[-1]["message"] == END
        traceback = str(told.get("traceback", ""))
        start = "Traceback (most recent call last):\n"
        assert not traceback or traceback.startswith(f'{start}  File "{tmp_path}/project/theirs.py", line ')
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
        slow.wait_for_output("serving theirs; ", 110)
        assert requests.get(slow.url, timeout=PATIENCE).text == "slow"
        assert "WORKER TIMEOUT" not in slow.output


def test_of_several_instances_one_tells_what_is_wrong(tmp_path: Path) -> None:
    with stack(
        tmp_path, "raise RuntimeError('broken on purpose')\n", "theirs:app", "--instances=4"
    ) as broken:
        assert broken.wait(LONG) == 1
        told = [line for line in broken.lines() if "cannot be loaded" in str(line["message"])]
        assert [line["part"] for line in told] == ["web1"]
        ends = [line["message"] for line in broken.lines() if "cannot start" in str(line["message"])]
        assert ends == [END]


def test_changed_code_runs_soon_and_broken_code_waits_until_it_is_mended(tmp_path: Path) -> None:
    text = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'first']\n"
    with stack(tmp_path, text, "theirs", "--reload") as changing:
        changing.wait_for_output("serving theirs; ", LONG)
        pids = changing.pids()

        def answers_with(wanted: str) -> None:
            until(lambda: requests.get(changing.url, timeout=PATIENCE).text == wanted, wanted, LONG)

        answers_with("first")
        code = changing.root / "theirs.py"
        code.write_text(text.replace("first", "other"))  # of the same size, perhaps in the same second
        answers_with("other")
        assert changing.pids() == pids  # Gunicorn has kept its listener
        code.write_text("def app(:\n")
        changing.wait_for_output(
            "web1 ended with status 3; it is started again when the code has changed", LONG
        )
        code.write_text(text.replace("first", "third"))
        answers_with("third")
        assert changing.output.count("theirs.py has changed: instances are restarted") == 3
        (changing.var / "theirs.py").write_text("")
        (changing.root / "node_modules").mkdir()
        (changing.root / "node_modules/theirs.py").write_text("")
        code.write_text(text)
        answers_with("first")
        assert changing.output.count("has changed: instances are restarted") == 4
        assert not list(changing.root.rglob("*.pyc"))


def test_one_that_patches_forks_and_answers_wrong_types_serves_on(tmp_path: Path) -> None:
    with stack(tmp_path, WILD, "theirs") as wild:
        wild.wait_for_output("serving theirs; ", LONG)
        before = wild.pids()
        for path in ("none", "text", "texts", "status", "field", "injected", "unstarted", "exit", "raise"):
            # By the port of the instance: so the proxy has no reason to leave it out.
            answer = requests.get(f"{wild.instance_urls[0]}/{path}", timeout=LONG)
            assert answer.status_code == 500, path
            assert "B" not in answer.headers
        wanted = {"computed": "42", "forked": "forked", "command": "said", "": "well"}
        found = {path: requests.get(f"{wild.url}/{path}", timeout=LONG).text for path in wanted}
        assert found == wanted
        assert wild.pids() == before
        assert wild.announced()["documentation"] == ""  # though it answers at /docs as everywhere
        processes = wild.tree()
        assert wild.stop() == 0
    assert not [pid for pid in processes if alive(pid)]


SERVER = """\
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"first")

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_changed_code_runs_soon_in_another_server_too(tmp_path: Path) -> None:
    command = f"--command={shlex.join([PYTHON, 'theirs.py', '{port}'])}"
    with stack(tmp_path, SERVER, command, "--reload") as changing:
        changing.wait_for_output(r"serving \S+ theirs\.py .\{port\}.; ", LONG)
        assert requests.get(changing.url, timeout=PATIENCE).text == "first"
        (changing.root / "theirs.py").write_text(SERVER.replace("first", "other"))
        changing.wait_for_output("web1 answers again", LONG)
        assert requests.get(changing.url, timeout=PATIENCE).text == "other"
        assert "starting it again" not in changing.output  # it was not taken for one that has failed
