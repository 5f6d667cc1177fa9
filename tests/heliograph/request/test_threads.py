"""Calls in native threads, while the event loop goes on."""

from __future__ import annotations

import time

import gevent
import pytest
from gevent.threadpool import ThreadPool

from heliograph.request.threads import in_thread


def test_what_the_function_returns_is_returned() -> None:
    assert in_thread(divmod, 7, 2) == (3, 1)


def test_what_the_function_raises_is_raised_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        in_thread(divmod, 1, 0)
    assert capfd.readouterr().err == ""


def test_the_loop_goes_on_while_a_thread_blocks() -> None:
    pool = ThreadPool(1)
    seen: list[str] = []

    def block() -> None:
        in_thread(time.sleep, 0.2, pool=pool)
        seen.append("slept")

    blocked = gevent.spawn(block)
    gevent.sleep(0.01)
    seen.append("meanwhile")
    blocked.join()
    assert seen == ["meanwhile", "slept"]
    pool.kill()
