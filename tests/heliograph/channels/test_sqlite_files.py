"""The file of SQLite: older versions, damage, and how large it is."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from pathlib import Path

import pytest

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines.sqlite.engine import SqliteLog
from heliograph.channels.engines.sqlite.session import SqliteSession
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.records import Limits
from tests.heliograph.channels import version1
from tests.heliograph.channels.followers import Follower, eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched
from tests.heliograph.channels.reported import Reported
from tests.heliograph.channels.test_bytes import KIB, fill, kept


def at(path: Path) -> str:
    return f"sqlite:///{path}"


def sums(path: Path) -> tuple[int, int]:
    """What the channel `a` has by its sums, and by its rows."""
    connection = sqlite3.connect(path)
    try:
        (by_sum,) = connection.execute("SELECT bytes - gone FROM channels WHERE name = 'a'").fetchone()
        (by_row,) = connection.execute(
            "SELECT coalesce(sum(length(data) - 5 * (last - first + 1)), 0) FROM segments WHERE channel = 1"
        ).fetchone()
        return int(by_sum), int(by_row)
    finally:
        connection.close()


@patched
def test_a_file_of_version_1_is_migrated_and_its_cursors_stay_good(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    version1.sqlite_file(path, 40, 5, KIB)
    epoch = version1.ERA + version1.BIRTH
    with opened(at(path), Limits(history_bytes=20 * KIB, check_interval=0.2)) as (log,):
        assert log.tops(["a"])["a"] == Cursor(epoch, 200)
        assert kept(log, "a") == list(range(181, 201))
        assert len(log.read("a", Cursor(epoch, 190)).messages) == 10
        assert not log.read("a", Cursor(epoch, 100)).recovered
        assert publish(log, "x" * KIB).offset == 201
        eventually(lambda: len(set(sums(path))) == 1 and sums(path)[0] <= 25 * KIB, "trimming")
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


@patched
def test_an_instance_of_version_1_may_go_on_beside_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    version1.sqlite_file(path, 10, 5, KIB)
    with opened(at(path)) as (log,):
        publish(log, "new")
        old = sqlite3.connect(path, isolation_level=None, timeout=10)
        version1.write_segment(old, 12, 52, 5, KIB)
        old.execute("DELETE FROM segments WHERE id <= 3")
        old.close()
        assert sums(path) == (12 * 5 * KIB - 3 * 5 * KIB - 5 * KIB + 5 * KIB - 5 * KIB + 3, sums(path)[1])
        assert len(set(sums(path))) == 1
        assert publish(log, "again").offset == 57
        assert len(set(sums(path))) == 1


@patched
def test_the_file_shrinks_when_the_history_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    limits = Limits(history_bytes=1 << 30, log_bytes=8 << 20, check_interval=0.2)
    with opened(at(path), Limits(history_bytes=1 << 30)) as (log,):
        fill(log, "a", 500, 50_000)
    assert path.stat().st_size > 24 << 20
    with opened(at(path), limits) as (log,):
        publish(log, "x")
        eventually(lambda: path.stat().st_size < 12 << 20, "a shorter file")
        assert sums(path)[0] > 7 << 20
        assert publish(log, "x").offset == 502


@patched
def test_a_small_log_needs_little_disk_while_much_is_published(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path), Limits(log_bytes=2 << 20, check_interval=0.2)) as (log,):
        largest = 0
        for n in range(40):
            fill(log, f"c{n % 3}", 10, 60_000)
            largest = max(largest, sum(file.stat().st_size for file in tmp_path.iterdir() if file.is_file()))
        assert largest < 12 << 20, "24 MB were published"


def set_aside(folder: Path) -> list[Path]:
    return [path for path in folder.glob("channels.db-damaged-*") if not path.name.endswith("-wal")]


def damage_by(path: Path, how: str) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        if how == "half":
            file.truncate(size // 2)
        elif how == "head":
            file.write(os.urandom(1024))
        elif how == "zeros":
            file.write(bytes(size))
        elif how == "pages":
            for page in range(2, size // 1024, 3):
                file.seek(page * 1024)
                file.write(os.urandom(1024))
        elif how == "first page":
            file.seek(100)
            file.write(os.urandom(900))


@patched
def test_a_file_that_came_while_none_was_open_is_checked(tmp_path: Path) -> None:
    path, other = tmp_path / "channels.db", tmp_path / "other" / "channels.db"
    with opened(at(other)) as (log,):
        fill(log, "a", 200, 500)
    with other.open("r+b") as file:  # messages that neither opening nor appending reads
        file.seek(other.stat().st_size // 2 // 1024 * 1024)
        file.write(os.urandom(1024))

    def replace_and_fail(session: SqliteSession) -> None:
        session.file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        os.replace(other, path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with opened(at(path)) as (log,):
        assert isinstance(log, SqliteLog)
        publish(log, "x")
        with pytest.raises(LogUnavailable):
            log.call(replace_and_fail)
        assert publish(log, "first").offset == 1
        assert len(set_aside(tmp_path)) == 1


@pytest.mark.parametrize("how", ["half", "head", "zeros", "pages", "first page"])
@patched
def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        before = fill(log, "a", 200, 500)
    damage_by(path, how)
    damaged = path.read_bytes()
    with opened(at(path), count=2) as (log, other), Reported() as lines:
        last = publish(other, "first")
        assert (last.offset, texts(log.read("a", None).messages)) == (1, ["first"])
        assert last.epoch != before.epoch
        assert not log.read("a", Cursor(before.epoch, 200)).recovered
        (aside,) = set_aside(tmp_path)
        assert aside.stat().st_size == len(damaged)
        eventually(lambda: any(str(aside) in line for line in lines), "its name in the log")
        eventually(lambda: log.check() == "ok", "readiness")
    with opened(at(path)) as (log,):
        assert log.tops(["a"])["a"] == Cursor(last.epoch, 1)


@patched
def test_damage_at_run_time_is_set_aside_and_followers_are_told(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path), count=2) as (log, other):
        before = fill(log, "a", 2000, 2000)
        follower = Follower(other)
        with path.open("r+b") as file:
            size = path.stat().st_size
            for page in range(1, size // 1024):
                file.seek(page * 1024)
                file.write(os.urandom(1024))
        with path.with_name("channels.db-wal").open("r+b") as file:
            file.write(os.urandom(1 << 20))

        def begun_anew() -> bool:
            try:
                return publish(log, "x").epoch != before.epoch
            except LogUnavailable:
                return False

        eventually(begun_anew, "a new file")
        assert len(set_aside(tmp_path)) == 1
        eventually(lambda: follower.lost >= 1, "the notice that history was lost")
        follower.stop()


def bytes_read() -> int:
    """By this process, from files too."""
    return int(re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())[0])


@patched
def test_an_error_that_does_not_come_from_damage_has_no_file_checked(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        fill(log, "a", 100, 50_000)
    with opened(at(path)) as (log,):
        assert isinstance(log, SqliteLog)
        publish(log, "x")
        before = bytes_read()
        with pytest.raises(LogUnavailable):
            log.call(lambda _session: sqlite3.connect(tmp_path))
        assert publish(log, "x").offset == 102
        assert bytes_read() - before < path.stat().st_size // 2


@patched
def test_a_segment_that_is_not_what_was_written_is_damage_too(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        before = fill(log, "a", 20, 100)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE segments SET data = zeroblob(7) WHERE first = 1")
    connection.commit()
    connection.close()
    with opened(at(path)) as (log,):
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="damaged"):
                log.read("a", None)
        assert publish(log, "x").epoch != before.epoch


@patched
def test_a_damaged_file_of_a_newer_version_or_of_others_is_left_alone(tmp_path: Path) -> None:
    newer, foreign = tmp_path / "newer.db", tmp_path / "foreign.db"
    for path, version in ((newer, 908), (foreign, 2)):
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE precious (x)")
        connection.executemany("INSERT INTO precious VALUES (?)", [(b"x" * 500,)] * 100)
        connection.execute(f"PRAGMA user_version = {version}")
        connection.commit()
        connection.close()
    with newer.open("r+b") as file:
        file.truncate(newer.stat().st_size // 2)
    for path in (newer, foreign):
        before = path.read_bytes()
        with opened(at(path)) as (log,):
            with pytest.raises(LogUnavailable, match=r"newer version|not of this program"):
                publish(log, "x")
            assert log.check() != "ok"
        assert path.read_bytes() == before
    assert not list(tmp_path.glob("*damaged*"))


@patched
def test_other_files_beside_it_may_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        before = publish(log, "one")
    for break_it in (
        lambda other: other.write_bytes(os.urandom(5000)),
        lambda other: other.write_bytes(b""),
        lambda other: (other.unlink(missing_ok=True), other.mkdir()),
    ):
        for suffix in ("-wal", "-shm", "-seen"):
            other = path.with_name(path.name + suffix)
            if other.is_dir():
                other.rmdir()
            break_it(other)
            with opened(at(path)) as (log,):
                after = publish(log, "next")
                assert (after.epoch == before.epoch) is (suffix != "-seen"), (suffix, after, before)
                assert texts(log.read("a", None).messages)[0] == "one"
                before = after


@patched
def test_an_empty_file_is_a_new_one_and_a_folder_is_none(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        before = publish(log, "one")
    path.write_bytes(b"")
    with opened(at(path)) as (log,):
        last = publish(log, "one")
        assert last.offset == 1
        assert last.epoch != before.epoch
    (tmp_path / "folder").mkdir()
    with opened(at(tmp_path / "folder")) as (log,), pytest.raises(LogUnavailable, match="not a file"):
        publish(log, "x")


@patched
def test_no_more_than_some_damaged_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    for n in range(6):
        with opened(at(path)) as (log,):
            fill(log, "a", 100, 500)
        damage_by(path, "half")
        with opened(at(path)) as (log,):
            if n < 5:
                assert publish(log, "x").offset == 1
            else:
                descriptors = []
                for _ in range(3):
                    with pytest.raises(LogUnavailable, match="kept beside it"):
                        publish(log, "x")
                    descriptors.append(len(os.listdir("/proc/self/fd")))
                assert descriptors == [descriptors[0]] * 3
    assert len(set_aside(tmp_path)) == 5
