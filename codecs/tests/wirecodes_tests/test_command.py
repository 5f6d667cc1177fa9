"""`python -m wirecodes` as a process."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import wirecodes
from wirecodes.__main__ import main

#: A second of sound in which nothing is sent.
SILENCE = wirecodes.get("morse").encode("E", to="wav")[:44] + bytes(16000)


def run(
    *words: str | Path, data: bytes = b"", where: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "wirecodes", *map(str, words)]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False, cwd=where)


def test_standard_input_goes_to_standard_output() -> None:
    done = run("encode", "morse", "--to", "units", data=b"SOS")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == wirecodes.get("morse").encode("SOS", to="units")
    assert run("decode", "morse", "--from=units", data=done.stdout).stdout == b"SOS"


def test_options_stand_before_or_after_the_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"SOS")
    for words in (("--to", "prefix", "encode", "morse", "in"), ("encode", "morse", "in", "--to", "prefix")):
        assert run(*words, where=tmp_path).stdout == wirecodes.get("morse").encode("SOS", to="prefix")


def test_a_file_goes_to_a_file_with_the_mode_of_a_new_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(data)
    assert run("encode", "gzip+base64", tmp_path / "in", "-o", tmp_path / "coded").returncode == 0
    assert run("decode", "gzip+base64", tmp_path / "coded", "-o", tmp_path / "out").returncode == 0
    assert (tmp_path / "out").read_bytes() == data
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "in").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coded", "in", "out"]


@pytest.mark.parametrize(
    ("words", "data", "message"),
    [
        (("decode", "morse", "--from", "wav"), SILENCE, "no Morse heard"),
        (("encode", "morse"), b"a!", "'!' has no Morse code at position 1"),
        (("decode", "huffman+base64"), b"abc!", "base64: '!' does not belong here in Base64 at position 3"),
        (("encode", "nope"), b"", "no codec is called 'nope'"),
        (
            ("encode", "gzip", "--level", "77"),
            b"",
            "option 'level': must be an integer from 0 to 9, not '77'",
        ),
        (("encode", "gzip", "--colour=red"), b"", "option 'colour': unknown here; known: level"),
        (("decode", "gzip", "--max_output", "3"), b"", "option 'max_output': unknown here; known: trailing"),
        (
            ("analyse", "huffman", "--radix", "11"),
            b"",
            "option 'radix': must be an integer from 2 to 10, not '11'",
        ),
        (
            ("tree", "huffman", "--format", "png"),
            b"",
            "option 'format': must be one of json, svg, dot, not 'png'",
        ),
        (("table", "--radix", "2"), b"", "option 'radix': unknown here; known: none"),
        (("check", "0", "x"), b"", "a code word must be a string of digits, not 'x' at position 1"),
        (("encode", "gzip", "/nowhere/at/all"), b"", "/nowhere/at/all: No such file or directory"),
        (("encode", "gzip", "-o", "/nowhere/at/all"), b"", "No such file or directory"),
    ],
)
def test_an_error_is_one_line_and_exit_status_1(
    words: tuple[str, ...],
    data: bytes,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(list(words)) == 1
    told = capsys.readouterr().err
    assert told.startswith("wirecodes: ")
    assert message in told
    assert told.count("\n") == 1


def test_the_exit_status_is_that_of_the_process() -> None:
    done = run("encode", "morse", data=b"a!")
    assert (done.returncode, done.stderr) == (1, b"wirecodes: '!' has no Morse code at position 1\n")


def test_codes_are_studied() -> None:
    assert json.loads(run("analyse", "huffman", "--radix", "3", data=b"abc").stdout)["expected_length"] == 1
    assert run("tree", "shannon-fano", data=b"abc").stdout.startswith(b"<svg ")
    assert run("tree", "huffman", "--format", "dot", data=b"abc").stdout.startswith(b"digraph")
    assert json.loads(run("tree", "huffman", "--format=json", data=b"abc").stdout)["radix"] == 2
    assert len(json.loads(run("table").stdout)) > 50
    assert json.loads(run("check", "0", "01").stdout)["conflict"] == ["0", "01"]
    assert json.loads(run("split", "0", "1", "01").stdout) == {"count": "1", "parses": [["0", "1"]]}


def test_a_terminal_shows_how_far_a_long_input_has_come(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(os.urandom(3_000_000))
    master, slave = os.openpty()
    command = [
        sys.executable,
        "-m",
        "wirecodes",
        "encode",
        "xz",
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "out"),
    ]
    subprocess.run(command, stderr=slave, timeout=60, check=True)
    os.close(slave)
    assert re.search(rb"\[#+ *\] +[0-9]+%", os.read(master, 100_000))
    os.close(master)


def test_a_wrong_call_is_explained() -> None:
    assert b"usage:" in run("recode", "gzip").stderr
    for words in ([], ["recode", "gzip"], ["encode", "gzip", "a", "b"], ["tree", "gzip"], ["split"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


def test_a_failure_leaves_an_earlier_output_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"earlier")
    broken = wirecodes.get("gzip").encode(os.urandom(3_000_000))[:-1]
    assert run("decode", "gzip", "-o", tmp_path / "out", data=broken).returncode == 1
    assert (tmp_path / "out").read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    command = f"head -c 5000000 /dev/zero | {sys.executable} -m wirecodes encode base16 | head -c 10"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.stdout == b"0" * 10
    assert done.stderr == b""
