"""Globs of channels' names."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.channels.transports.globs import Globs, compiled


@given(st.text("ab.", max_size=8), st.lists(st.text("ab.*?", max_size=8), max_size=4))
def test_globs_fit_as_a_shells_do(channel: str, globs: list[str]) -> None:
    fits = any(fnmatch.fnmatchcase(channel, glob) for glob in globs)
    assert (channel in Globs(tuple(globs))) is fits


@pytest.mark.parametrize("glob", ["[ab]", "A", "a|b", ".", "", "a\n", "[!b]"])
def test_nothing_else_is_special(glob: str) -> None:
    assert "a" not in Globs((glob,))


@pytest.mark.parametrize("glob", ["*a" * 127 + "b", "?*" * 127 + "b", "*?a" * 85, "*" * 256 + "b"])
def test_hostile_globs_take_no_time(glob: str) -> None:
    globs = Globs((glob,) * 1 + tuple(f"{glob[:-3]}{number:03}" for number in range(99)))
    began = time.process_time()
    assert "a" * 128 not in globs
    assert time.process_time() - began < 0.1


def test_a_list_is_compiled_once() -> None:
    globs = tuple(f"*{number}*x" for number in range(100))
    assert compiled(globs) is compiled(tuple(globs))
