"""`heliograph channels`: backups and vacuum of a log that is in use, and what may go wrong."""

from __future__ import annotations

import fcntl
import json
import resource
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from proxy_tests.processes import clean_environment

from heliograph import Channels
from heliograph.channels.engines.segment import unpack
from tests.heliograph.cli.calling import HELIOGRAPH, called

#: Bytes of the messages that make a log long.
LONG = 60_000

#: Messages that are published at once.
PART = 50


def until(condition: Callable[[], bool], what: str, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.001)


def filled(path: Path, messages: int) -> dict[str, str]:
    """A log at `path`. The settings that name it."""
    with closing(Channels(f"sqlite:///{path}")) as channels:
        for start in range(0, messages, PART):
            channels.publish_many([("a", b"x" * LONG)] * min(PART, messages - start))
    return {"HELIOGRAPH_CHANNELS": f"sqlite:///{path}"}


@contextmanager
def publishing(path: Path) -> Iterator[list[int]]:
    """Another user of the log publishes all the time. Gives the offsets that it was told."""
    told: list[int] = []
    ended = threading.Event()
    with closing(Channels(f"sqlite:///{path}")) as channels:

        def work() -> None:
            while not ended.is_set():
                told.append(channels.publish("b", b"y" * 500).offset)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            until(lambda: len(told) > 3, "messages")
            yield told
        finally:
            ended.set()
            thread.join()


def offsets(path: Path, channel: str) -> list[int]:
    """Of the messages in a file, which is whole."""
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = file.execute(
            "SELECT first, s.time, data, top FROM segments AS s JOIN channels AS c ON c.id = s.channel "
            "WHERE name = ? ORDER BY last",
            (channel,),
        ).fetchall()
    found = [message.offset for first, at, data, _ in rows for message in unpack(first, at, data)]
    assert not rows or found[-1] == rows[-1][3], "the top is another"
    return found


def test_a_backup_is_the_log_at_one_moment_while_others_publish(tmp_path: Path) -> None:
    path, copy = tmp_path / "channels.db", tmp_path / "backup.db"
    settings = filled(path, 100)
    copy.write_text("the one of yesterday")
    copy.chmod(0o644)
    with publishing(path) as told:
        before = len(told)
        ended = called("channels", "backup", str(copy), "--json", cwd=tmp_path, settings=settings)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert json.loads(ended.stdout)["bytes"] == copy.stat().st_size
        after = len(told) + 1
    assert offsets(copy, "a") == list(range(1, 101))
    found = offsets(copy, "b")
    assert before <= len(found) <= after
    assert found == list(range(1, len(found) + 1))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part*"))
    with closing(Channels(f"sqlite:///{copy}")) as channels:  # it is opened as a file that went back
        assert channels.publish("b", "z").offset == len(found) + 1


def test_a_disk_without_room_leaves_the_backup_of_before(tmp_path: Path) -> None:
    path, copy = tmp_path / "channels.db", tmp_path / "backup.db"
    settings = filled(path, 40)
    copy.write_text("the one of yesterday")

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    ended = subprocess.run(
        [HELIOGRAPH, "channels", "backup", str(copy)],
        env=clean_environment(settings),
        preexec_fn=bounded,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "full" in ended.stderr
    assert copy.read_text() == "the one of yesterday"
    assert not list(tmp_path.glob("*.part*"))


def test_a_backup_that_is_killed_leaves_no_half_file_and_the_next_one_works(tmp_path: Path) -> None:
    path, copy = tmp_path / "channels.db", tmp_path / "backup.db"
    settings = filled(path, 100)
    process = subprocess.Popen([HELIOGRAPH, "channels", "backup", str(copy)], env=clean_environment(settings))
    draft = tmp_path / "backup.db.part"
    until(lambda: process.poll() is not None or (draft.exists() and draft.stat().st_size > 0), "backup")
    process.kill()
    process.wait()
    assert not copy.exists() or offsets(copy, "a") == list(range(1, 101))
    assert called("channels", "backup", str(copy), cwd=tmp_path, settings=settings).returncode == 0
    assert offsets(copy, "a") == list(range(1, 101))
    assert not draft.exists()


def test_two_backups_to_one_file_do_not_meet(tmp_path: Path) -> None:
    settings = filled(tmp_path / "channels.db", 1)
    draft = tmp_path / "backup.db.part"
    with draft.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ended = called("channels", "backup", "backup.db", cwd=tmp_path, settings=settings)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "Another process" in ended.stderr
        assert draft.exists()
        assert not (tmp_path / "backup.db").exists()


@pytest.mark.parametrize("name", ["channels.db", "channels.db-seen", "channels.db-wal", "link.db"])
def test_the_log_is_not_its_own_backup(tmp_path: Path, name: str) -> None:
    path = tmp_path / "channels.db"
    settings = filled(path, 1)
    (tmp_path / "link.db").symlink_to(path)
    file = tmp_path / name
    before = file.read_bytes() if file.exists() else None
    ended = called("channels", "backup", name, cwd=tmp_path, settings=settings)
    assert (ended.returncode, "the log itself" in ended.stderr) == (1, True)
    assert (file.read_bytes() if file.exists() else None) == before


@pytest.mark.parametrize("verb", [("backup", "backup.db"), ("vacuum",)])
def test_what_is_missing_is_said_and_not_made(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ended = called("channels", *verb, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "There is no log" in ended.stderr
    assert not list(tmp_path.rglob("*.db*"))


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "memory://"])
@pytest.mark.parametrize("verb", [("backup", "backup.db"), ("vacuum",)])
def test_other_engines_are_refused_in_one_line(tmp_path: Path, verb: tuple[str, ...], url: str) -> None:
    ended = called("channels", *verb, cwd=tmp_path, settings={"HELIOGRAPH_CHANNELS": url})
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert "sqlite://" in ended.stderr


@pytest.mark.parametrize("call", [(), ("backup",), ("vacuum", "x"), ("repair",)])
def test_a_call_that_is_not_understood_has_status_2(tmp_path: Path, call: tuple[str, ...]) -> None:
    ended = called("channels", *call, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


def test_vacuum_shortens_the_file_while_others_publish(tmp_path: Path) -> None:
    path = tmp_path / "channels.db"
    settings = filled(path, 100)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("DELETE FROM segments WHERE last <= 90")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    waits: list[float] = []
    with publishing(path) as told:
        process = subprocess.Popen([HELIOGRAPH, "channels", "vacuum"], env=clean_environment(settings))
        while process.poll() is None:
            count, begun = len(told), time.monotonic()
            until(lambda count=count: len(told) > count, "messages")  # type: ignore[misc]
            waits.append(time.monotonic() - begun)
        assert process.returncode == 0
    assert max(waits) < 2.0, "a publisher waited for vacuum"
    with closing(Channels(f"sqlite:///{path}")) as channels:
        assert [message.offset for message in channels.history("a").messages] == list(range(91, 101))
    assert path.stat().st_size < before / 2
    assert offsets(path, "b") == told


def test_a_file_that_cannot_shrink_is_written_anew_unless_it_is_in_use(tmp_path: Path) -> None:
    """As a large one of the first version is."""
    path = tmp_path / "channels.db"
    settings = filled(path, 100)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA auto_vacuum = NONE")
        file.execute("VACUUM")
        file.execute("DELETE FROM segments WHERE last <= 90")  # some before, too: of those appended at once
    before, kept = path.stat().st_size, offsets(path, "a")
    assert 1 < kept[0] <= 91
    with publishing(path):
        ended = called("channels", "vacuum", cwd=tmp_path, settings=settings)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert "stop the stack" in ended.stderr
    assert called("channels", "vacuum", cwd=tmp_path, settings=settings).returncode == 0
    assert path.stat().st_size < before / 2
    assert offsets(path, "a") == kept
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA auto_vacuum").fetchone() == (2,)
