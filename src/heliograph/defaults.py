"""Defaults of settings that depend on the machine, or on where a stack keeps its state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from heliograph.given import PREFIX


@dataclass(frozen=True)
class PerCore:
    """A default that depends on the number of processors."""

    factor: int
    least: int = 1

    def __str__(self) -> str:
        return f"{self.factor} × processors, at least {self.least}"


#: The folder of a running stack, and the variable that names it. Relative paths are relative to the project.
STATE_VARIABLE, DEFAULT_STATE = f"{PREFIX}STATE", "var"

#: From the manager to its instances: the first setting, as name=value, by which others than this machine reach the stack.
EXPOSED_VARIABLE = f"{PREFIX}EXPOSED"


@dataclass(frozen=True)
class InState:
    """A default that lies in the state folder."""

    name: str
    #: Of a URL whose path the file is.
    scheme: str = ""

    def __str__(self) -> str:
        return self.within(DEFAULT_STATE)

    def within(self, folder: str) -> str:
        return f"{self.scheme}{quote(folder) if self.scheme else folder}/{self.name}"


def state_folder(environ: Mapping[str, str]) -> str:
    """Where a running stack keeps what it writes."""
    return environ.get(STATE_VARIABLE, "").strip() or DEFAULT_STATE
