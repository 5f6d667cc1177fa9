"""Where Python keeps the bytecode of a project: in the state folder, since a stack writes nowhere else.

That of installed packages stays where it is, as it was compiled with them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from typing import Any

from heliograph_proxy.files import FILE_MODE, make_folder

#: The folder in the state folder.
NAME = "pycache"

#: Folders of installed packages, which may lie inside a project.
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def keep(state: Path, sources: Iterable[Path]) -> None:
    """From now on, for modules below `sources`. Not where somebody has said already where bytecode goes, or that there is none."""
    if sys.dont_write_bytecode or sys.pycache_prefix is not None:
        return
    folders = [one.resolve() for one in sources]
    loader = type("ProjectLoader", (ProjectLoader,), {"prefix": str(state.resolve() / NAME)})
    details: list[tuple[Any, list[str]]] = [
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (loader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    ]

    def find(entry: str) -> FileFinder:
        path = Path(entry or ".").resolve()
        if not path.is_dir() or _INSTALLED & set(path.parts) or not any(map(path.is_relative_to, folders)):
            raise ImportError(entry)  # for another hook
        return FileFinder(entry, *details)

    sys.path_hooks.insert(0, find)
    sys.path_importer_cache.clear()


class ProjectLoader(SourceFileLoader):
    """Python's own, which looks for bytecode elsewhere."""

    prefix = ""

    def get_code(self, fullname: str) -> Any:
        before, sys.pycache_prefix = sys.pycache_prefix, self.prefix
        try:
            return super().get_code(fullname)
        finally:
            sys.pycache_prefix = before

    def set_data(self, path: str, data: Any, *, _mode: int = FILE_MODE) -> None:
        try:
            make_folder(Path(path).parent)
        except OSError:  # a full disk is no reason not to run
            return
        super().set_data(path, data, _mode=FILE_MODE)
