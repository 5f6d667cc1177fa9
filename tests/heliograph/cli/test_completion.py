"""`heliograph completion`: the scripts, tried in the shells themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from heliograph.cli import COMMANDS, KINDS
from heliograph.cli.completion import WORDS, script
from heliograph.cli.export import MAKERS
from tests.heliograph.cli.calling import called

ASKING = '\nCOMP_WORDS=({words} "{last}"); COMP_CWORD={position}; _heliograph; echo "${{COMPREPLY[*]}}"\n'


def completed(*words: str) -> list[str]:
    """What bash offers for the last word."""
    asking = ASKING.format(words=" ".join(words[:-1]), last=words[-1], position=len(words) - 1)
    ended = subprocess.run(
        ["bash", "--norc", "-u", "-c", script("bash") + asking], capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_bash_completes_commands_and_what_they_take() -> None:
    assert completed("heliograph", "") == [*COMMANDS, "--help", "--version"]
    assert completed("heliograph", "sto") == ["stop"]
    assert completed("heliograph", "status", "--s") == ["--state"]
    assert completed("heliograph", "proxy", "dr") == ["drain"]
    assert completed("heliograph", "completion", "") == ["bash", "zsh", "--help"]
    assert completed("heliograph", "status", "--state", "x") == []


@pytest.mark.parametrize("command", WORDS)
def test_what_is_completed_is_what_the_command_tells_of_itself(tmp_path: Path, command: str) -> None:
    told = called(command, "--help", cwd=tmp_path).stdout
    options = set(re.findall(r"--[a-z-]+", told)) - {"--help"}
    options -= {"--json"} if command == "proxy" else set()  # heliograph-proxy's
    assert options == {word for word in WORDS[command] if word.startswith("--")} - (
        {"--json"} if command == "proxy" else set()
    )
    assert all(word in told for word in WORDS[command] if not word.startswith("--"))


def test_every_kind_of_export_has_what_makes_it() -> None:
    assert tuple(MAKERS) == KINDS


def test_the_script_for_zsh_is_that_of_bash_behind_what_makes_zsh_understand_it() -> None:
    assert script("zsh").endswith(script("bash"))
    assert "bashcompinit" in script("zsh")


def test_another_shell_is_refused_in_one_line(tmp_path: Path) -> None:
    ended = called("completion", "fish", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
