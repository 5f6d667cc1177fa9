"""What the commands share: how arguments are read, and how a command ends that cannot do what it was asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from heliograph.cli import refuse
from heliograph.given import SettingError
from heliograph.stack.admin import AdminError

#: The exit status of a command that acts on a running stack, where none runs; as of `systemctl status`.
NOT_RUNNING = 3

STATUSES = (
    "Exit status: 0; 1 where something is wrong, which one line says; 2 where the call is not understood; "
    "3 where no stack runs."
)


class NoStack(Exception):
    """No stack runs there. Its text is one line."""


class CannotAct(Exception):
    """The command cannot do what it was asked. Its text is one line."""


class CommandParser(argparse.ArgumentParser):
    """argparse's own, which tells an error in one line."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(
            prog=f"heliograph {name}", description=description, epilog=STATUSES, allow_abbrev=False
        )
        self._command = name

    def error(self, message: str) -> NoReturn:
        raise SystemExit(refuse(f"{self._command}: {message}"))

    def takes_state(self) -> CommandParser:
        self.add_argument("--state", metavar="DIR", help="the state folder of another stack")
        return self

    def takes_json(self) -> CommandParser:
        self.add_argument("--json", action="store_true", help="print JSON")
        return self


@contextmanager
def ending_in_one_line() -> Iterator[None]:
    """What is wrong with the project or the stack becomes one line and an exit status."""
    try:
        yield
    except BrokenPipeError:  # `heliograph` itself knows what that means
        raise
    except NoStack as exc:
        _end(exc, NOT_RUNNING)
    except (CannotAct, SettingError, AdminError, OSError) as exc:
        _end(exc, 1)


def _end(error: Exception, status: int) -> NoReturn:
    print(f"heliograph: {error}", file=sys.stderr)
    raise SystemExit(status) from None
