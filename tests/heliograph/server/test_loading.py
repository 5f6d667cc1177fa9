"""An application by its name: every form that is allowed, and one line for what is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from heliograph.application import ApplicationName, Call, read
from heliograph.server.loading import CannotLoad, alive, load, tell

_numbers = itertools.count()

FACTORIES = """\
def application(environ, start_response): ...
def create_app(name="none", size=0, **more):
    def made(environ, start_response): ...
    made.told = name, size, more
    return made
class space:
    app = application
value = 7
def broken():
    raise RuntimeError("broken on\\npurpose")
def ends():
    raise SystemExit("no database")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module with applications, which no other test has imported."""
    return written(tmp_path, monkeypatch, FACTORIES)


def written(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    name = f"loaded_{next(_numbers)}"
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("wsgi", ApplicationName("wsgi")),
        ("a.b:app", ApplicationName("a.b", ("app",))),
        ("a:space.app", ApplicationName("a", ("space", "app"))),
        ("a:make()", ApplicationName("a", ("make",), Call())),
        (
            'a:make("x", 2, {"k": [None]}, debug=True)',
            ApplicationName("a", ("make",), Call(("x", 2, {"k": [None]}), {"debug": True})),
        ),
    ],
)
def test_names_are_read(text: str, name: ApplicationName) -> None:
    assert read(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":app",
        "a b:app",
        "a/b.py",
        "a:",
        "a:1",
        "a:f(x)",
        "a:f(*[1])",
        "a:f(**{})",
        "a:f(open('x'))",
        "a:f()()",
        "a:f(",
        "a:\0",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(text)
    with pytest.raises(CannotLoad, match="cannot be read: "):
        load(text)


def test_a_callable_a_factory_and_a_module_are_loaded(module: str) -> None:
    assert load(f"{module}:application").__name__ == "application"
    assert load(f"{module}:space.app").__name__ == "application"
    assert load(module).__name__ == "application"
    assert load(f'{module}:create_app("x", 2, z=[1])').told == ("x", 2, {"z": [1]})


def test_a_module_with_a_factory_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = written(tmp_path, monkeypatch, FACTORIES.replace("application", "other"))
    assert load(name).told == ("none", 0, {})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "no_such_module:app",
            "there is no module no_such_module; the project's folder and HELIOGRAPH_PYTHONPATH are",
        ),
        ("{}:app", "the module {} has no app; it has application, create_app"),
        ("{}:value", "{}:value is no WSGI application: it is of type int, which cannot be called"),
        ("{}:value()", "{}:value is no factory: it is of type int, which cannot be called"),
        ("{}:broken()", "{}:broken() fails: RuntimeError: broken on purpose"),
        ("{}:ends()", "{}:ends() fails: SystemExit: no database"),
    ],
)
def test_what_is_wrong_is_one_line(module: str, name: str, said: str) -> None:
    with pytest.raises(CannotLoad) as raised:
        load(name.format(module))
    assert str(raised.value).startswith(said.format(module))
    assert "\n" not in str(raised.value)


def test_the_traceback_begins_with_the_applications_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    inner = written(tmp_path, monkeypatch, "import json\njson.loads('{')\n")
    outer = written(tmp_path, monkeypatch, f"# the application\nimport {inner}\n")
    with pytest.raises(CannotLoad) as raised:
        load(f"{outer}:app")
    tell(raised.value)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{tmp_path}/{outer}.py", line 2, in <module>'
    assert lines[-1].startswith(
        f"The application cannot be loaded: {outer} cannot be imported: JSONDecodeError: Expecting"
    )


def test_a_package_that_the_application_lacks_is_not_taken_for_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, "import a_package_that_is_missing\n")
    with pytest.raises(
        CannotLoad, match="cannot be imported: ModuleNotFoundError: No module named 'a_package_that"
    ):
        load(name)


def test_who_ends_the_worker_with_our_own_status_has_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = written(tmp_path, monkeypatch, "raise SystemExit(3)\n")
    with pytest.raises(SystemExit):
        load(name)


def test_a_worker_that_loads_for_long_is_seen_to_be_alive() -> None:
    signs: list[int] = []
    with alive(lambda: signs.append(1)):
        end = len(signs) + 2
        while len(signs) < end:  # holds up the loop, as an import does
            pass
    assert len(signs) >= 2
