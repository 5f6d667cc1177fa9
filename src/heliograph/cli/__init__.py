"""The command `heliograph`: one module a command, with a `main(arguments)` that returns the exit status.

A command's module is imported when the command is called: `heliograph --help` loads none of them.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import heliograph

#: What `heliograph proxy` passes on, all verbs of heliograph-proxy but `run`, and the kinds of files of `heliograph export`.
VERBS = ("check", "status", "drain", "ready", "maint", "weight", "add", "remove", "reload")
KINDS = ("systemd", "docker", "compose", "kubernetes", "monitoring", "nginx", "procfile")

#: Each command and its line of help. The module of this name in this package runs it.
COMMANDS = {
    "run": "run the whole stack of this folder in the foreground: instances, proxy and nginx",
    "status": "show the running stack of this folder",
    "stop": "end it",
    "logs": "print what its parts have written",
    "reload": "apply its changed settings and files",
    "rolling": "restart its instances one after another",
    "channels": "back up, shorten or copy the log of its channels",
    "new": "make a project to start from: an application, its tests, settings, a README",
    "settings": "print every setting: value, where it was set, default, meaning",
    "doctor": "name what is wrong with this machine, folder and configuration, and how to mend it",
    "proxy": "talk to its proxy: status, drain, ready, maint, weight …",
    "export": f"write files to deploy this project with: {', '.join(KINDS)}",
    "completion": "print what completes this command in a shell: bash, zsh",
}

#: What is wrong with how we were called, as argparse and the shell's own commands have it.
USAGE_STATUS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of `heliograph ARGUMENTS…`."""
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"heliograph {heliograph.__version__}")
        return 0
    if name not in COMMANDS:
        return refuse(f"{name!r} is not one of its commands: {', '.join(COMMANDS)}")
    try:
        status: int = importlib.import_module(f"heliograph.cli.{name}").main(rest)
        sys.stdout.flush()
    except (
        BrokenPipeError
    ):  # who read our output has enough, as `head`; nor shall Python try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def usage() -> str:
    rows = [f"  {name:<9} {text}" for name, text in COMMANDS.items()]
    return "\n".join(("usage: heliograph COMMAND …", "       heliograph --help | --version", "", *rows))


def is_help(arguments: Sequence[str]) -> bool:
    """Whether a command is asked what it does."""
    return bool({"-h", "--help"} & set(arguments))


def refuse(why: str) -> int:
    """Tell in one line why a call is not understood. The exit status."""
    print(f"heliograph: {why}", file=sys.stderr)
    return USAGE_STATUS
