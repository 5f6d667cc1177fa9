"""Loads an application by its name, and says in one line what is wrong with it.

What goes wrong inside the application's own code is shown with its traceback, without the frames that led there.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Any

from gevent.monkey import get_original
from heliograph_proxy.batches import timestamp
from heliograph_proxy.masking import mask_secrets

from heliograph.application import CALLABLES, FACTORY, ApplicationName, Call, read
from heliograph.given import SettingError

#: After this status of a worker Gunicorn ends, too; after any other one it would start workers for ever.
BOOT_ERROR = 3

#: Seconds that an application has to be imported, and between two signs of life meanwhile.
MAX_LOADING, BEAT = 120.0, 1.0

_start_thread = get_original("_thread", "start_new_thread")
_sleep = get_original("time", "sleep")


class CannotLoad(Exception):
    """There is no application under this name. Its text is one line; its cause is what the application's code raised."""


def load(text: str) -> Any:
    """The WSGI application that is named. Raises CannotLoad."""
    try:
        name = read(text)
    except ValueError as exc:
        raise CannotLoad(f"the application {text!r} cannot be read: {exc}") from None
    found = _found(_module(name), name)
    if not callable(found):
        raise CannotLoad(
            f"{text} is no WSGI application: it is of type {type(found).__name__}, which cannot be called"
        )
    return found


def _module(name: ApplicationName) -> ModuleType:
    try:
        return import_module(name.module)
    except ModuleNotFoundError as exc:
        if exc.name and (name.module == exc.name or name.module.startswith(f"{exc.name}.")):
            raise CannotLoad(
                f"there is no module {exc.name}; the project's folder and HELIOGRAPH_PYTHONPATH are searched"
            ) from None
        raise CannotLoad(_failed(name.module, "cannot be imported", exc)) from exc
    except SettingError:
        raise
    except (Exception, SystemExit) as exc:
        _pass_on(exc)
        raise CannotLoad(_failed(name.module, "cannot be imported", exc)) from exc


def _pass_on(exc: BaseException) -> None:
    """Who ends the worker by this status knows us, and has said why."""
    if isinstance(exc, SystemExit) and exc.code == BOOT_ERROR:
        raise exc


def _failed(what: str, how: str, exc: BaseException) -> str:
    told = " ".join(str(exc).split())
    return f"{what} {how}: {type(exc).__name__}" + (f": {told}" if told else "")


def _found(module: ModuleType, name: ApplicationName) -> Any:
    if not name.attribute:
        return _searched(module)
    shown = ".".join(name.attribute)
    try:
        found = reduce(getattr, name.attribute, module)
    except AttributeError:
        raise CannotLoad(f"the module {name.module} has no {shown}{_others(module)}") from None
    return found if name.call is None else _made(found, f"{name.module}:{shown}", name.call)


def _searched(module: ModuleType) -> Any:
    for attribute in CALLABLES:
        if hasattr(module, attribute):
            return getattr(module, attribute)
    if hasattr(module, FACTORY):
        return _made(getattr(module, FACTORY), f"{module.__name__}:{FACTORY}", Call())
    raise CannotLoad(
        f"the module {module.__name__} has none of {', '.join((*CALLABLES, FACTORY))}; name its application as module:name"
    )


def _others(module: ModuleType) -> str:
    there = [name for name in (*CALLABLES, FACTORY) if hasattr(module, name)]
    return f"; it has {', '.join(there)}" if there else ""


def _made(factory: Any, shown: str, call: Call) -> Any:
    if not callable(factory):
        raise CannotLoad(
            f"{shown} is no factory: it is of type {type(factory).__name__}, which cannot be called"
        )
    try:
        return factory(*call.positional, **call.named)
    except SettingError:
        raise
    except (Exception, SystemExit) as exc:
        _pass_on(exc)
        raise CannotLoad(_failed(f"{shown}()", "fails", exc)) from exc


@contextmanager
def alive(notify: Callable[[], None]) -> Iterator[None]:
    """Meanwhile the arbiter sees that this worker works, though an import may hold up the loop: for at most MAX_LOADING seconds.

    By a native thread: the application may sleep as it likes. A loop that hangs later is found as ever.
    """
    over: list[bool] = []

    def beat() -> None:
        deadline = time.monotonic() + MAX_LOADING
        while not over and time.monotonic() < deadline:
            notify()
            _sleep(BEAT)

    _start_thread(beat, ())
    try:
        yield
    finally:
        over.append(True)


def tell(error: CannotLoad, style: str = "text") -> None:
    """Write the traceback of the application's own code, where that has failed, and one line; or both as a line of JSON."""
    message, shown, cause = f"The application cannot be loaded: {error}", "", error.__cause__
    if cause is not None:
        found = traceback.format_exception(type(cause), cause, own_frames(cause.__traceback__))
        shown = mask_secrets("".join(found))
    if style == "json":
        line = {"time": timestamp(time.time()), "level": "error", "message": message}
        print(json.dumps({**line, "traceback": shown} if shown else line), file=sys.stderr, flush=True)
    else:
        print(f"{shown}{message}", file=sys.stderr, flush=True)


def own_frames(found: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame on that is neither ours nor of the import system; all of it where there is none."""
    one = found
    while one is not None:
        file = one.tb_frame.f_code.co_filename
        if file != __file__ and "importlib" not in file:
            return one
        one = one.tb_next
    return None
