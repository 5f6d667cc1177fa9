"""The compiled texts do what the reference does."""

from __future__ import annotations

import importlib.util
import quopri
import subprocess
import sys

import pytest
import wirecodes
from hypothesis import given
from hypothesis import strategies as st
from wirecodes import _reference_texts as reference
from wirecodes.morse import keying
from wirecodes.morse.keying import WRITINGS, _symbols, _table

from .steps import at_most

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("wirecodes._texts") is None, reason="the extension is not built"
)

GAPS = st.sampled_from([reference.NO_GAP, reference.LETTER_GAP, reference.WORD_GAP])


@given(st.text("ab =\n\r\t0AfG\x7f\xe9", max_size=60).map(lambda text: text.encode("latin-1")))
def test_quoted_printable_is_judged_alike(text: bytes) -> None:
    from wirecodes import _texts as compiled  # noqa: PLC0415

    assert compiled.is_plain_quoted_printable(text) == reference.is_plain_quoted_printable(text)


@given(st.text("abC1 \n\t\x1c!É<", max_size=40), st.sampled_from(sorted(WRITINGS)), GAPS)
def test_letters_are_written_alike(text: str, to: str, gap: int) -> None:
    from wirecodes import _texts as compiled  # noqa: PLC0415

    writing = WRITINGS[to]
    call = (
        text.encode("latin-1"),
        _table(writing),
        writing.letter_gap.encode(),
        writing.word_gap.encode(),
        gap,
    )
    assert compiled.write_letters(*call) == reference.write_letters(*call)


@given(st.text(".-_ /|\n\tx\x1c", max_size=60), GAPS)
def test_letters_are_read_alike(text: str, gap: int) -> None:
    from wirecodes import _texts as compiled  # noqa: PLC0415

    call = (text.encode(), _symbols(), gap)
    assert compiled.read_letters(*call) == reference.read_letters(*call)


@given(
    st.lists(
        st.sampled_from([b"10", b"110", b"1110", b"00", b"000000", b"0", b"1", b" ", b"x"]), max_size=40
    ),
    st.sampled_from([2, 3]),
)
def test_digits_are_read_alike(parts: list[bytes], dash: int) -> None:
    from wirecodes import _texts as compiled  # noqa: PLC0415

    call = (b"".join(parts), _symbols(), dash)
    assert compiled.read_digits(*call) == reference.read_digits(*call)


@pytest.mark.parametrize("writing", ["units", "prefix"])
def test_digits_of_whole_letters_need_no_second_look(writing: str) -> None:
    text = "".join(chr(code) for code in range(33, 97)) * 20
    text = "".join(character for character in text if wirecodes.morse.alphabet.codes_of(character))
    written = wirecodes.get("morse").encode(f"{text} {text}", to=writing)
    decoder = wirecodes.get("morse").decoder(from_=writing)
    with at_most(200, keying):
        assert (decoder.update(written) + decoder.finish()).decode() == f"{text} {text}"


def test_one_missing_extension_does_not_switch_the_others_off() -> None:
    code = (
        "import sys; sys.modules['wirecodes._texts'] = None"
        "; from wirecodes import kernel as k; print(k.KERNEL, k.histogram.__module__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == ["pure", "wirecodes._kernels"]
    assert "RuntimeWarning: not compiled, though others are: wirecodes._texts" in run.stderr


@given(
    st.lists(
        st.sampled_from([b"a", b" ", b"\t", b"=", b".", "é".encode(), b"\n", b"\r\n", b"x" * 90, b"\0"]),
        max_size=400,
    ),
    st.integers(1, 900),
)
def test_quoted_printable_is_what_quopri_writes_however_it_is_cut(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    encoder = wirecodes.get("quoted-printable").encoder()
    pieces = [encoder.update(data[at : at + step]) for at in range(0, len(data), step)]
    assert b"".join([*pieces, encoder.finish()]) == quopri.encodestring(data)
