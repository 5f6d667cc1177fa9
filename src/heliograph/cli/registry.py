"""Every setting of a project: its value, where that was set, and what it means. Secrets are not told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from heliograph_proxy.trust import TrustedPeers

from heliograph.channels.location import Location
from heliograph.defaults import PerCore
from heliograph.given import PREFIX, SettingError, where
from heliograph.settings import GIB, MIB, Options, Setting

#: What is shown of a secret that is set.
HIDDEN = "…"

#: How the place of a value is called that nobody has set.
DEFAULT = "default"

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class Entry:
    """One setting as it is told. `value` and `default` are what JSON has for them."""

    name: str
    value: Any
    set_by: str
    default: Any
    meaning: str
    allowed: str
    #: What is wrong with the value, in one line.
    error: str = ""

    @property
    def key(self) -> str:
        """Its name in a file; nothing for what a platform sets."""
        return self.name.removeprefix(PREFIX).lower() if self.name.startswith(PREFIX) else ""


@dataclass(frozen=True)
class EntryGroup:
    """The settings of one feature."""

    title: str
    entries: tuple[Entry, ...]


def describe(groups: Iterable[type[Options]], environ: Mapping[str, str], cores: int) -> list[EntryGroup]:
    """All settings of these groups as `environ` sets them."""
    return [
        EntryGroup(
            (group.__doc__ or group.__name__).strip().rstrip("."),
            tuple(_entry(setting, environ, cores) for setting in group.definitions.values()),
        )
        for group in groups
    ]


def _entry(setting: Setting[Any], environ: Mapping[str, str], cores: int) -> Entry:
    text = environ.get(setting.name, "").strip()
    error = ""
    try:
        value = _shown(setting, setting.read(environ, cores), text)
    except SettingError as exc:
        error, value = str(exc), exc.value
    return Entry(
        name=setting.name,
        value=value,
        set_by=where(environ, setting.name) if text else DEFAULT,
        default=_default(setting),
        meaning=setting.meaning,
        allowed=setting.kind.allowed,
        error=error,
    )


def _default(setting: Setting[Any]) -> Any:
    """In words, where it depends on the machine."""
    if isinstance(setting.default, PerCore):
        return str(setting.default)
    return _shown(setting, setting.read({}), "")


def _shown(setting: Setting[Any], value: Any, text: str) -> Any:
    """A value as JSON has it, without what is secret. `text` is how it was set, for what JSON has no form for."""
    if isinstance(value, Location):
        return value.shown
    if setting.secret:
        return HIDDEN if value else ""
    if isinstance(value, TrustedPeers):
        return [*map(str, value.networks), *(["unix"] if value.unix else [])]
    if isinstance(value, (tuple, frozenset)) and all(isinstance(one, (str, int)) for one in value):
        return list(value) if isinstance(value, tuple) else sorted(value)
    return value if isinstance(value, (bool, int, float, str)) else text


def as_text(value: Any) -> str:
    """A value as a variable would have it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) and value >= MIB and not value % MIB:
        return f"{value // GIB} GiB" if not value % GIB else f"{value // MIB} MiB"
    if isinstance(value, list):
        return ",".join(map(as_text, value))
    return str(value)


def schema(groups: Iterable[type[Options]]) -> dict[str, Any]:
    """A JSON Schema of the project's file. What it does not know is a warning only, so it allows it."""
    properties = {}
    for setting in (one for group in groups for one in group.definitions.values()):
        if setting.name.startswith(PREFIX):
            known = {"description": f"{setting.meaning}; {setting.kind.allowed}", **setting.kind.schema}
            if not setting.secret and not isinstance(setting.default, PerCore):
                known["default"] = _default(setting)
            properties[setting.name.removeprefix(PREFIX).lower()] = known
    return {"$schema": DIALECT, "title": "heliograph.toml", "type": "object", "properties": properties}
