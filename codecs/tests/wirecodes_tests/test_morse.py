"""Morse against ITU-R M.1677-1, written down here a second time, and its three written forms."""

from __future__ import annotations

import pytest
import wirecodes
from hypothesis import given, settings
from hypothesis import strategies as st
from wirecodes import morse

MORSE = wirecodes.get("morse")

#: Recommendation ITU-R M.1677-1, annex 1, part I, section 1: number 1.1.1 letters, 1.1.2 figures, 1.1.3
#: punctuation.
RECOMMENDATION = """
a .-  b -...  c -.-.  d -..  e .  é ..-..  f ..-.  g --.  h ....  i ..  j .---  k -.-  l .-..  m --  n -.  o
--- p .--.  q --.-  r .-.  s ...  t -  u ..-  v ...-  w .--  x -..-  y -.--  z --.. 1 .----  2 ..---  3 ...--
4 ....-  5 .....  6 -....  7 --...  8 ---..  9 ----.  0 ----- . .-.-.-  , --..--  : ---...  ? ..--..  ’ .----.
- -....-  / -..-.  ( -.--.  ) -.--.-  " .-..-.  = -...- <SN> ...-.  <HH> ........  + .-.-.  <K> -.-  <AS>
.-...  <SK> ...-.-  <KA> -.-.-  × -..-  @ .--.-.
"""
PAIRS = list(zip(RECOMMENDATION.split()[::2], RECOMMENDATION.split()[1::2], strict=True))

UNITS_OF_SOS = "101010" + "00" + "111011101110" + "00" + "101010"


@pytest.mark.parametrize(("symbol", "code"), PAIRS)
def test_each_signal_of_the_recommendation_is_sent_so(symbol: str, code: str) -> None:
    assert MORSE.encode(symbol).decode() == code


@pytest.mark.parametrize(("symbol", "code"), PAIRS)
def test_each_signal_is_read_as_its_capital_or_the_character_of_the_same_code(symbol: str, code: str) -> None:
    expected = {"×": "X", "<K>": "K", "’": "'"}.get(symbol, symbol.upper())
    assert MORSE.decode(code).decode() == expected


@pytest.mark.parametrize(
    ("text", "to", "expected"),
    [
        ("SOS", "text", "... --- ..."),
        ("sos help", "text", "... --- ... / .... . .-.. .--."),
        ("SOS", "units", UNITS_OF_SOS),
        ("E", "units", "10"),
        ("ET", "units", "10001110"),
        ("E T", "units", "10" + "000000" + "1110"),
        ("EE", "prefix", "10" + "00" + "10"),
        ("A N", "prefix", "10110" + "000000" + "11010"),
        ("  \n E \t\r\n T  ", "text", ". / -"),
        ("", "units", ""),
        ("   ", "text", ""),
    ],
)
def test_gaps_are_exact_to_the_unit(text: str, to: str, expected: str) -> None:
    assert MORSE.encode(text, to=to).decode() == expected


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("e\u0301", "é"),
        ("ＳＯＳ", "sos"),
        ("½", "1/2"),
        ("“a”", '"a"'),
        ("a–b", "a-b"),
        ("8÷2", "8:2"),
        ("ﬁ", "fi"),
        ("<sk>", "<SK>"),
    ],
)
def test_case_nfkc_and_the_table_fold(written: str, same: str) -> None:
    assert MORSE.encode(written) == MORSE.encode(same)
    data = written.encode()
    coder = MORSE.encoder()
    assert b"".join(coder.update(data[i : i + 1]) for i in range(len(data))) + coder.finish() == MORSE.encode(
        same
    )


@pytest.mark.parametrize(
    ("text", "position"),
    [("a!", 1), ("ü", 0), ("ab é ñ", 5), ("x<QQ>", 1), ("a < b", 2), ("<SK", 0), ("日本", 0), ("e\u0302", 0)],
)
def test_an_unknown_character_is_an_error_at_its_place(text: str, position: int) -> None:
    for step in (1, 100):
        data = text.encode()
        pieces = [data[start : start + step] for start in range(0, len(data), step)]
        with pytest.raises(wirecodes.EncodeError) as caught:
            b"".join(MORSE.encode_stream(pieces))
        assert caught.value.position == position


def test_unknown_characters_are_left_out_or_replaced_only_when_told_so() -> None:
    assert MORSE.encode("a!b", unknown="skip") == MORSE.encode("ab")
    assert MORSE.encode("a ! b", unknown="skip") == MORSE.encode("a b")
    assert MORSE.encode("a!ñ<QQ>", unknown="replace") == MORSE.encode("a???")


@pytest.mark.parametrize(
    ("to", "known"), [("audio", "text, units, prefix, wav"), ("WAV", "text, units, prefix, wav")]
)
def test_a_form_that_does_not_exist_is_refused(to: str, known: str) -> None:
    with pytest.raises(wirecodes.OptionError, match=known):
        MORSE.encode("a", to=to)
    with pytest.raises(wirecodes.OptionError, match=known):
        MORSE.decode("a", from_=to)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("...   ---\t...", "SOS"),
        ("... --- ...\n. .\n", "SOS EE"),
        (" / / . / / - / ", "E T"),
        ("·−", "A"),
        ("...---...", "<SOS>"),
        ("", ""),
    ],
)
def test_reading_text_is_lenient_about_white_space_only(text: str, value: str) -> None:
    assert MORSE.decode(text).decode() == value


@pytest.mark.parametrize(
    ("form", "text", "position"),
    [
        ("text", "... x ...", 4),
        ("text", "... ..--..-- ...", 4),
        ("text", "." * 5000, 0),
        ("text", "a" * 5000, 0),
        ("units", "1010 2", 5),
        ("units", "0010", 0),
        ("units", "1", 1),
        ("units", "100", 3),
        ("units", "11110", 0),
        ("units", "1100", 4),
        ("units", "10" + "000" + "10", 0),
        ("units", "1000" + "10" + "0000000" + "10", 4),
        ("units", "10" * 40, 0),
        ("units", "1000 10 0000 10", 5),
        ("units", "10" + "0" * 500, 0),
        ("prefix", "1110", 0),
        ("prefix", "1000", 4),
        ("prefix", "10" + "0000" + "10", 0),
    ],
)
def test_what_is_no_morse_is_an_error_at_its_place(form: str, text: str, position: int) -> None:
    for step in (1, 3, 10_000):
        pieces = [text.encode()[start : start + step] for start in range(0, len(text), step)]
        with pytest.raises(wirecodes.DecodeError) as caught:
            b"".join(MORSE.decode_stream(pieces, from_=form))
        assert caught.value.position == position


WORDS = st.lists(
    st.lists(st.sampled_from([row["symbol"] for row in morse.table()]), min_size=1, max_size=6).map("".join),
    max_size=6,
)


@pytest.mark.parametrize("form", ["text", "units", "prefix"])
def test_any_words_come_back(form: str) -> None:
    @settings(max_examples=100, deadline=None)
    @given(WORDS, st.integers(1, 40))
    def check(words: list[str], step: int) -> None:
        text = " ".join(words)
        encoded = MORSE.encode(text, to=form)
        assert MORSE.decode(encoded, from_=form).decode() == text
        pieces = [encoded[start : start + step] for start in range(0, len(encoded), step)]
        assert b"".join(MORSE.decode_stream(pieces, from_=form)).decode() == text
        pieces = [text.encode()[start : start + step] for start in range(0, len(text.encode()), step)]
        assert b"".join(MORSE.encode_stream(pieces, to=form)) == encoded

    check()


@pytest.mark.parametrize("form", ["units", "prefix"])
def test_any_digits_are_their_own_encoding_or_an_error(form: str) -> None:
    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.sampled_from(["10", "1110", "110", "00", "0", "000000"]), max_size=10).map("".join))
    def check(digits: str) -> None:
        try:
            text = MORSE.decode(digits, from_=form)
        except wirecodes.DecodeError:
            return
        assert MORSE.encode(text, to=form).decode() == digits

    check()


def test_the_table_has_every_symbol_with_its_length_and_share() -> None:
    rows = {row["symbol"]: row for row in morse.table()}
    assert rows["E"] == {"symbol": "E", "code": ".", "units": 1, "frequency": 0.12702}
    assert rows["Q"]["units"] == 13
    assert rows["<SK>"] == {"symbol": "<SK>", "code": "...-.-", "units": 15, "frequency": None}
    assert len({row["code"] for row in rows.values()}) == len(rows)
    assert sum(row["frequency"] or 0 for row in rows.values()) == pytest.approx(1, abs=0.001)


def test_memory_does_not_grow_with_what_never_ends() -> None:
    encoder = MORSE.encoder(unknown="skip")
    for _ in range(20):
        encoder.update("\u0301".encode() * 10_000)
    decoder = MORSE.decoder(from_="units")
    for _ in range(20):
        decoder.update(b" " * 10_000)
    assert decoder.finish() == b""
