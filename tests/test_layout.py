"""The invariants of ARCHITECTURE.md, checked by a walk over the syntax trees of our own files."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from tests.modules import (
    ROOT,
    Module,
    cycles,
    foreign,
    imports_of_ours,
    modules,
    reachable,
    top_level_imports,
)

ALL = sorted(modules().values(), key=lambda module: module.shown)

#: What each distribution may import beside the standard library.
ALLOWED = {
    "heliograph_proxy": {"heliograph_proxy", "gevent", "greenlet", "prometheus_client", "itsdangerous"},
    "heliograph_client": {"heliograph_client", "websockets"},
    "wirecodes": {"wirecodes", "brotli", "backports", "compression"},
}

#: Packages of heliograph from left to right: each may import itself and those to its right.
ORDER = (
    "cli",
    "stack",
    "extension",
    "jobs",
    "channels",
    "server",
    "websocket",
    "request",
    "settings",
    "problems",
)

#: `stack`, `cli` and `testing` stand side by side at the left end; `options` lists all groups of settings;
#: `given`, `defaults`, `application` and `overriding` belong to `settings`, `installation` to `extension`.
SAME_PLACE = {
    "stack": "cli",
    "testing": "cli",
    "options": "extension",
    "installation": "extension",
    "given": "settings",
    "application": "settings",
    "overriding": "settings",
    "defaults": "settings",
}

#: What a process of Gunicorn starts from stands at the left end: it reads the settings of all packages, and none imports it.
STARTS = {"heliograph.server.config", "heliograph.server.closed_config"}

#: What a pure module does without: an event loop, sockets, threads, a clock, chance.
IMPURE = {"gevent", "socket", "time", "secrets", "threading", "select", "random"}

PATCHING = {
    "wsgi.py",
    "app/__main__.py",
    "conf/gunicorn.conf.py",
    "src/heliograph/cli/load.py",
    "src/heliograph/server/config.py",
}

READING_ENVIRONMENT = {
    "src/heliograph/settings.py",
    "proxy/src/heliograph_proxy/settings.py",
}

#: Statuses that are errors, less those that are also lengths or days in some tables.
ERROR_STATUSES = {
    status.value for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST and status not in (416, 503)
}

MAX_FUNCTION, MAX_FILE, MAX_CLASS, MAX_METHODS, MAX_PARAMETERS = 60, 300, 200, 12, 6

#: Class names of several distributions, with the reason.
SAME_NAME: dict[str, str] = {
    **dict.fromkeys(
        ("BadCursor", "BadName", "Cursor", "Lost", "Message", "Subscription"),
        "one thing, in the server and in the client, which imports nothing of the server",
    ),
    **dict.fromkeys(
        (
            "BadRequest",
            "ExpectationFailed",
            "NotAvailable",
            "VersionNotSupported",
            "BodyTooLarge",
            "Forbidden",
            "InternalError",
            "MethodNotAllowed",
            "NotFound",
            "Problem",
            "RequestTimeout",
            "TooManyRequests",
            "Unavailable",
            "UnsupportedMediaType",
        ),
        "the same type of problem (RFC 9457), answered by the proxy and by the library",
    ),
}


def shown(module: Module) -> str:
    return module.shown


def of(*distributions: str) -> list[Module]:
    return [module for module in ALL if module.distribution in distributions]


def pure(module: Module) -> bool:
    text = ast.get_docstring(module.tree) or ""
    return text.split("\n")[0].endswith("Pure.")


PURE = [module for module in ALL if pure(module)]


def test_enough_modules_are_seen() -> None:
    assert len(ALL) > 250
    assert len(PURE) > 50


@pytest.mark.parametrize("module", of("heliograph_proxy", "heliograph_client", "wirecodes"), ids=shown)
def test_a_distribution_needs_only_what_it_declares(module: Module) -> None:
    assert foreign(module) - set(sys.stdlib_module_names) - {"__future__"} <= ALLOWED[module.distribution]


@pytest.mark.parametrize("module", of("heliograph"), ids=shown)
def test_the_library_knows_no_application_and_only_pure_modules_of_the_proxy(module: Module) -> None:
    assert not foreign(module) & {"app", "wirecodes", "conf", "script", "heliograph_client"}
    others = {name for name in imports_of_ours(module.name) if name.startswith("heliograph_proxy.")}
    assert [name for name in others if not pure(modules()[name])] == []


@pytest.mark.parametrize("module", of("app", "wsgi"), ids=shown)
def test_the_application_stands_on_the_libraries_only(module: Module) -> None:
    assert not foreign(module) & {"heliograph_proxy", "heliograph_client", "conf", "script"}


def place(name: str) -> int | None:
    """Of a module of heliograph in ORDER; None for the package itself."""
    parts = name.split(".")
    if parts[0] != "heliograph" or len(parts) < 2:
        return None
    return ORDER.index("extension" if name in STARTS else SAME_PLACE.get(parts[1], parts[1]))


@pytest.mark.parametrize("module", [m for m in of("heliograph") if m.name != "heliograph"], ids=shown)
def test_packages_of_the_library_import_to_the_right_only(module: Module) -> None:
    here = place(module.name)
    assert here is not None
    places = {name: place(name) for name in imports_of_ours(module.name)}
    assert [name for name, there in places.items() if there is not None and there < here] == []


@pytest.mark.parametrize("module", of("heliograph"), ids=shown)
def test_no_import_is_hidden_in_a_text(module: Module) -> None:
    assert not re.search(r"""import_module\(\s*["']heliograph""", module.text)


def test_there_is_no_import_cycle() -> None:
    assert cycles() == []


@pytest.mark.parametrize("module", PURE, ids=shown)
def test_a_pure_module_only_computes_and_so_does_all_it_imports(module: Module) -> None:
    for name in reachable(module.name):
        assert not {one.split(".")[0] for one in top_level_imports(name)} & IMPURE, name
    assert not foreign(module) & IMPURE
    called = {
        node.func.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "Random" not in called, "chance enters as an argument"
    asked = {
        node.func.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not asked & {"now", "utcnow", "today", "urandom", "uuid4"}, "time and chance enter as arguments"


def test_python_is_patched_only_where_a_process_starts() -> None:
    pattern = re.compile(
        r"^\s*([\w.]+\.)?patch_\w+\(|^\s*from gevent\.monkey import .*\bpatch_", re.MULTILINE
    )
    assert {module.shown for module in ALL if pattern.search(module.text)} == PATCHING


def test_wsgi_patches_in_its_first_two_lines() -> None:
    lines = (ROOT / "wsgi.py").read_text().splitlines()
    assert lines[:2] == ["from gevent import monkey", "monkey.patch_all()"]


def reads_environment(node: ast.AST) -> bool:
    """Whether this is `os.environ` or the like, or imports it."""
    names = {"environ", "environb", "getenv", "getenvb"}
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name in names for alias in node.names)
    return (
        isinstance(node, ast.Attribute)
        and node.attr in names
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    )


def test_the_environment_is_read_in_the_settings_only() -> None:
    reading = {
        module.shown
        for module in ALL
        if not module.shown.startswith("script/") and any(map(reads_environment, ast.walk(module.tree)))
    }
    assert reading <= READING_ENVIRONMENT


def statuses(module: Module) -> Iterator[int]:
    """Error statuses that a file writes down in calls; comparisons are not meant."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            named = [k.value for k in node.keywords if k.arg in ("status", "code", "status_code")]
            for value in [*node.args, *named]:
                if (
                    isinstance(value, ast.Constant)
                    and isinstance(value.value, int)
                    and value.value in ERROR_STATUSES
                ):
                    yield value.value


@pytest.mark.parametrize(
    "module",
    [
        m
        for m in of("heliograph", "heliograph_proxy", "app")
        if m.path.name not in ("errors.py", "problems.py")
    ],
    ids=shown,
)
def test_statuses_of_errors_stand_with_the_problems_only(module: Module) -> None:
    assert list(statuses(module)) == []


def test_the_folder_of_the_codecs_is_no_package() -> None:
    assert not (ROOT / "codecs" / "__init__.py").exists()


def test_the_application_package_is_empty() -> None:
    assert (ROOT / "app" / "__init__.py").read_text() == ""


def measured(module: Module) -> Iterator[str]:
    """What in a file is larger than it should be."""
    lines = module.text.count("\n")
    if lines > MAX_FILE:
        yield f"{module.shown}: {lines} lines"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            limit = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            if length > limit:
                yield f"{module.shown}: {node.name} has {length} lines"
        if isinstance(node, ast.ClassDef):
            yield from _class_shape(module, node)


def _class_shape(module: Module, node: ast.ClassDef) -> Iterator[str]:
    methods = [f for f in node.body if isinstance(f, ast.FunctionDef) and not f.decorator_list]
    public = [f for f in methods if not f.name.startswith("_")]
    if len(public) > MAX_METHODS:
        yield f"{module.shown}: {node.name} has {len(public)} public methods"
    for method in methods:
        if (
            method.name == "__init__"
            and len(method.args.args) + len(method.args.kwonlyargs) > MAX_PARAMETERS + 1
        ):
            yield f"{module.shown}: {node.name} has too many constructor parameters"


def test_functions_classes_and_files_stay_small() -> None:
    assert [row for module in ALL for row in measured(module)] == []


def test_no_class_name_stands_for_two_things() -> None:
    places = defaultdict(list)
    for module in ALL:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module.shown)
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in SAME_NAME} == {}


@pytest.mark.parametrize("module", [m for m in ALL if not m.is_package or m.text], ids=shown)
def test_a_file_opens_with_its_contract(module: Module) -> None:
    assert ast.get_docstring(module.tree) or re.search(r"^# .+", module.text, re.MULTILINE), (
        "what belongs here?"
    )


def test_tests_mock_nothing() -> None:
    tests = [
        path
        for folder in ("tests", "codecs/tests", "proxy/tests", "clients")
        for path in (ROOT / folder).rglob("*.py")
    ]
    for path in tests:
        assert not re.search(r"^\s*(from|import) (unittest\.)?mock\b", path.read_text(), re.MULTILINE), path
        assert "unittest" + ".mock" not in path.read_text(), path


def test_tests_run_coroutines_in_a_loop_of_their_own() -> None:
    """Where a test with a browser came before in the same process, its loop is running still."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert "asyncio.run" + "(" not in path.read_text(), path


def test_the_architecture_fits_on_two_pages() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 120


def test_no_old_path_is_named() -> None:
    """Documents name files that exist."""
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        path = ROOT / name
        if not path.exists():
            continue
        named = re.findall(
            r"`((?:src|app|proxy|clients|codecs|tests|conf|nginx|script|docs|bench)/[\w./-]*)`",
            path.read_text(),
        )
        assert [one for one in named if not (ROOT / one).exists()] == [], name


def test_the_table_of_moved_files_leads_to_files_that_exist() -> None:
    rows = [line.split("|") for line in (ROOT / "docs/moved.md").read_text().splitlines() if "`" in line]
    new = [path.strip(" `") for row in rows if len(row) > 3 for path in row[2].split(",")]
    assert len(new) > 200
    assert [path for path in new if not (ROOT / path).exists()] == []
