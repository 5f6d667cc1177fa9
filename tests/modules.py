"""Our own modules as an import graph, read from their syntax trees. Pure of imports: nothing of ours is loaded."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Where the import path of each distribution begins, and the folders below the root that are no distribution.
SOURCE_FOLDERS = ("src", "proxy/src", "clients/python/src", "codecs/src")
TOP_FOLDERS = ("app", "conf", "script")


@dataclass(frozen=True)
class Module:
    """`name` as it is imported, `path` of its file."""

    name: str
    path: Path

    @property
    def shown(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def distribution(self) -> str:
        return self.name.split(".")[0]

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@functools.cache
def modules() -> dict[str, Module]:
    """All product modules by name; tests and benchmarks are not among them."""
    found = [_module(path, ROOT / folder) for folder in SOURCE_FOLDERS for path in _files(ROOT / folder)]
    found += [_module(path, ROOT) for folder in TOP_FOLDERS for path in _files(ROOT / folder)]
    found.append(_module(ROOT / "wsgi.py", ROOT))
    return {module.name: module for module in found}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "vendor" not in path.parts)


def _module(path: Path, start: Path) -> Module:
    parts = path.relative_to(start).with_suffix("").parts
    return Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


def imported(module: Module) -> Iterator[str]:
    """Full names of what a module imports anywhere in its file: of a module of ours, or of something else."""
    known = modules()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in known else base


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


@functools.cache
def imports_of_ours(name: str) -> frozenset[str]:
    """Names of our modules that this one imports, TYPE_CHECKING and imports inside functions included."""
    return frozenset(other for other in imported(modules()[name]) if other in modules() and other != name)


def foreign(module: Module) -> set[str]:
    """Top-level names of what a module imports."""
    return {name.split(".")[0] for name in imported(module) if name}


def cycles() -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm (1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in imports_of_ours(name):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in modules():
        if name not in index:
            visit(name)
    return found


def reachable(name: str) -> set[str]:
    """Our modules that this one imports when it is loaded, and so on; not the packages they lie in."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        if here in seen or here not in modules():
            continue
        seen.add(here)
        waiting += _loaded_at_once(here)
    return seen


@functools.cache
def _loaded_at_once(name: str) -> list[str]:
    module = modules()[name]
    body = ast.Module(
        body=[node for node in module.tree.body if not _type_checking(node) and not _is_definition(node)],
        type_ignores=[],
    )
    outer = Module(module.name, module.path)
    found = []
    for node in ast.walk(body):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(outer, node)
            inner = [f"{base}.{alias.name}" for alias in node.names]
            found += [one if one in modules() else base for one in inner]
    return found


def top_level_imports(name: str) -> set[str]:
    """Full names of what this module imports when it is loaded."""
    return set(_loaded_at_once(name))


def _type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _is_definition(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
