"""The log of a stack: the forms of its lines, readers that do not read, the file in the state folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.stack import journal
from heliograph.stack.journal import Journal
from heliograph.stack.lines import LineForm, Style, as_json, part_of, records
from heliograph.stack.outlet import MOST_WAITING, Outlet

#: More than Python's JSON reads, as a program may print it.
DEEP = b'{"a":' * 3000 + b"1" + b"}" * 3000

TEXT, JSON = (LineForm(style, ["web1", "proxy"]) for style in (Style.TEXT, Style.JSON))


def test_text_lines_begin_with_the_parts_name_in_a_column() -> None:
    assert TEXT.of_part("web1", b"one\n\n two\n", 0) == b"web1  | one\nweb1  | \nweb1  |  two\n"
    assert TEXT.of_part("proxy", b"proxy: listening\n", 0) == b"proxy | listening\n"
    assert TEXT.own("web1 answers", 0) == b"stack | web1 answers\n"


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40), st.sampled_from([b"{}", b'{"a": 1}', b"{'a'}", b'{"part": 1}', DEEP])
        )
    )
)
def test_whatever_a_part_writes_its_log_is_json_that_names_it(lines: list[bytes]) -> None:
    written = b"".join(line + b"\n" for line in lines)
    for line in JSON.of_part("web1", written, 0).splitlines():
        assert json.loads(line)["part"] == "web1"
        assert part_of(line) == "web1"


def test_lines_of_requests_are_not_looked_at_one_by_one() -> None:
    assert JSON.of_part("proxy", b'{"a": 1}\n{"a": 2}\n', 0, all_json=True) == (
        b'{"part": "proxy", "a": 1}\n{"part": "proxy", "a": 2}\n'
    )


def test_the_managers_own_questions_are_not_shown_and_those_of_others_with_that_name_are() -> None:
    own = b'127.0.0.1 - - [now] "GET /healthz HTTP/1.1" 200 1 "-" "heliograph run" x\n'
    other = own.replace(b"127.0.0.1", b"192.0.2.1")
    assert TEXT.of_part("proxy", own + other, 0) == b"proxy | " + other


def test_a_text_without_a_name_belongs_to_the_part_before() -> None:
    lines = [b"web1  | one\n", b"proxy | a | b\n", b"lost\n"]
    assert [part for part, _ in records(lines)] == ["web1", "proxy", "proxy"]
    assert as_json("proxy", lines[1]) == b'{"part": "proxy", "message": "a | b"}\n'


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Calls a function in a thread of its own: the loop of a browser may run in this one, and an outlet would take it."""
    with ThreadPoolExecutor(1) as threads:
        yield lambda body: threads.submit(body).result()


def test_an_outlet_never_waits_and_drops_whole_lines_beyond_its_bound(
    pipe: tuple[int, int], elsewhere: Callable[[Callable[[], None]], None]
) -> None:
    reader, writer = pipe

    def body() -> None:
        outlet = Outlet(writer)
        line = b"x" * 1023 + b"\n"
        held = (fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) + MOST_WAITING) // len(line)
        for _ in range(held + 10):
            outlet.write(line)
        assert outlet.take_dropped() == 0  # nobody would read that, either
        assert os.get_blocking(writer)  # as others have it, too
        os.set_blocking(reader, False)  # a test must not wait for ever
        got = 0
        while got < held * len(line):
            got += len(os.read(reader, 1 << 20))
            outlet.write(b"")
        outlet.finish(1.0)
        assert got == held * len(line)
        assert outlet.take_dropped() == 10

    elsewhere(body)
    os.close(reader)
    os.close(writer)


def test_an_outlet_whose_reader_is_gone_is_no_error(
    pipe: tuple[int, int], elsewhere: Callable[[Callable[[], None]], None]
) -> None:
    reader, writer = pipe
    os.close(reader)

    def body() -> None:
        outlet = Outlet(writer)
        outlet.write(b"lost\n")
        outlet.finish(1.0)

    elsewhere(body)
    os.close(writer)


def test_the_file_is_bounded_private_and_read_across_its_renewal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 20)
    (tmp_path / journal.NAME).write_text("of the stack before\n")
    os.utime(tmp_path / journal.NAME, (1, 1))
    written = Journal(tmp_path)
    for number in range(2):
        written.write(b"line %d\n" % number)
    since = (tmp_path / journal.NAME).stat().st_mtime - 1
    assert list(journal.kept(tmp_path, since)) == [b"line 0\n", b"line 1\n"]
    following = journal.followed(tmp_path, since, lambda: False)
    assert [next(following), next(following)] == [b"line 0\n", b"line 1\n"]
    for number in range(2, 6):
        written.write(b"line %d\n" % number)
    assert list(following) == [b"line %d\n" % number for number in range(2, 6)]
    files = [tmp_path / journal.NAME, journal.previous(tmp_path / journal.NAME)]
    assert all(file.stat().st_size < 40 for file in files)
    assert files[0].stat().st_mode & 0o777 == 0o600
    written.close()
