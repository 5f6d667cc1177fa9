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


def test_one_client_has_half_and_others_have_the_rest(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1000)
    with spool.open("b") as other, spool.open("a") as one, spool.open("a") as two:
        other.write(b"x")
        one.write(b"x" * 300)
        two.write(b"x" * 200)
        for file in (one, two):
            with pytest.raises(SpoolFull, match="of one client") as caught:
                file.write(b"x")
            assert caught.value.extra == {"limit": 500}
        other.write(b"x" * 499)
    assert spool.used == 0


def test_the_share_of_a_client_counts_over_all_instances(tmp_path: Path) -> None:
    one, other = Spool(str(tmp_path), 1000), Spool(str(tmp_path), 1000)
    with other.open("b") as small, one.open("a") as first, other.open("a") as second:
        small.write(b"x")
        first.write(b"x" * 400)
        with pytest.raises(SpoolFull, match="of one client"):
            second.write(b"x" * 101)
        second.write(b"x" * 100)
    with other.open("a") as again, one.open("c") as third:
        third.write(b"x")
        again.write(b"x" * 500)


def test_one_body_may_fill_an_empty_spool_and_no_second_one_helps(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1000)
    with spool.open("a") as large, spool.open("b") as other, spool.open("a") as second:
        large.write(b"x" * 400)
        other.write(b"x" * 100)
        large.write(b"x" * 400)
        with pytest.raises(SpoolFull, match="of one client"):
            second.write(b"x")
        other.write(b"x" * 100)
    with spool.open("a") as whole:
        whole.write(b"x" * 1000)


def test_a_body_beside_others_of_its_client_may_not_fill_the_spool(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 1000)
    with spool.open("a") as first, spool.open("a") as second:
        first.write(b"x" * 10)
        second.write(b"x" * 490)
        with pytest.raises(SpoolFull, match="of one client"):
            first.write(b"x")


def test_a_cell_that_is_used_again_has_no_shares_left_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(str(folder), 1000)
    with Process(
        [PYTHON, "-c", HOLDER.replace(".open()", ".open('a')"), str(folder)], tmp_path / "log"
    ) as holder:
        holder.wait_for_output("holding")
        holder.send(signal.SIGKILL)
        holder.wait()
    other = Spool(str(folder), 1000)
    with other.open("b") as theirs, spool.open("a") as file:
        theirs.write(b"x")
        file.write(b"x" * 499)


#: Takes all the room of a folder again and again; while it has it, there is a file that only one can make.
RACER = """
import os, sys, time
from heliograph.problems import SpoolFull
from heliograph.request.spool import Spool
folder, mark = sys.argv[1], sys.argv[1] + "/taken"
spool, end, had = Spool(folder, 10), time.monotonic() + 1.5, 0
while time.monotonic() < end:
    try:
        spool.reserve(10, "")
    except SpoolFull:
        continue
    os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    os.unlink(mark)
    spool.release(10)
    had += 1
print("had", had > 10, flush=True)
"""


def test_two_instances_never_both_have_the_last_room(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    command = [PYTHON, "-c", RACER, str(tmp_path / "spool")]
    with Process(command, tmp_path / "one") as one, Process(command, tmp_path / "two") as two:
        assert [one.wait(), two.wait()] == [0, 0], one.output + two.output
    assert "had True" in one.output + two.output


def test_what_was_reserved_ahead_is_given_back_when_a_body_is_complete(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), 4 * RESERVATION)
    with spool.open("a") as file:
        file.write(b"x" * 10)
        assert spool.used == RESERVATION
        file.trim()
        file.trim()
        assert spool.used == 10
        file.write(b"more")
        assert spool.used == RESERVATION + 10
    assert spool.used == 0
