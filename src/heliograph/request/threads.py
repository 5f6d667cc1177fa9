"""Calls in native threads, for what would block the event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool

T = TypeVar("T")


def in_thread(function: Callable[..., T], *args: object, pool: ThreadPool | None = None) -> T:
    """`function(*args)`, run in a native thread while this greenlet waits. What it raises is raised here.

    gevent's own `apply` also prints every exception as a traceback, and ours are answers.
    """
    outcome: Any = (pool or gevent.get_hub().threadpool).apply(_outcome, (function, args))
    if isinstance(outcome, _Failure):
        raise outcome.error
    result: T = outcome
    return result


@dataclass(frozen=True)
class _Failure:
    error: BaseException


def _outcome(function: Callable[..., T], args: tuple[object, ...]) -> T | _Failure:
    try:
        return function(*args)
    except BaseException as exc:
        return _Failure(exc)
