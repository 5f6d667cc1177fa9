"""Sees changes of a project's code, for `heliograph run --reload`.

It looks at the times of files, twice a second. A library that is told by the kernel would bring threads, which a process that
starts others must not have.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Seconds between two looks. A restart is promised within two.
INTERVAL = 0.5

#: Modules, and the templates that an application has read with them.
SUFFIXES = (".py", ".html", ".jinja", ".jinja2", ".j2")

#: Folders without code of the project; hidden ones and environments are none either.
_OTHERS = frozenset({"__pycache__", "node_modules", "site-packages"})

#: What an environment of Python has at its top.
_ENVIRONMENT = "pyvenv.cfg"


class CodeWatch:
    """The code in some folders; not what lies in the state folder."""

    def __init__(self, folders: Iterable[Path], state: Path) -> None:
        self._folders = list(dict.fromkeys(folders))
        self._state = os.path.realpath(state)
        self._seen = self._look()

    def changed(self) -> str:
        """A file that was changed, made or removed since the last look; nothing where there is none."""
        before, self._seen = self._seen, self._look()
        if before == self._seen:
            return ""
        return min(path for path, _ in before.items() ^ self._seen.items())

    def _look(self) -> dict[str, tuple[int, int]]:
        return {path: told for folder in self._folders for path, told in self._files(str(folder))}

    def _files(self, folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
        try:
            entries = list(os.scandir(folder))
        except OSError:  # removed meanwhile, or not for us
            return
        if any(entry.name == _ENVIRONMENT for entry in entries):
            return
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._has_code(entry):
                        yield from self._files(entry.path)
                elif entry.name.endswith(SUFFIXES):
                    found = entry.stat()
                    yield entry.path, (found.st_mtime_ns, found.st_size)
            except OSError:
                continue

    def _has_code(self, entry: os.DirEntry[str]) -> bool:
        hidden = entry.name.startswith(".") or entry.name in _OTHERS
        return not hidden and os.path.realpath(entry.path) != self._state
