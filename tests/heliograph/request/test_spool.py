"""The spool's room: bounded over all processes that share the folder, and given back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from proxy_tests.processes import PYTHON, Process

from heliograph.problems import SpoolFull
from heliograph.request.spool import RESERVATION, Spool

#: Takes room in a folder and waits, as another instance that has a body there.
HOLDER = """
import sys, time
from heliograph.request.spool import Spool
file = Spool(sys.argv[1], 10 ** 9).open()
file.write(b"x")
print("holding", flush=True)
time.sleep(60)
"""


def test_a_file_is_what_was_written_to_it(tmp_path: Path) -> None:
    with Spool(str(tmp_path), 100 * RESERVATION).open() as file:
        file.write(b"hello ")
        file.write(b"world")
        assert (file.read(100, 0), file.read(5, 6), file.read(5, 11), file.size) == (
            b"hello world",
            b"world",
            b"",
            11,
        )


def test_files_have_no_name(tmp_path: Path) -> None:
    with Spool(str(tmp_path), RESERVATION).open() as file:
        file.write(b"x")
        assert [path.name for path in tmp_path.iterdir()] == ["ledger"]
        assert "(deleted)" in os.readlink(f"/proc/self/fd/{file.descriptor}")


def test_room_is_bounded_and_given_back(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 2 * RESERVATION)
    with spool.open() as one, spool.open() as two:
        one.write(b"x")
        two.write(b"x" * RESERVATION)
        assert spool.used == 2 * RESERVATION
        with pytest.raises(SpoolFull) as caught:
            two.write(b"x")
        assert caught.value.extra == {"limit": 2 * RESERVATION}
    assert spool.used == 0
    with spool.open() as again:
        again.write(b"x" * 2 * RESERVATION)


def test_closing_twice_gives_room_back_once(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 4 * RESERVATION)
    kept, closed = spool.open(), spool.open()
    kept.write(b"x")
    closed.write(b"x")
    closed.close()
    closed.close()
    assert spool.used == RESERVATION
    kept.close()


def test_a_file_that_outlives_its_spool_opens_no_new_ledger(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"), 1 << 20)
    with spool.open() as file:
        file.write(b"x")
        spool.close()
        open_before = len(os.listdir("/proc/self/fd"))
    assert len(os.listdir("/proc/self/fd")) == open_before - 1


def test_two_spools_of_one_folder_share_its_bound(tmp_path: Path) -> None:
    one, other = Spool(str(tmp_path), RESERVATION), Spool(str(tmp_path), RESERVATION)
    with one.open() as file:
        file.write(b"x")
        with pytest.raises(SpoolFull), other.open() as more:
            more.write(b"x")
    with other.open() as more:
        more.write(b"x")


def test_what_a_killed_process_had_is_free_again(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(str(folder), RESERVATION)
    with Process([PYTHON, "-c", HOLDER, str(folder)], tmp_path / "log") as holder:
        holder.wait_for_output("holding")
        with pytest.raises(SpoolFull), spool.open() as file:
            file.write(b"x")
        holder.send(signal.SIGKILL)
        holder.wait()
    with spool.open() as file:
        file.write(b"x")


def test_a_folder_that_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(str(tmp_path / "file"), RESERVATION)
    assert "file: File exists" in spool.check()
    with pytest.raises(SpoolFull, match="The spool cannot be used"):
        spool.open()


def test_the_folder_is_made(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "a/b"), RESERVATION)
    assert spool.check() == "ok"
    assert (tmp_path / "a/b").is_dir()


def test_room_is_counted_to_the_byte_when_it_gets_scarce(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1500)
    with spool.open() as one, spool.open() as two:
        one.write(b"x" * 1000)
        two.write(b"x" * 500)
        assert spool.used == 1500
        with pytest.raises(SpoolFull):
            two.write(b"x")
