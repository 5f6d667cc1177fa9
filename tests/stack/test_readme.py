"""Every example of the README, run as a reader would, against a stack that runs from a copy of the checkout."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, ROOT
from websockets.sync.client import connect

from heliograph.settings import environment, names
from heliograph.stack.options import groups
from tests.stack.checkout import copy_checkout
from tests.stack.running import Stack

BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: For any one example.
PATIENCE = 60


@dataclass(frozen=True)
class Block:
    language: str
    file: str | None
    text: str


@dataclass(frozen=True)
class Example:
    """Something to run, and what it prints; ``…`` in it stands for anything."""

    language: str
    program: str
    output: str

    @property
    def title(self) -> str:
        return self.program.strip().splitlines()[0][:70]


BLOCKS = [Block(*match.groups()) for match in BLOCK.finditer((ROOT / "README.md").read_text())]


def console_examples(text: str) -> Iterator[Example]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield Example("console", command, output)


def examples() -> Iterator[Example]:
    for block, following in zip(BLOCKS, [*BLOCKS[1:], None], strict=True):
        if block.language == "console":
            yield from console_examples(block.text)
        elif block.language == "python" and block.file is None:
            assert following is not None, "the README says what each program prints"
            assert following.language == "text", "the README says what each program prints"
            yield Example("python", block.text, following.text)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the README's own blueprint on it."""
    folder = tmp_path_factory.mktemp("readme")
    root = copy_checkout(folder)
    for block in BLOCKS:
        if block.file:
            with (root / block.file).open("a") as file:
                file.write(block.text)
    with Stack(folder, root=root).started() as running:
        assert running.has_nginx
        yield running


def at_ports_of(stack: Stack, text: str) -> str:
    for usual, port in ((8080, stack.ports.nginx), (8001, stack.ports.admin), (8100, stack.ports.base)):
        text = text.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{port}")
    return text


def run(example: Example, stack: Stack, folder: Path) -> str:
    program = at_ports_of(stack, example.program)
    command = (
        ["bash", "-c", f"set -o pipefail; {program}"]
        if example.language == "console"
        else [PYTHON, "-c", program]
    )
    # As a reader has it who stands in the checkout with its .venv activated.
    path = f"{Path(PYTHON).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(stack.root), "PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def pattern_of(expected: str) -> str:
    return ".*?".join(re.escape(part) for part in expected.strip().split("…"))


@pytest.mark.parametrize("example", list(examples()), ids=lambda e: e.title)
def test_an_example_prints_what_the_readme_says(example: Example, stack: Stack, tmp_path: Path) -> None:
    printed = run(example, stack, tmp_path).replace("\r\n", "\n").strip()
    assert re.fullmatch(pattern_of(at_ports_of(stack, example.output)), printed, re.DOTALL), printed


def test_the_websocket_of_the_readmes_blueprint_answers(stack: Stack) -> None:
    with connect(f"{stack.websocket_url}/ws/hello") as socket:
        socket.send("world")
        assert socket.recv() == "hello world"


def test_the_readme_names_every_setting_it_should() -> None:
    text = (ROOT / "README.md").read_text()
    internal = {"HELIOGRAPH_INSTANCE"}
    assert [
        name
        for name in sorted(names(groups(environment())) - internal)
        if name.startswith("HELIOGRAPH_") and name not in text
    ] == []
