"""Tests in a process that is patched as the application is.

The engines wait with gevent's sockets and share their process with an event loop, so that is where they have to be tested; pytest's
own process stays as it is. `@patched` sends a test, with its arguments, to a child that lives for the session and runs it there.

As a program this file is that child: it reads requests line by line, and answers "ok" or a traceback.
"""

from __future__ import annotations

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import functools
import importlib
import inspect
import json
import os
import select
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT

#: Seconds for one test, in the child and, a little more, for the child.
PATIENCE = 90.0

#: The descriptor of the child's answers: what a test prints goes elsewhere.
_ANSWERS = 3


def patched(function: Callable[..., None]) -> Callable[..., None]:
    """Arguments of the test must be strings or paths."""

    @functools.wraps(function)
    def test(child: Child, **arguments: object) -> None:
        child.run(function, {name: str(value) for name, value in arguments.items()})

    own = inspect.signature(function)
    fixture = inspect.Parameter("child", inspect.Parameter.KEYWORD_ONLY)
    test.__signature__ = own.replace(parameters=[*own.parameters.values(), fixture])  # type: ignore[attr-defined]
    return test


class Child:
    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = -1

    def _start(self) -> subprocess.Popen[bytes]:
        answers, inner = os.pipe()
        command = f"exec {PYTHON} -m tests.heliograph.channels.patched {_ANSWERS}>&{inner} {inner}>&-"
        process = subprocess.Popen(
            ["/bin/bash", "-c", command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "proxy/tests")},  # as pytest has it here
            stdin=subprocess.PIPE,
            pass_fds=(inner,),
        )
        os.close(inner)
        self._process, self._answers = process, answers
        return process

    def run(self, function: Callable[..., None], arguments: dict[str, str]) -> None:
        process = self._process or self._start()
        request = {"module": function.__module__, "name": function.__name__, "arguments": arguments}
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = self._answer()
        if answer != "ok":
            pytest.fail(answer, pytrace=False)

    def _answer(self) -> str:
        ready, _, _ = select.select([self._answers], [], [], PATIENCE + 30)
        line = b""
        while ready and not line.endswith(b"\n"):
            piece = os.read(self._answers, 65536)
            if not piece:
                break
            line += piece
        if not line:
            self.close(kill=True)
            return "the child did not answer"
        return str(json.loads(line))

    def close(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if kill:
            process.kill()
        assert process.wait(30) == 0 or kill
        os.close(self._answers)


@pytest.fixture(scope="session")
def child() -> Iterator[Child]:
    """Parameters of tests that are `patched` name it; it starts with the first of them."""
    made = Child()
    yield made
    made.close()


def _serve() -> None:
    import gevent  # noqa: PLC0415 (pytest's process does without)

    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        try:
            function = inspect.unwrap(getattr(importlib.import_module(request["module"]), request["name"]))
            kinds = inspect.signature(function, eval_str=True).parameters
            arguments = {
                name: Path(text) if kinds[name].annotation is Path else text
                for name, text in request["arguments"].items()
            }
            with gevent.Timeout(PATIENCE, TimeoutError("the test takes too long")):
                function(**arguments)
            answer = "ok"
        except BaseException:
            answer = traceback.format_exc()
        os.write(_ANSWERS, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    _serve()
