"""The invariants of ARCHITECTURE.md, checked by a walk over the syntax trees of our own files."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

SOURCES = sorted(
    path
    for folder in ("app", "proxy", "codecs/src", "conf", "script")
    for path in (ROOT / folder).rglob("*.py")
    if "vendor" not in path.parts
)
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "codecs" / "tests").rglob("*.py")])

#: Modules that only compute: no event loop, no sockets, no clock, no chance.
PURE = [
    *(ROOT / "app" / name for name in ("settings.py", "errors.py", "forwarding.py", "multipart.py")),
    *(
        ROOT / "app" / "websocket" / f"{name}.py"
        for name in ("handshake", "head", "frames", "masking", "fragments", "deflate", "referee", "inbound")
    ),
    *(
        ROOT / "app" / "channels" / f"{name}.py"
        for name in (
            *(
                "backoff",
                "cursor",
                "errors",
                "expiring",
                "history",
                "location",
                "message",
                "names",
                "plan",
                "position",
            ),
            *("presence", "rendering", "segment", "window"),
        )
    ),
    *(
        ROOT / "proxy" / f"{name}.py"
        for name in (
            "settings",
            "errors",
            "headers",
            "backends",
            "strategies",
            "retry",
            "readsize",
            "exposition",
            "history",
            "metrics",
        )
    ),
    *sorted((ROOT / "proxy" / "http1").glob("*.py")),
]

ALLOWED_IN_PROXY = {"gevent", "greenlet", "prometheus_client", "itsdangerous", "flask", "proxy"}
ALLOWED_IN_WIRECODES = {"wirecodes", "brotli", "backports", "compression"}

MAX_FUNCTION, MAX_FILE, MAX_CLASS, MAX_METHODS, MAX_PARAMETERS = 60, 300, 200, 12, 6


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> set[str]:
    """The top-level names of what a file imports."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def files_below(folder: str) -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


def foreign(path: Path) -> set[str]:
    return imports(path) - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", files_below("app"), ids=relative)
def test_the_application_knows_nothing_of_the_proxy(path: Path) -> None:
    assert not imports(path) & {"proxy", "conf", "script"}


@pytest.mark.parametrize("path", files_below("proxy"), ids=relative)
def test_the_proxy_stands_alone_and_patches_nothing(path: Path) -> None:
    assert foreign(path) <= ALLOWED_IN_PROXY
    assert "patch_all" not in path.read_text()


@pytest.mark.parametrize("path", files_below("codecs/src"), ids=relative)
def test_the_codecs_need_only_codec_packages(path: Path) -> None:
    assert foreign(path) <= ALLOWED_IN_WIRECODES


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_pure_modules_neither_wait_nor_talk(path: Path) -> None:
    assert not imports(path) & {"gevent", "socket", "time", "secrets", "threading", "select"}
    made = [
        node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert "Random" not in made, "chance enters as an argument"


def test_python_is_patched_only_where_a_process_starts() -> None:
    patching = {
        relative(path)
        for path in [*SOURCES, ROOT / "wsgi.py"]
        if re.search(r"^\s*(gevent\.)?monkey\.patch_", path.read_text(), re.MULTILINE)
    }
    assert patching == {"wsgi.py", "app/__main__.py", "conf/gunicorn.conf.py"}


def test_wsgi_patches_in_its_first_two_lines() -> None:
    assert (ROOT / "wsgi.py").read_text().splitlines()[:2] == [
        "from gevent import monkey",
        "monkey.patch_all()",
    ]


def test_the_environment_is_read_in_the_settings_only() -> None:
    reading = {
        relative(path)
        for path in SOURCES
        if any(
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv")
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            for node in ast.walk(tree(path))
        )
    }
    assert reading <= {
        "src/heliograph/settings.py",
        "proxy/src/heliograph_proxy/settings.py",
        "conf/gunicorn.conf.py",
        "src/heliograph/stack/options.py",
    }


def statuses(path: Path) -> Iterator[int]:
    """Error statuses that a file writes down: in calls and class attributes, not in comparisons."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            values = [
                *node.args,
                *(k.value for k in node.keywords if k.arg in ("status", "code", "status_code")),
            ]
            yield from (
                v.value
                for v in values
                if isinstance(v, ast.Constant) and isinstance(v.value, int) and v.value in ERROR_STATUSES
            )


ERROR_STATUSES = {
    400,
    401,
    403,
    404,
    405,
    408,
    409,
    411,
    413,
    414,
    415,
    417,
    421,
    422,
    426,
    429,
    431,
    500,
    501,
    502,
    504,
    505,
}


@pytest.mark.parametrize(
    "path", [p for p in files_below("app") + files_below("proxy") if p.name != "errors.py"], ids=relative
)
def test_statuses_of_errors_stand_in_errors_only(path: Path) -> None:
    assert list(statuses(path)) == []


def test_the_folder_of_the_codecs_is_no_package() -> None:
    assert not (ROOT / "codecs" / "__init__.py").exists()


def measured(path: Path) -> Iterator[str]:
    """What in a file is larger than it should be."""
    lines = path.read_text().count("\n")
    if lines > MAX_FILE:
        yield f"{relative(path)}: {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            limit = MAX_FUNCTION if isinstance(node, ast.FunctionDef) else MAX_CLASS
            if length > limit:
                yield f"{relative(path)}: {node.name} has {length} lines"
        if isinstance(node, ast.ClassDef):
            yield from _class_shape(path, node)


def _class_shape(path: Path, node: ast.ClassDef) -> Iterator[str]:
    methods = [f for f in node.body if isinstance(f, ast.FunctionDef) and not f.decorator_list]
    public = [f for f in methods if not f.name.startswith("_")]
    if len(public) > MAX_METHODS:
        yield f"{relative(path)}: {node.name} has {len(public)} public methods"
    for method in methods:
        if (
            method.name == "__init__"
            and len(method.args.args) + len(method.args.kwonlyargs) > MAX_PARAMETERS + 1
        ):
            yield f"{relative(path)}: {node.name} has too many constructor parameters"


def test_functions_classes_and_files_stay_small() -> None:
    assert [row for path in SOURCES for row in measured(path)] == []


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name != "__init__.py" or p.read_text()], ids=relative
)
def test_a_file_opens_with_its_contract(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(tree(path)) or re.search(r"^# .+", text, re.MULTILINE), "what belongs here?"


def test_tests_mock_nothing() -> None:
    for path in TESTS:
        assert not imports(path) & {"mock"}, path
        assert "unittest" + ".mock" not in path.read_text(), path


def test_the_architecture_fits_on_two_pages() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 120
