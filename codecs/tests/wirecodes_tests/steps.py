"""How much work a function does, without a clock: the lines of one module that are run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType
from typing import Any


class TooManySteps(AssertionError):
    """More lines were run than the test allows."""


@contextmanager
def at_most(limit: int, module: ModuleType) -> Iterator[None]:
    """What runs inside may run `limit` lines of `module`; raises TooManySteps at the next one."""
    steps = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal steps
        if frame.f_code.co_filename != module.__file__:
            return None
        steps += event == "line"
        if steps > limit:
            raise TooManySteps(f"more than {limit} lines of {module.__name__}")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
