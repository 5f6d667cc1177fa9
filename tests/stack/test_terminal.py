"""What a terminal shows of a stack, and `heliograph logs`, which prints the same."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from proxy_tests.processes import PYTHON, alive, clean_environment, descendants, until

from tests.stack.running import choose_ports

PATIENCE = 120.0

COMMAND = (PYTHON, "-m", "heliograph.cli")

APPLICATION = """\
import logging, sys
from flask import Flask

app = Flask(__name__)

@app.get("/")
def hello():
    print("printed by the view")
    sys.stderr.write("half a ")
    sys.stderr.write("line\\n")
    app.logger.warning("logged by the view")
    return "<h1>hello</h1>"

@app.get("/docs")
def docs():
    return "how to use it"
"""


class Terminal:
    """A stack of one instance on a terminal of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.ports = root, choose_ports()
        self._bytes = bytearray()
        self._master, slave = pty.openpty()
        settings = {**self.ports.settings(), "HELIOGRAPH_INSTANCES": "1", "HELIOGRAPH_NGINX": "0"}
        self._process = subprocess.Popen(
            [*COMMAND, "run", "hello"],
            cwd=root,
            env=clean_environment(settings),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while piece := os.read(self._master, 65536):
                self._bytes += piece
        except OSError:  # nobody has the other end any more
            return

    @property
    def text(self) -> str:
        return self._bytes.decode().replace("\r\n", "\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.nginx}"

    def wait_for(self, pattern: str) -> str:
        until(lambda: re.search(pattern, self.text, re.MULTILINE) is not None, pattern, PATIENCE)
        return self.text

    def stop(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        pids = descendants(self._process.pid)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        until(lambda: not any(alive(pid) for pid in pids), "the end of all parts", PATIENCE)
        self._reader.join()
        os.close(self._master)

    def logs(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "logs", *arguments]
        environment = clean_environment({})
        return subprocess.run(
            command,
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    root = tmp_path_factory.mktemp("a project ünd so")
    (root / "hello.py").write_text(APPLICATION)
    running = Terminal(root)
    try:
        running.wait_for("^  documentation .*\n\n")
        yield running
    finally:
        running.close()


def test_progress_comes_first_and_the_addresses_last(terminal: Terminal) -> None:
    before, _, after = terminal.text.partition("Heliograph runs; Ctrl-C stops it.\n")
    lines = [line for line in before.splitlines() if line]
    assert len(lines) < 15
    steps = ["starting web1", "web1 answers", "starting proxy", "proxy answers", "serving hello; "]
    positions = [before.index(f"stack | {step}") for step in steps]
    assert positions == sorted(positions)
    assert all(re.match(r"(stack|web1 |proxy) \| \S", line) for line in lines), lines
    addresses = dict(line.split() for line in after.splitlines()[1:4])
    assert addresses == {
        "service": terminal.url,
        "dashboard": f"http://127.0.0.1:{terminal.ports.admin}/",
        "documentation": f"{terminal.url}/docs",
    }
    assert "text/html" in requests.get(addresses["dashboard"], timeout=PATIENCE).headers["Content-Type"]


def test_each_line_has_its_parts_name_and_a_request_is_one_line_of_the_proxy(terminal: Terminal) -> None:
    assert requests.get(f"{terminal.url}/?once", timeout=PATIENCE).text == "<h1>hello</h1>"
    terminal.wait_for(r"^proxy \| 127\.0\.0\.1 - - .*\?once")
    text = terminal.wait_for(r"^web1  \| .*WARNING hello: logged by the view")
    assert "\nweb1  | printed by the view\n" in text
    assert "\nweb1  | half a line\n" in text
    assert len([line for line in text.splitlines() if "?once" in line]) == 1
    assert "heliograph run" not in text.replace("`heliograph run`", "")  # the questions of the manager itself


def test_logs_prints_what_was_shown_of_all_or_of_one_part(terminal: Terminal) -> None:
    requests.get(f"{terminal.url}/?logs", timeout=PATIENCE)
    terminal.wait_for(r"^proxy .*\?logs")
    everything = terminal.logs()
    assert (everything.returncode, everything.stderr) == (0, "")
    assert all(line in everything.stdout for line in terminal.text.splitlines() if " | " in line)
    proxy = terminal.logs("proxy").stdout.splitlines()
    assert proxy
    assert all(line.startswith("proxy | ") for line in proxy)
    told = [json.loads(line) for line in terminal.logs("web1", "--json").stdout.splitlines()]
    assert {"part": "web1", "message": "printed by the view"} in told
    assert {line["part"] for line in told} == {"web1"}
    unknown = terminal.logs("web7")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "heliograph: 'web7' is no part of this stack; it has web1, proxy, stack\n"


def test_followed_logs_end_with_the_stack(terminal: Terminal) -> None:
    command = [*COMMAND, "logs", "--follow", "stack"]
    environment = clean_environment({})
    with subprocess.Popen(
        command, cwd=terminal.root, env=environment, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "stack | starting web1\n"
        assert terminal.stop() == 0
        rest, _ = following.communicate(timeout=PATIENCE)
        assert "stack | SIGINT: stopping; once more kills what is left\n" in rest
        assert following.returncode == 0
    assert terminal.logs().returncode == 3
