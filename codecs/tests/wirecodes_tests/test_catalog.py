"""Names, pipelines, options and errors."""

from __future__ import annotations

import json
import pickle
from importlib.metadata import version
from typing import Any

import pytest
import wirecodes
from wirecodes.options import Option, parse


def test_every_name_gives_the_codec_of_that_name() -> None:
    assert len(wirecodes.names()) == len(set(wirecodes.names()))
    for name in wirecodes.names():
        assert wirecodes.get(name).name == name
        assert json.loads(json.dumps(wirecodes.get(name).describe()))["name"] == name


@pytest.mark.parametrize(
    "name", ["", "nope", "huffman+", "+", "gzip+nope", "Base64", "gzip base64", "x" * 100_000]
)
def test_an_unknown_name_is_a_lookup_error_that_tells_the_known(name: str) -> None:
    with pytest.raises(LookupError) as caught:
        wirecodes.get(name)
    assert isinstance(caught.value, wirecodes.UnknownCodecError)
    assert caught.value.known == wirecodes.names()
    assert len(str(caught.value)) < 500


def test_a_pipeline_has_at_most_eight_stages() -> None:
    codec = wirecodes.get("+".join(["base64"] * 8))
    assert codec.decode(codec.encode(b"hello")) == b"hello"
    for stages in (9, 1000):
        with pytest.raises(wirecodes.UnknownCodecError, match="at most 8"):
            wirecodes.get("+".join(["base64"] * stages))


class TestPipelines:
    def test_encode_forwards_and_decode_backwards(self) -> None:
        codec = wirecodes.get("huffman+base64")
        data = b"hello world " * 100
        encoded = codec.encode(data)
        assert encoded == wirecodes.get("base64").encode(wirecodes.get("huffman").encode(data))
        assert codec.decode(encoded) == data
        assert codec.decode(encoded.decode()) == data

    def test_stream_piece_by_piece(self) -> None:
        codec = wirecodes.get("gzip+base32+huffman+base64")
        data = bytes(range(256)) * 40
        encoder, decoder = codec.encoder(), codec.decoder()
        encoded = b"".join(encoder.update(data[i : i + 7]) for i in range(0, len(data), 7)) + encoder.finish()
        assert (
            b"".join(decoder.update(encoded[i : i + 1]) for i in range(len(encoded))) + decoder.finish()
            == data
        )

    def test_describe_what_they_make_of_what(self) -> None:
        codec = wirecodes.get("morse+gzip")
        assert (codec.input, codec.output, codec.kind, codec.name) == (
            "text",
            "bytes",
            "pipeline",
            "morse+gzip",
        )
        assert codec.produces("encode", to="units", level="3") == "bytes"
        assert codec.produces("decode") == "text"
        assert {option["name"] for option in codec.describe()["options"]} >= {
            "to",
            "unknown",
            "from",
            "level",
        }

    def test_give_an_option_to_every_stage_that_knows_it(self) -> None:
        data = b"hello world " * 1000
        fast = wirecodes.get("zlib").encode(data, level=1)
        assert wirecodes.get("zlib+bz2").encode(data, level=1) == wirecodes.get("bz2").encode(fast, level=1)
        assert wirecodes.get("base64+zlib").encode(data, level="1") != wirecodes.get("base64+zlib").encode(
            data
        )

    def test_refuse_an_option_that_no_stage_knows(self) -> None:
        with pytest.raises(wirecodes.OptionError) as caught:
            wirecodes.get("zlib+base64").encode(b"", to="units")
        assert caught.value.option == "to"
        assert caught.value.known == ("level",)
        with pytest.raises(wirecodes.OptionError):
            wirecodes.get("zlib+base64").decode(b"", level=1)

    def test_name_the_stage_whose_input_is_wrong(self) -> None:
        codec = wirecodes.get("gzip+base64")
        with pytest.raises(wirecodes.DecodeError, match="base64: ") as caught:
            codec.decode(b"ab!d")
        assert (caught.value.stage, caught.value.position) == ("base64", 2)
        with pytest.raises(wirecodes.DecodeError) as caught:
            codec.decode(wirecodes.get("base64").encode(b"this is no gzip"))
        assert (caught.value.stage, caught.value.position) == ("gzip", 0)

    def test_bound_every_stage(self) -> None:
        blanks = wirecodes.get("zlib").encode(b" " * 10_000_000)
        codec = wirecodes.get("base64+zlib")
        assert codec.decode(blanks) == b""
        with pytest.raises(wirecodes.OutputLimitError) as caught:
            codec.decode(blanks, max_output=1_000_000)
        assert caught.value.stage == "zlib"


class TestOptions:
    @pytest.mark.parametrize("level", [0, 9, "0", "9", " 5 ", "+7"])
    def test_integers_come_as_values_or_as_text(self, level: object) -> None:
        assert wirecodes.get("zlib").decode(wirecodes.get("zlib").encode(b"x", level=level)) == b"x"

    @pytest.mark.parametrize(
        "level", [-1, 10, "10", "", "1.5", 1.5, "٣", "1_0", "9" * 5000, True, None, b"1", "nan", [1]]
    )
    def test_what_is_no_integer_in_range_is_refused(self, level: object) -> None:
        with pytest.raises(wirecodes.OptionError) as caught:
            wirecodes.get("zlib").encode(b"x", level=level)
        assert caught.value.option == "level"
        assert "from 0 to 9" in caught.value.reason
        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize("name", ["self", "direction", "data", "pieces", "max_output", "", "a" * 9999])
    def test_no_name_from_outside_is_taken_for_an_argument(self, name: str) -> None:
        for codec in (wirecodes.get("morse"), wirecodes.get("morse+zlib")):
            with pytest.raises(wirecodes.OptionError) as caught:
                codec.produces("decode", **{name: "1"})
            assert caught.value.option == name
            with pytest.raises(wirecodes.OptionError):
                codec.encode_stream([], **{name: "1"})

    @pytest.mark.parametrize("value", ["units ", "text"])
    def test_choices_are_checked(self, value: str) -> None:
        assert wirecodes.get("morse").encode("e", to=value)

    @pytest.mark.parametrize("value", ["", "UNITS", "x" * 9999, None, 3])
    def test_what_is_no_choice_is_refused(self, value: object) -> None:
        with pytest.raises(wirecodes.OptionError, match="text, units, prefix"):
            wirecodes.get("morse").encode("e", to=value)

    def test_from_is_taken_in_both_spellings(self) -> None:
        morse = wirecodes.get("morse")
        spelled: dict[str, Any] = {"from": "units"}
        assert morse.decode("10", from_="units") == morse.decode("10", **spelled) == b"E"
        with pytest.raises(wirecodes.OptionError) as caught:
            morse.decode("10", from_="nope")
        assert caught.value.option == "from"

    @pytest.mark.parametrize(("value", "number"), [("1.5", 1.5), (2, 2), ("0.25", 0.25), ("2", 2.0)])
    def test_numbers(self, value: object, number: float) -> None:
        option = Option("speed", "number", None, "", minimum=0.1, maximum=5)
        assert parse([option], "encode", {"speed": value}) == {"speed": number}

    @pytest.mark.parametrize("value", ["nan", "inf", float("nan"), float("inf"), "1e3", "0", 5.1, True])
    def test_what_is_no_number_in_range_is_refused(self, value: object) -> None:
        option = Option("speed", "number", None, "", minimum=0.1, maximum=5)
        with pytest.raises(wirecodes.OptionError):
            parse([option], "encode", {"speed": value})


@pytest.mark.parametrize(
    "error",
    [
        wirecodes.DecodeError("reason", 3),
        wirecodes.OutputLimitError(5),
        wirecodes.OptionError("level", "reason", ("a",)),
        wirecodes.UnknownCodecError("name", "reason", ("a",)),
    ],
)
def test_errors_survive_pickling(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_every_codec_tells_its_memory_and_a_pipeline_the_sum() -> None:
    memory = {name: wirecodes.get(name).memory("encode") for name in wirecodes.names()}
    assert all(0 < size <= 128 << 20 for size in memory.values())
    assert wirecodes.get("xz+base64").memory("encode") == memory["xz"] + memory["base64"]
    assert wirecodes.get("xz").memory("encode", level="9") == 674 << 20
    assert wirecodes.get("xz").memory("decode") >= 64 << 20
    with pytest.raises(wirecodes.OptionError):
        wirecodes.get("xz").memory("encode", level=10)


def test_a_pipeline_checks_the_options_of_every_stage_before_it_runs() -> None:
    with pytest.raises(wirecodes.OptionError):
        wirecodes.get("xz+base64").produces("encode", level=10)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert wirecodes.__version__ == version("wirecodes")
    with pytest.raises(AttributeError):
        _ = wirecodes.no_such_name
