"""The reader and the registry of settings. It knows no feature: each package declares its own settings in its `options.py`.

    class RequestOptions(Options):
        max_body: int = option(size(), 4 * GIB, "the longest body of a request, in bytes")

    settings = load(environ, (RequestOptions, ...))
    settings[RequestOptions].max_body

A setting has one definition: its name (`HELIOGRAPH_` and the attribute's name, unless another is given), its kind, its default and
its meaning. It is set by the environment, else by the file `heliograph.toml` of the project, whose keys are the names in lower case
without the prefix. `load` is pure: it returns `Settings` or raises `SettingError`, whose text is one line: what was set, its value,
what is allowed. This is the only module of the library that reads the environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar, cast, dataclass_transform

from heliograph_proxy.files import make_folder

from heliograph.defaults import InState, PerCore, state_folder
from heliograph.given import (
    FILE,
    PREFIX,
    PYPROJECT,
    FileError,
    Given,
    SettingError,
    from_file,
    from_pyproject,
    where,
)

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

DAY = 86_400

_SIZE = re.compile(r"(\d{1,15})\s*(?:(B|K|KB|KIB|M|MB|MIB|G|GB|GIB|T|TB|TIB))?", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1 << 40}

T = TypeVar("T")
G = TypeVar("G", bound="Options")


class NotAllowed(ValueError):
    """Raised by a kind. `value`: the part of the text that is wrong; `allowed`: what is allowed, if not the kind's own words."""

    def __init__(self, value: str | None = None, allowed: str | None = None) -> None:
        super().__init__(value or "")
        self.value, self.allowed = value, allowed


# Kinds of values.


@dataclass(frozen=True)
class ValueKind(Generic[T]):
    """`parse` makes a value of a text or raises NotAllowed; `allowed` says in words what it takes, `schema` to a JSON Schema."""

    parse: Callable[[str], T]
    allowed: str
    #: In a file lists stand for texts with commas.
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": ["string", "array"]})


def choice(*values: str) -> ValueKind[str]:
    def parse(text: str) -> str:
        if text not in values:
            raise NotAllowed
        return text

    numbers = [int(one) for one in values if one.isdigit()]  # a file may have them without quotes
    return ValueKind(parse, f"one of {', '.join(values)} is allowed", {"enum": [*values, *numbers]})


def integer(low: int, high: int) -> ValueKind[int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise NotAllowed
        return int(text)

    schema = {"type": ["integer", "string"], "minimum": low, "maximum": high, "pattern": r"^\d+$"}
    return ValueKind(parse, f"a whole number from {low} to {high} is allowed", schema)


def size(low: int = 1) -> ValueKind[int]:
    """Bytes: a whole number, or one with KiB, MiB, GiB or TiB behind it."""

    def parse(text: str) -> int:
        match = _SIZE.fullmatch(text)
        found = int(match[1]) * _FACTORS[(match[2] or "").upper()[:1]] if match else -1
        if not low <= found <= 1 << 50:
            raise NotAllowed
        return found

    allowed = f"a size of at least {low} bytes, such as 1048576, 64MiB or 4 GiB, is allowed"
    return ValueKind(parse, allowed, {"type": ["integer", "string"], "minimum": low})


def matching(pattern: str, allowed: str) -> ValueKind[str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise NotAllowed
        return text

    return ValueKind(parse, allowed, {"type": ["string", "number"], "pattern": f"^(?:{pattern})$"})


def items(text: str) -> tuple[str, ...]:
    """The parts of a list: separated by commas or white space."""
    return tuple(part for part in re.split(r"[,\s]+", text) if part)


TEXT: ValueKind[str] = ValueKind(str, "any text is allowed", {"type": ["string", "number"]})
FLAG: ValueKind[bool] = ValueKind(
    lambda text: choice("0", "1").parse(text) == "1", choice("0", "1").allowed, {"enum": [True, False, 0, 1]}
)
PORT = integer(1, 65535)


# One setting, and a group of them.


@dataclass(frozen=True)
class Setting(Generic[T]):
    """The definition of one setting. What is `secret` is shown neither in errors nor with the settings."""

    name: str
    kind: ValueKind[T]
    default: T | PerCore | InState
    meaning: str
    secret: bool = False

    def read(self, environ: Mapping[str, str], cores: int = 2) -> T:
        """Its value. An empty text means: not set. Raises SettingError."""
        text = environ.get(self.name, "").strip()
        if text:
            return self._parse(text, environ)
        if isinstance(self.default, PerCore):
            return cast(T, max(self.default.least, self.default.factor * cores))
        if isinstance(self.default, InState):
            return self._parse(self.default.within(state_folder(environ)), environ)
        return self.default

    def _parse(self, text: str, environ: Mapping[str, str]) -> T:
        try:
            return self.kind.parse(text)
        except NotAllowed as exc:
            shown = exc.value or ("…" if self.secret else text)
            raise SettingError(where(environ, self.name), shown, exc.allowed or self.kind.allowed) from exc


def option(
    kind: ValueKind[T], default: T | PerCore | InState, meaning: str, *, name: str = "", secret: bool = False
) -> T:  # in truth a dataclass field, whose value has this type
    """Define a setting as an attribute of a group."""
    definition = Setting(name, kind, default, meaning, secret)
    return cast(T, field(metadata={"setting": definition}, repr=not secret))


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
class Options:
    """A group of settings. A subclass is a frozen dataclass whose attributes are made by `option`."""

    #: The definitions by the names of their attributes.
    definitions: ClassVar[Mapping[str, Setting[Any]]] = {}

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        found = {one.name: cast("Setting[Any]", one.metadata["setting"]) for one in fields(cast(Any, cls))}
        cls.definitions = {
            attribute: replace(definition, name=definition.name or PREFIX + attribute.upper())
            for attribute, definition in found.items()
        }

    @classmethod
    def read(cls: type[G], environ: Mapping[str, str], cores: int = 2) -> G:
        """Raises SettingError for the first value that is not allowed."""
        return cls(**{name: setting.read(environ, cores) for name, setting in cls.definitions.items()})

    def require(self) -> None:
        """Check what only the machine can tell, such as whether a folder can be written. Raises SettingError."""


class Settings:
    """What this process was told: one immutable group for each class that was loaded."""

    __slots__ = ("_groups",)

    def __init__(self, groups: Iterable[Options]) -> None:
        self._groups = {type(group): group for group in groups}

    def __getitem__(self, group: type[G]) -> G:
        try:
            return cast(G, self._groups[group])
        except KeyError:
            raise LookupError(f"the settings of {group.__name__} were not loaded") from None

    def __iter__(self) -> Iterator[Options]:
        return iter(self._groups.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._groups == other._groups

    def __hash__(self) -> int:
        return hash(tuple(self._groups))

    def __repr__(self) -> str:
        return f"Settings({', '.join(map(repr, self))})"


def load(environ: Mapping[str, str], groups: Iterable[type[Options]], cores: int = 2) -> Settings:
    """The settings of these groups. Raises SettingError for the first value that is not allowed.

    `cores` is the number of processors, for defaults that depend on it.
    """
    return Settings(group.read(environ, cores) for group in groups)


def names(groups: Iterable[type[Options]]) -> frozenset[str]:
    """The variables that these groups read."""
    return frozenset(setting.name for group in groups for setting in group.definitions.values())


# The process and its machine.


def environment(options: Given | None = None) -> Given:
    """What this process was started with: options of its command line, below them its environment, and below that the file of this
    folder. Raises SettingError.
    """
    below = _of_files()
    # An empty variable means: not set.
    given = {name: value for name, value in os.environ.items() if value.strip() or name not in below}
    found = Given({**below, **given}, {k: v for k, v in below.origins.items() if k not in given})
    return found if options is None else Given({**found, **options}, {**found.origins, **options.origins})


def _of_files() -> Given:
    """The settings of the project in this folder."""
    if (text := _text_of(FILE)) is not None:
        return from_file(text)
    text = _text_of(PYPROJECT)
    return Given({}) if text is None else from_pyproject(text)


def _text_of(file: str) -> str | None:
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise FileError(file, f"cannot be read: {getattr(exc, 'strerror', '') or 'it is not UTF-8'}") from exc


@contextmanager
def exit_on_error(status: int = 1) -> Iterator[None]:
    """A SettingError inside ends the process with `status` and one line."""
    try:
        yield
    except SettingError as exc:
        print(exc, file=sys.stderr)
        raise SystemExit(status) from None


def from_environment(groups: Iterable[type[Options]], status: int = 1) -> Settings:
    """The settings of this process. A wrong one ends it with `status` and one line."""
    with exit_on_error(status):
        settings = load(environment(), groups, os.cpu_count() or 2)
        for group in settings:
            group.require()
        return settings


def require_folder(name: str, folder: str) -> None:
    """Make a folder where it is missing. Raises SettingError when no file without a name can be made in it."""
    try:
        make_folder(Path(folder))
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as exc:
        raise SettingError(
            name, folder, f"a folder that can be written to is allowed ({exc.strerror})"
        ) from exc
