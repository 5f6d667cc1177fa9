"""Codecs of others in our catalogue, and ours in Python's registry."""

from __future__ import annotations

import codecs
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wirecodes
from wirecodes import catalog
from wirecodes.coder import Coder

#: Untyped, because typeshed knows only the registry's own names.
PYTHON: Any = codecs


class Reverser(Coder):
    """Turns the bits of every byte over."""

    def _feed(self, piece: bytes) -> Iterator[bytes]:
        yield bytes(byte ^ 255 for byte in piece)

    def _flush(self) -> Iterator[bytes]:
        yield from ()


class Inverse(wirecodes.Codec):
    def __init__(self, name: str) -> None:
        self.name = name

    def encoder(self, /, **options: object) -> Coder:
        return Reverser()

    def decoder(self, /, *, max_output: int | None = None, **options: object) -> Coder:
        return Reverser()


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_CODECS", dict(catalog._CODECS))


@pytest.mark.usefixtures("clean")
class TestRegister:
    def test_a_registered_codec_is_one_of_ours(self) -> None:
        wirecodes.register(Inverse("inverse"))
        assert "inverse" in wirecodes.names()
        codec = wirecodes.get("inverse+base16")
        assert codec.encode(b"\x00\xff") == b"FF00"
        assert codec.decode(b"FF00") == b"\x00\xff"

    def test_a_foreign_class_can_be_a_codec_without_deriving(self) -> None:
        class Foreign:
            name = "foreign"

        with pytest.raises(TypeError):
            wirecodes.register(Foreign())  # type: ignore[arg-type]
        wirecodes.Codec.register(Foreign)
        wirecodes.register(Foreign())  # type: ignore[arg-type]
        assert isinstance(wirecodes.get("foreign"), Foreign)

    @pytest.mark.parametrize("name", ["huffman", "a+b", "", "Capital", "a b", "x" * 65, "-a", "é"])
    def test_a_name_that_is_taken_or_unusable_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"called|name for a codec"):
            wirecodes.register(Inverse(name))


def test_packages_announce_codecs_by_entry_points(tmp_path: Path) -> None:
    info = tmp_path / "plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[wirecodes.codecs]\ninverse = plugin:make\nbroken = plugin:missing\ntaken = plugin:taken\n"
    )
    source = Path(__file__).read_text().split("class Reverser")[1].split("@pytest.fixture")[0]
    (tmp_path / "plugin.py").write_text(
        "from __future__ import annotations\nimport wirecodes\nfrom wirecodes.coder import Coder\nclass Reverser"
        + source
        + 'make = lambda: Inverse("inverse")\ntaken = Inverse("gzip")\n'
    )
    program = f"""
import sys, warnings
sys.path.insert(0, {str(tmp_path)!r})
import wirecodes
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert wirecodes.get("inverse").decode(b"\\x00") == b"\\xff"
    assert wirecodes.names()[-1] == "inverse"
print(len(caught))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("2\n", "")


class TestPythonsRegistry:
    @pytest.fixture(autouse=True)
    def _registered(self) -> None:
        wirecodes.register_stdlib()
        wirecodes.register_stdlib()

    def test_bytes_go_to_bytes(self) -> None:
        data = b"hello world " * 50
        encoded = PYTHON.encode(data, "huffman")
        assert encoded == wirecodes.get("huffman").encode(data)
        assert PYTHON.decode(encoded, "huffman") == data

    @pytest.mark.parametrize("name", wirecodes.names())
    def test_every_codec_is_there_by_its_own_name(self, name: str) -> None:
        codec = wirecodes.get(name)
        info = PYTHON.lookup(f"wirecodes-{name}")
        value: Any = "SOS" if codec.input == "text" else b"SOS"
        encoded, consumed = info.encode(value)
        assert consumed == 3
        assert encoded == (codec.encode(value).decode() if codec.input == "text" else codec.encode(value))
        assert info.decode(encoded) == (value, len(encoded))
        pieces = list(PYTHON.iterencode([value[:1], value[1:]], f"wirecodes-{name}"))
        if isinstance(value, str):
            assert "".join(PYTHON.iterdecode(["".join(pieces)], f"wirecodes-{name}")) == value
        else:
            assert b"".join(PYTHON.iterdecode([b"".join(pieces)], f"wirecodes-{name}")) == value

    def test_text_goes_to_text(self) -> None:
        assert PYTHON.encode("SOS", "morse") == "... --- ..."
        assert PYTHON.decode("... --- ...", "morse") == "SOS"
        assert "".join(PYTHON.iterencode(["S", "O", "S"], "morse")) == "... --- ..."

    def test_pythons_own_names_stay_pythons(self) -> None:
        assert PYTHON.encode(b"hello", "base64") == b"aGVsbG8=\n"
        assert PYTHON.encode(b"hello", "wirecodes-base64") == b"aGVsbG8="

    def test_errors_are_handled_as_their_name_says(self) -> None:
        with pytest.raises(wirecodes.EncodeError):
            PYTHON.encode("a!b", "morse")
        assert PYTHON.encode("a!b", "morse", "ignore") == ".- -..."
        assert PYTHON.encode("a!b", "morse", "replace") == ".- ..--.. -..."
        with pytest.raises(ValueError, match="no error handling"):
            PYTHON.encode("a!b", "morse", "xmlcharrefreplace")
        with pytest.raises(ValueError, match="no error handling"):
            PYTHON.encode(b"a", "huffman", "ignore")
        with pytest.raises(wirecodes.DecodeError):
            PYTHON.decode(b"a", "huffman")

    def test_an_incremental_coder_starts_again_after_reset(self) -> None:
        encoder = PYTHON.getincrementalencoder("huffman")()
        first = encoder.encode(b"one", True)
        encoder.reset()
        assert encoder.encode(b"one", True) == first

    def test_the_wrong_type_is_a_type_error(self) -> None:
        with pytest.raises(TypeError):
            PYTHON.encode("text", "huffman")
        with pytest.raises(TypeError):
            PYTHON.encode(b"bytes", "morse")

    def test_they_are_no_text_encodings(self) -> None:
        with pytest.raises(LookupError, match="not a text encoding"):
            "SOS".encode("morse")

    def test_an_unknown_name_is_pythons_lookup_error(self) -> None:
        with pytest.raises(LookupError):
            PYTHON.lookup("wirecodes-nope")
