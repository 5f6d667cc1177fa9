"""Settings as they were given: options, variables, those of the project's file, and what is wrong with one. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

PREFIX = "HELIOGRAPH_"

#: The settings of a project, in the folder it is started in. The environment wins.
FILE = "heliograph.toml"

#: Has them in its table [tool.heliograph] where a project has no FILE.
PYPROJECT = "pyproject.toml"


class SettingError(ValueError):
    """A setting has a value that is not allowed. Its text is one line for the person who set it."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}={value!r}: {allowed}")
        self.name, self.value, self.allowed = name, value, allowed


class FileError(SettingError):
    """The file of settings cannot be used. Its text is one line, too."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, "", reason)
        self.args = (f"{file}: {reason}",)


class Given(dict[str, str]):
    """Settings by the names of their variables. `origins` tells where those stand that no variable has set."""

    def __init__(self, values: Mapping[str, str], origins: Mapping[str, str] | None = None) -> None:
        super().__init__(values)
        self.origins: dict[str, str] = dict(origins or (values.origins if isinstance(values, Given) else {}))

    def changed(self, **values: str) -> Given:
        """The same with other values for some variables."""
        return Given({**self, **values}, {k: v for k, v in self.origins.items() if k not in values})


def where(environ: Mapping[str, str], name: str) -> str:
    """How the person who set a variable calls it: by its name, or by a file and its key."""
    return environ.origins.get(name, name) if isinstance(environ, Given) else name


def from_file(text: str, file: str = FILE) -> Given:
    """The settings in a file, by the names of their variables. Raises SettingError."""
    return _named(_document(text, file), f"{file}: ")


def from_pyproject(text: str) -> Given:
    """Those in the table [tool.heliograph] of the project's pyproject.toml. Raises SettingError."""
    tool = _document(text, PYPROJECT).get("tool")
    table = tool.get("heliograph", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise FileError(PYPROJECT, "tool.heliograph is no table")
    return _named(table, f"{PYPROJECT}: [tool.heliograph] ")


def from_options(options: Mapping[str, str]) -> Given:
    """Those of a command line, by the names of their variables."""
    return Given(options, {name: option_of(name) for name in options})


def option_of(name: str) -> str:
    """How a command line calls a setting."""
    return "--" + name.removeprefix(PREFIX).lower().replace("_", "-")


def _document(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise FileError(file, f"is no TOML: {exc}") from exc


def _named(values: Mapping[str, object], place: str) -> Given:
    found = {PREFIX + key.upper(): as_text(f"{place}{key}", value) for key, value in values.items()}
    return Given(found, {PREFIX + key.upper(): f"{place}{key}" for key in values})


def as_text(place: str, value: object) -> str:
    """A value of TOML as a variable would have it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, (str, int)) and "," not in str(one) for one in value):
        return ",".join(str(one) for one in value)
    # Not the value: it may be a secret.
    raise SettingError(
        place, type(value).__name__, "a text, a number, true, false or a list of these is allowed"
    )
