"""The compiled texts do what the reference does."""

from __future__ import annotations

import importlib.util
import quopri

import pytest
import wirecodes
from hypothesis import given
from hypothesis import strategies as st
from wirecodes import _reference_texts as reference
from wirecodes.morse.keying import WRITINGS, _symbols, _table

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
