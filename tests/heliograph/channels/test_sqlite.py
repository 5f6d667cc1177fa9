"""The engine on SQLite where files, processes and the machine fail."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import gevent
import pytest
from proxy_tests.processes import PYTHON, Process, until

from heliograph.channels.cursor import Cursor
from heliograph.channels.engines import open_log
from heliograph.channels.engines.sqlite.engine import SqliteLog
from heliograph.channels.errors import LogUnavailable
from heliograph.channels.location import parse_location
from heliograph.channels.message import Kind, new_append
from heliograph.channels.records import Appended, Limits, Notification
from tests.heliograph.channels.followers import Follower, eventually, opened, publish, texts
from tests.heliograph.channels.patched import patched


def at(path: Path) -> str:
    return f"sqlite:///{path}"


def parts(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-seen")]


def publisher(path: Path, log: Path, user: int | None = None) -> Process:
    return Process([PYTHON, "-m", "tests.heliograph.channels.publisher", at(path)], log, user=user)


def told_enough(process: Process, count: int) -> bool:
    return process.log.read_bytes().count(b"\n") > count


def acknowledged(process: Process) -> list[tuple[str, int, str]]:
    """What a publisher was told; the last line may be cut."""
    lines = process.output.splitlines()
    return [
        (epoch, int(offset), text)
        for epoch, offset, text in (line.split(" ") for line in lines if line.endswith("."))
    ]


@patched
def test_kill_9_in_the_middle_of_group_commits_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    epochs, told = set(), {}
    for attempt in range(3):
        first = publisher(path, tmp_path / f"first{attempt}")
        second = publisher(path, tmp_path / f"second{attempt}")
        for process in (first, second):
            until(partial(told_enough, process, 200 + 200 * attempt), "acknowledgements")
        first.send(signal.SIGKILL)
        second.send(signal.SIGKILL)
        first.wait()
        second.wait()
        for epoch, offset, text in acknowledged(first) + acknowledged(second):
            epochs.add(epoch)
            assert offset not in told, "an offset was given out twice"
            told[offset] = text
    with opened(at(path), Limits(history_size=10**6)) as (log,):
        top = log.tops(["a"])["a"]
        stored: dict[int, str] = {}
        while len(stored) < top.offset:
            page = log.read("a", Cursor(top.epoch, len(stored)))
            assert page.recovered
            stored |= {m.offset: m.data.decode() for m in page.messages}
    assert len(told) > 1000
    assert {offset: stored.get(offset) for offset in told} == told
    assert epochs == {top.epoch}, "a process that dies takes nothing with it, so the epoch stays"


@patched
def test_a_file_replaced_by_an_older_copy_changes_the_epoch(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        publish(log, "one")
    shutil.copy(path, tmp_path / "backup")
    with opened(at(path)) as (log,):
        last = publish(log, "two")
    os.replace(tmp_path / "backup", path)
    with opened(at(path)) as (log,):
        page = log.read("a", Cursor(last.epoch, 1))
        assert (page.recovered, page.top) == (False, 1)
        assert texts(log.read("a", None).messages) == ["one"]
        again = publish(log, "another two")
        assert again.offset == 2
        assert again.epoch != last.epoch


@patched
def test_an_older_copy_written_over_the_file_changes_the_epoch(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        publish(log, "one")
    older = path.read_bytes()
    with opened(at(path)) as (log,):
        last = publish(log, "two")
    path.write_bytes(older)
    with opened(at(path)) as (log,):
        assert not log.read("a", Cursor(last.epoch, 1)).recovered
        assert publish(log, "another two").epoch != last.epoch


@patched
def test_a_file_that_is_replaced_or_removed_in_use_is_noticed_by_all(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        publish(log, "one")
    shutil.copy(path, tmp_path / "backup")
    with opened(at(path), count=2) as (log, other):
        last = publish(log, "two")
        follower = Follower(other)
        os.replace(tmp_path / "backup", path)
        new = publish(log, "another two")
        assert new.offset == 2
        assert new.epoch != last.epoch
        assert log.reconnects == 1
        publish(other, "three")
        eventually(lambda: follower.lost == 1, "the notice that history was lost")
        assert texts(log.read("a", None).messages) == ["one", "another two", "three"]
        for part in parts(path):
            part.unlink(missing_ok=True)
        newest = publish(other, "first again")
        assert newest.offset == 1
        assert newest.epoch != new.epoch
        eventually(lambda: follower.lost == 2, "the second notice")
        follower.stop()


@patched
def test_a_machine_that_went_down_changes_the_epoch_and_an_orderly_end_does_not(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        before = publish(log, "one")

    def boot(text: str) -> None:
        with sqlite3.connect(path) as connection:
            (stored,) = connection.execute("SELECT boot FROM state").fetchone()
            assert stored == "", "everything is on the disk after an orderly end"
            connection.execute("UPDATE state SET boot = ?", (text,))
        connection.close()

    boot("")
    with opened(at(path)) as (log,):
        assert publish(log, "two").epoch == before.epoch
    boot("another boot, without an orderly end")
    with opened(at(path)) as (log,):
        assert log.tops(["a"])["a"].epoch != before.epoch
        assert texts(log.read("a", None).messages) == ["one", "two"]


@patched
def test_an_instance_that_goes_on_after_another_ended_in_order_claims_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        publish(log, "one")
        with opened(at(path)) as (other,):
            publish(other, "two")
        publish(log, "three")
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT boot FROM state").fetchone() != ("",)
        connection.close()
        assert log.tops(["a"])["a"].offset == 3


@contextmanager
def small_disk(folder: Path) -> Iterator[Callable[[], None]]:
    """A folder with room for a mebibyte; the function it gives makes it larger. Without root it is a limit of file sizes."""
    folder.mkdir()
    if os.geteuid() != 0:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield lambda: remount(folder, "size=20m")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Callable[[], None]]:
    """The function it gives makes the folder writable again. Root does not care for permissions, but for mounts."""
    if os.geteuid() != 0:
        paths = [folder, *folder.glob("*.db*")]
        modes = [path.stat().st_mode for path in paths]
        for path in paths:
            path.chmod(0o500)

        def writable() -> None:
            for path, mode in zip(paths, modes, strict=True):
                path.chmod(mode)

        yield writable
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        remount(folder, "bind,ro")
        yield lambda: remount(folder, "bind,rw")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@patched
def test_a_full_disk_is_unavailable_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "channels.db"
    with small_disk(path.parent) as grow, opened(at(path)) as (log,):
        first = publish(log, "first")
        outcomes = [log.append_many([new_append("a", Kind.TEXT, b"x" * 60_000)])[0] for _ in range(40)]
        stored = 1 + sum(isinstance(outcome, Appended) for outcome in outcomes)
        assert isinstance(outcomes[-1], LogUnavailable)
        assert "full" in str(outcomes[-1])
        assert log.ready() != "ok"
        grow()
        after = publish(log, "after")
        assert (after.epoch, after.offset) == (first.epoch, stored + 1)
        assert len(log.read("a", None).messages) == stored + 1
        assert log.ready() == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of a mebibyte needs root")
@patched
def test_a_probe_that_finds_a_full_disk_leaves_the_file_open(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "channels.db"
    with small_disk(path.parent), opened(at(path)) as (log,):
        assert isinstance(log, SqliteLog)
        publish(log, "first")
        session = log.call(lambda session: session)
        assert "full" in log.probe()
        assert log.call(lambda session: session) is session


@patched
def test_a_read_only_file_is_unavailable_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "channels.db"
    with opened(at(path)) as (log,):
        first = publish(log, "first")
    with read_only(path.parent) as end, opened(at(path)) as (log,):
        with pytest.raises(LogUnavailable, match=r"written|Read-only|denied"):
            publish(log, "x")
        assert log.ready() != "ok"
        end()
        eventually(lambda: log.ready() == "ok", "healing without anybody's help")
        second = publish(log, "second")
        assert (second.epoch, second.offset) == (first.epoch, 2)


@patched
def test_what_is_not_our_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text", tmp_path / "foreign"
    text.write_bytes(b"not a database at all, but long enough to look like one" * 40)
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    for path in (text, foreign, tmp_path):
        before = path.read_bytes() if path.is_file() else b""
        with opened(at(path)) as (log,):
            with pytest.raises(LogUnavailable) as caught:
                publish(log, "x")
            assert str(tmp_path) not in str(caught.value)
            assert log.ready() != "ok"
        assert path.is_dir() or path.read_bytes()[100:] == before[100:]


@patched
def test_the_event_loop_goes_on_while_another_process_keeps_the_file_locked(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path)) as (log,):
        publish(log, "one")
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        waiting = gevent.spawn(publish, log, "two")
        for _ in range(100):  # a loop that stood still could not count
            gevent.sleep(0.005)
        assert not waiting.ready()
        assert texts(log.read("a", None).messages) == ["one"], "a reader waits for no writer"
        blocker.execute("ROLLBACK")
        assert waiting.get(timeout=10).offset == 2
        blocker.close()


@patched
def test_instances_wake_each_other_by_datagrams(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path), count=2) as (log, other):
        publish(other, "x", "b")
        heard: list[Notification] = []
        log.listen(heard.append)
        log.follow("a")
        eventually(lambda: len(list((tmp_path / "channels.db-wake").iterdir())) == 2, "both sockets")
        times = []
        for n in range(20):
            publish(other, str(n))
            start = gevent.get_hub().loop.now()
            eventually(lambda n=n: [x for x in heard if x.top == n + 1], "news")
            gevent.get_hub().loop.update_now()
            times.append(gevent.get_hub().loop.now() - start)
        assert sorted(times)[10] < 0.1, "looking by itself would take 0.25 s"
    assert list((tmp_path / "channels.db-wake").iterdir()) == []


@patched
def test_without_sockets_they_find_out_by_looking(tmp_path: Path) -> None:
    (tmp_path / "channels.db-wake").write_text("no folder")
    with opened(at(tmp_path / "channels.db"), count=2) as (log, other):
        follower = Follower(log)
        for n in range(5):
            publish(other, str(n))
        assert texts(follower.until(5)) == list("01234")
        follower.stop()


@patched
def test_sockets_of_the_dead_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "channels.db-wake"
    folder.mkdir()
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(str(folder / "1-dead"))
    dead.close()
    with opened(at(tmp_path / "channels.db")) as (log,):
        publish(log, "x")
        assert not (folder / "1-dead").exists()


@patched
def test_a_socket_that_was_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "channels.db-wake"
    with opened(at(tmp_path / "channels.db")) as (log,):
        publish(log, "x")
        shutil.rmtree(folder)
        eventually(lambda: folder.exists() and list(folder.iterdir()), "a new socket")


@patched
def test_long_paths_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120) / ("y" * 120)
    with opened(at(folder / "channels.db"), count=2) as (log, other):
        follower = Follower(log)
        publish(other, "x")
        follower.until(1)
        follower.stop()
        assert len(list((folder / "channels.db-wake").iterdir())) == 2


@patched
def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with opened(at(tmp_path / "new" / "channels.db")) as (log,):
        publish(log, "x")
        files = [path for path in (tmp_path / "new").iterdir() if path.is_file()]
        assert {path.stat().st_mode & 0o077 for path in files} == {0}
        assert (tmp_path / "new" / "channels.db-wake").stat().st_mode & 0o077 == 0


@patched
def test_the_file_stays_small_whatever_was_published(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    with opened(at(path), Limits(history_size=100)) as (log,):
        for _ in range(60):
            log.append_many([new_append("a", Kind.BYTES, b"x" * 10_000)] * 100)
        eventually(lambda: stored_segments(path) <= 5, "trimming")
        assert sum(part.stat().st_size for part in parts(path) if part.exists()) < 40 << 20, (
            "60 MB were published"
        )
        assert len(log.read("a", None).messages) == 100


def stored_segments(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT count(*) FROM segments").fetchone()[0])
    finally:
        connection.close()


@patched
def test_a_follower_that_falls_behind_reads_the_rest_from_the_log(tmp_path: Path) -> None:
    """30 MB at once: more news than may be on their way to the event loop."""
    with opened(at(tmp_path / "channels.db"), Limits(history_size=10**6), count=2) as (log, other):
        follower = Follower(log)
        answers = [other.append_many([new_append("a", Kind.BYTES, b"x" * 50_000)] * 60) for _ in range(10)]
        assert all(isinstance(o, Appended) for answer in answers for o in answer)
        assert [m.offset for m in follower.until(600)] == list(range(1, 601))
        assert follower.lost == 0
        follower.stop()


def test_a_log_that_was_used_before_the_fork_says_so(tmp_path: Path) -> None:
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import os, sys\n"
        "from heliograph.channels.engines import open_log\n"
        "from heliograph.channels.location import parse_location\n"
        "from heliograph.channels.records import Limits\n"
        "log = open_log(parse_location(sys.argv[1]), Limits())\n"
        "log.tops(['a'])\n"
        "if os.fork():\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "try:\n"
        "    log.tops(['a'])\n"
        "except RuntimeError as exc:\n"
        "    os._exit(7 if 'fork' in str(exc) else 1)\n"
    )
    command = [sys.executable, "-c", program, at(tmp_path / "channels.db")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 7


def test_a_log_that_nobody_used_opens_nothing(tmp_path: Path) -> None:
    open_log(parse_location(at(tmp_path / "channels.db")), Limits())
    assert list(tmp_path.iterdir()) == []
