"""One outcome, however the input is cut: value, reason and position, at every place and for inputs made to break them."""

from __future__ import annotations

import brotli  # type: ignore[import-untyped]
import pytest
import wirecodes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wirecodes import lenient_bases

from wirecodes_tests.steps import at_most

Outcome = tuple[bytes | None, str, int | None]

#: Decoders, their options, and what their inputs are made of.
DECODERS: list[tuple[str, dict[str, object], list[bytes]]] = [
    *[
        (name, {"lenient": lenient}, parts)
        for lenient in (0, 1)
        for name, parts in {
            "base16": [b"0a", b"0", b"F", b"=", b" ", b"%"],
            "base32": [b"MFRGG", b"a", b"=", b"====", b" ", b"1"],
            "base64": [b"YWJj", b"_-", b"Y", b"=", b"==", b"\n", b"."],
            "base64url": [b"YWJj", b"+/", b"Y", b"=", b"==", b"\n", b"."],
            "ascii85": [b"z", b"uuuuu", b"!", b"!!!!!", b"~", b" ", b"s8W-!", b's8W-"'],
            "base85": [b"~~~~~", b"0", b"VPaz", b"\x7f", b" ", b"|NsC0", b"|NsC1"],
        }.items()
    ],
    ("morse", {}, [b".", b"-", b" ", b"/", "\u2026".encode(), b"\xe2", b"......", b"x", b"\n"]),
    ("morse", {"from_": "units"}, [b"10", b"1110", b"00", b"000000", b"0", b"1", b" ", b"2", b"10" * 30]),
    ("morse", {"from_": "prefix"}, [b"10", b"110", b"00", b"000000", b"0", b"1", b" ", b"2", b"10" * 30]),
    ("quoted-printable", {}, [b"=41", b"=", b"=\n", b"=\r\n", b"a", b" ", b"\xe9", b"=4", b"\t"]),
    ("percent", {}, [b"%41", b"%", b"%4", b"a", b"%c3%a9", b"\xe9", b"+"]),
    ("rot13", {}, [b"a", "\u00e9".encode(), b"\xc3", b"\xff"]),
    ("huffman", {}, [wirecodes.get("huffman").encode(b"some text"), b"\0", b"\xff", b"H"]),
    *[
        (
            name,
            {"trailing": trailing},
            [wirecodes.get(name).encode(b"some text"), b"\0", b"\0\0\0", b"\x1f", b"\xfd"],
        )
        for trailing in ("error", "ignore")
        for name in ("gzip", "bz2", "xz", "zstd", "zlib")
    ],
]


def outcome(codec: wirecodes.Codec, data: bytes, places: list[int], **options: object) -> Outcome:
    """Of `data` cut at these places."""
    decoder = codec.decoder(**options)
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    try:
        parts = [decoder.update(data[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
        return b"".join([*parts, decoder.finish()]), "", None
    except wirecodes.DecodeError as error:
        return None, error.reason, error.position


@pytest.mark.parametrize(("name", "options", "parts"), DECODERS, ids=lambda value: str(value)[:40])
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_input_has_one_outcome(
    name: str, options: dict[str, object], parts: list[bytes], data: st.DataObject
) -> None:
    codec = wirecodes.get(name)
    text = b"".join(data.draw(st.lists(st.sampled_from(parts), max_size=8)))
    whole = outcome(codec, text, [], **options)
    if whole[1] and whole[1].startswith(
        "not "
    ):  # a decompressor of another package notices damage when it does
        return
    assert outcome(codec, text, list(range(len(text))), **options) == whole
    for place in range(1, len(text)):
        assert outcome(codec, text, [place], **options) == whole


def test_a_group_that_is_too_large_is_told_at_its_first_character() -> None:
    for name, text, place in (("ascii85", b"!!!!! \x7fuzuzuuu", 7), ("base85", b"00000 \x7f~~~~~", 7)):
        for at in range(len(text)):
            found = outcome(wirecodes.get(name), text, [at], lenient=1)
            assert found == (None, "a group whose number is too large", place)


def test_zeros_inside_a_group_are_left_out_at_once() -> None:
    decoder = wirecodes.get("ascii85").decoder(lenient=1)
    with at_most(2000, lenient_bases):
        assert decoder.update(b"z!" + b"z" * 400_000 + b"!!!!z") == bytes(12)


@pytest.mark.parametrize(("name", "text"), [("base64", b"="), ("base32", b"="), ("ascii85", b"z")])
def test_padding_and_groups_of_zeros_are_read_at_once(name: str, text: bytes) -> None:
    decoder = wirecodes.get(name).decoder(lenient=1)
    with at_most(200, lenient_bases):
        decoder.update(text * 10_000)


@pytest.mark.parametrize("size", [524_288, 3_000_000])
@pytest.mark.parametrize("garbage", [b"x", b"garbage " * 900])
def test_garbage_behind_a_few_bytes_that_swell_is_told_at_its_place(size: int, garbage: bytes) -> None:
    codec = wirecodes.get("brotli")
    member = brotli.compress(bytes(size))
    for places in ([], [1], [len(member)], list(range(len(member) + 1))):
        told = (None, "data after the end of the compressed data", len(member))
        assert outcome(codec, member + garbage, places) == told
        assert outcome(codec, member + garbage, places, trailing="ignore")[0] == bytes(size)
