"""Files of ours: whole or not there, and for this user alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from heliograph_proxy import files

GOOD, NEW = "k" * files.MIN_SECRET, "n" * files.MIN_SECRET

#: Writes one of two texts over and over until its standard input ends.
WRITER = """
import sys
from pathlib import Path
from heliograph_proxy import files
for number in range(60):
    files.replace(Path(sys.argv[1]), sys.argv[2] * 20000)
"""

KEEPER = """
import os, sys
from pathlib import Path
from heliograph_proxy import files
sys.stdin.read()
print(files.keep_secret(Path(sys.argv[1]), os.urandom(32).hex())[0])
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_what_is_written_is_for_this_user_alone_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    files.make_folder(tmp_path / "a" / "b")
    files.replace(tmp_path / "a" / "b" / "file", "text")
    files.keep_secret(tmp_path / "a" / "c" / "key", NEW)
    assert {mode(path) for path in (tmp_path / "a").rglob("*") if path.is_file()} == {0o600}
    assert {mode(path) for path in (tmp_path / "a").rglob("*") if path.is_dir()} == {0o700}


def test_a_reader_finds_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    files.replace(file, "a" * 20000)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, file, letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        text = file.read_text()
        assert len(text) == 20000
        seen.add(text)
    assert seen <= {"a" * 20000, "b" * 20000}
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_written_leaves_the_old_text(tmp_path: Path) -> None:
    file = tmp_path / "file"
    files.replace(file, "old")
    with pytest.raises(UnicodeEncodeError):
        files.replace(file, "new \ud800")
    assert (file.read_text(), os.listdir(tmp_path)) == ("old", ["file"])


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\0" * 65, "is not one line of text"),
        (b"short\n", "has fewer than 32 characters"),
        (b"k" * 31, "has fewer than 32 characters"),
        (b"\xff" * 40, "is not one line of text"),
        (b"k" * 5000, "is not one line of text"),
    ],
)
def test_a_secret_that_is_not_good_is_made_anew(tmp_path: Path, content: bytes, wrong: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    secret, said = files.keep_secret(file, NEW)
    assert (said, secret, file.read_text(), mode(file)) == (wrong, NEW, f"{NEW}\n", 0o600)
    assert files.keep_secret(file, GOOD) == (NEW, "")


def test_a_good_secret_stays_and_is_taken_from_other_users(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(GOOD + "\n")
    file.chmod(0o644)
    assert (files.keep_secret(file, NEW), mode(file)) == ((GOOD, ""), 0o600)


@pytest.mark.parametrize("content", [None, "", "short"])
def test_processes_that_start_at_once_have_one_secret(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "var" / "key"
    if content is not None:
        file.parent.mkdir()
        file.write_text(content)
    keepers = [
        subprocess.Popen(
            [sys.executable, "-c", KEEPER, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for keeper in keepers:
        assert keeper.stdin
        keeper.stdin.close()
    told = []
    for keeper in keepers:
        assert keeper.stdout
        told.append(keeper.stdout.read().strip())
        keeper.stdout.close()
        keeper.wait()
    assert set(told) == {file.read_text().strip()}


def test_what_is_open_to_others_is_closed_and_links_are_left_alone(tmp_path: Path) -> None:
    folder, file, link = tmp_path / "folder", tmp_path / "file", tmp_path / "link"
    target = tmp_path / "target"
    folder.mkdir()
    for path in (file, target):
        path.touch()
        path.chmod(0o644)
    folder.chmod(0o755)
    link.symlink_to(target)
    for path in (folder, file, link, tmp_path / "missing"):
        files.make_private(path)
    assert (mode(folder), mode(file), mode(target)) == (0o700, 0o600, 0o644)
