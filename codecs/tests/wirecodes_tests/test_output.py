"""Where the command writes: links, nodes, modes, closed streams; and its words in any order."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import wirecodes

BASE64 = b"c29tZSBkYXRh"


def run(*words: str | Path, data: bytes = b"some data", **more: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "wirecodes", *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_a_link_is_followed_also_to_what_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("made")
    for link, target in (("link", "target"), ("dangling", "made")):
        assert run("encode", "base64", "-o", tmp_path / link).returncode == 0
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / target).read_bytes() == BASE64


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    assert run("encode", "base64", "-o", fifo).returncode == 0
    reader.join(20)
    assert read == [BASE64]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    null = tmp_path / "null"
    null.symlink_to(os.devnull)
    before = os.stat(os.devnull)
    assert run("encode", "base64", "-o", null).returncode == 0
    assert os.stat(os.devnull).st_rdev == before.st_rdev


def test_another_name_of_standard_output_is_standard_output(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/proc/self/fd/1")
    assert run("encode", "base64", "-o", tmp_path / "out").stdout == BASE64
    with open(tmp_path / "file", "wb") as file:
        command = [sys.executable, "-m", "wirecodes", "encode", "base64", "-o", str(tmp_path / "out")]
        file.write(b"before ")
        file.flush()
        subprocess.run(command, input=b"some data", stdout=file, timeout=60, check=True)
        os.write(file.fileno(), b" after")
    assert (tmp_path / "file").read_bytes() == b"before " + BASE64 + b" after"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_an_existing_file_keeps_its_mode_and_its_other_names(tmp_path: Path, mode: int) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    out.write_bytes(b"old and longer than the new")
    out.chmod(mode)
    assert run("encode", "base64", "-o", out).returncode == 0
    assert (out.read_bytes(), stat.S_IMODE(out.stat().st_mode)) == (BASE64, mode)
    os.link(out, other)
    assert run("encode", "base16", "-o", out).returncode == 0
    assert other.read_bytes() == out.read_bytes() == b"some data".hex().upper().encode()
    assert run("decode", "base64", "-o", out, data=b"YWJj!").returncode == 1
    assert out.read_bytes() == other.read_bytes() == b"some data".hex().upper().encode()


@pytest.mark.parametrize(
    "words",
    [
        ("encode", "morse", "-o", "out", "in"),
        ("-o", "out", "encode", "morse", "in"),
        ("encode", "--to", "text", "morse", "in", "-oout"),
        ("encode", "morse", "-o=out", "--", "in"),
        ("encode", "--to=text", "morse", "--output", "out", "in"),
        ("--unknown", "skip", "encode", "-o", "out", "morse", "in", "--to", "text"),
    ],
)
def test_options_stand_in_any_place(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "in").write_bytes(b"sos")
    done = run(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == b"... --- ..."


def test_two_dashes_end_the_options(tmp_path: Path) -> None:
    (tmp_path / "--odd").write_bytes(b"some data")
    assert run("encode", "base64", "--", "--odd", cwd=tmp_path).stdout == BASE64


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("encode", "morse", "--wpm", "--to", "wav", "cq"), b"option --wpm needs a value"),
        (("encode", "morse", "--wpm"), b"option --wpm needs a value"),
        (("encode", "gzip", "-o"), b"option -o needs a value"),
        (("encode", "gzip", "-x"), b"there is no option -x"),
        (("encode", "gzip", "--level", "1", "--level", "2"), b"option --level is given twice"),
        (("decode", "morse", "--", "a", "b"), b"decode takes NAME [FILE]"),
        (("nothing",), b"there is no command 'nothing'"),
    ],
)
def test_a_wrong_call_names_what_is_wrong(words: tuple[str, ...], told: bytes) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr


def test_python_s_name_of_an_option_is_none_here() -> None:
    done = run("decode", "morse", "--from_", "units")
    assert (done.returncode, done.stderr) == (
        1,
        b"wirecodes: option 'from_': unknown here; it is spelled from\n",
    )


@pytest.mark.parametrize(("closing", "stream"), [("<&-", "input"), (">&-", "output")])
def test_a_closed_standard_stream_is_one_line(closing: str, stream: str) -> None:
    command = f"{sys.executable} -m wirecodes encode base64 {closing}"
    done = subprocess.run(
        ["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.decode()) == (1, f"wirecodes: standard {stream} is closed\n")


def test_help_names_commands_codecs_and_options() -> None:
    assert run("--version").stdout.decode() == f"wirecodes {wirecodes.__version__}\n"
    explained = run("--help").stdout.decode()
    assert all(name in explained for name in wirecodes.names())
    assert b"--wpm" in run("encode", "morse", "--help").stdout
    assert b"--wpm" not in run("decode", "morse", "--help").stdout
    listed = run("list").stdout.decode()
    assert all(f"\n{name} " in f"\n{listed}" for name in wirecodes.names())
