"""WAV files as everybody writes them: each is read, or refused with the place of what is wrong."""

from __future__ import annotations

import math
import random
import struct
from array import array
from collections.abc import Callable

import pytest
import wirecodes
from hypothesis import given, settings
from hypothesis import strategies as st
from wirecodes.morse.wave_file import WaveReader

MORSE = wirecodes.get("morse")
TEXT = "CQ DE W1AW"
SOUND = MORSE.encode(TEXT, to="wav")[44:]
SAMPLES = array("h", SOUND)

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE

#: The rest of a subformat's identifier behind its first two bytes.
SUBFORMAT = b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"


def heard(file: bytes) -> str:
    whole = MORSE.decode(file, from_="wav").decode()
    decoder = MORSE.decoder(from_="wav")
    pieces = [decoder.update(file[at : at + 4099]) for at in range(0, len(file), 4099)]
    assert b"".join([*pieces, decoder.finish()]).decode() == whole
    return whole


def chunk(kind: bytes, content: bytes, size: int | None = None, order: str = "<") -> bytes:
    size = len(content) if size is None else size
    return kind + struct.pack(f"{order}I", size) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes, kind: bytes = b"RIFF", order: str = "<") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack(f"{order}I", len(body)) + body


def header(
    code: int = PCM, bits: int = 16, channels: int = 1, rate: int = 8000, order: str = "<", more: bytes = b""
) -> bytes:
    frame = channels * bits // 8
    fields = struct.pack(f"{order}HHIIHH", code, channels, rate, rate * frame, frame, bits)
    return chunk(b"fmt ", fields + more, order=order)


def mu_law(sample: int) -> int:
    """By the continuous curve that G.711 approximates in segments."""
    share = math.log1p(255 * abs(sample) / 32768) / math.log(256)
    return 0xFF ^ (round(share * 127) | (0x80 if sample < 0 else 0))


def a_law(sample: int) -> int:
    share, curve = abs(sample) / 32768, 1 + math.log(87.6)
    folded = 87.6 * share / curve if share < 1 / 87.6 else (1 + math.log(87.6 * share)) / curve
    return 0x55 ^ (min(127, int(folded * 128)) | (0 if sample < 0 else 0x80))


WRITERS: dict[tuple[int, int], Callable[[int], bytes]] = {
    (PCM, 8): lambda value: bytes(((value >> 8) + 128,)),
    (PCM, 16): lambda value: struct.pack("<h", value),
    (PCM, 24): lambda value: struct.pack("<i", value << 8)[:3],
    (PCM, 32): lambda value: struct.pack("<i", value << 16),
    (FLOAT, 32): lambda value: struct.pack("<f", value / 32768),
    (FLOAT, 64): lambda value: struct.pack("<d", value / 32768),
    (A_LAW, 8): lambda value: bytes((a_law(value),)),
    (MU_LAW, 8): lambda value: bytes((mu_law(value),)),
}


@pytest.mark.parametrize(("code", "bits"), WRITERS)
@pytest.mark.parametrize("extensible", [False, True])
def test_each_form_of_samples_is_read(code: int, bits: int, extensible: bool) -> None:
    data = b"".join(map(WRITERS[code, bits], SAMPLES))
    more = struct.pack("<HHIH", 22, bits, 4, code) + SUBFORMAT if extensible else b""
    form = header(EXTENSIBLE if extensible else code, bits, more=more)
    assert heard(riff(form, chunk(b"data", data))) == TEXT


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_either_order_of_bytes_is_read(order: str, bits: int) -> None:
    data = b"".join(WRITERS[PCM, bits](value)[:: 1 if order == "<" else -1] for value in SAMPLES)
    kind = b"RIFF" if order == "<" else b"RIFX"
    file = riff(header(bits=bits, order=order), chunk(b"data", data, order=order), kind=kind, order=order)
    assert heard(file) == TEXT


def test_samples_may_stand_in_larger_containers() -> None:
    fields = struct.pack("<HHIIHH", PCM, 1, 8000, 32000, 4, 24)
    data = b"".join(b"\0" + WRITERS[PCM, 24](value) for value in SAMPLES)
    assert heard(riff(chunk(b"fmt ", fields), chunk(b"data", data))) == TEXT


@pytest.mark.parametrize("rate", [4000, 5000, 11025, 44100, 96000, 192_000])
def test_rates_from_4_to_192_khz_are_read(rate: int) -> None:
    """The same samples at another rate are slower or faster, lower or higher."""
    encoded = max(8000, min(rate, 48000))
    faster = rate / encoded
    file = MORSE.encode(TEXT, to="wav", rate=encoded, wpm=20 / faster, tone=max(200, 800 / faster))
    assert heard(riff(header(rate=rate), chunk(b"data", file[44:]))) == TEXT


@pytest.mark.parametrize("levels", [(0, 1), (1, -1), (0.1, 0, 1), (0, 0, 0, 0, -1, 0)])
def test_of_any_number_of_channels_the_strongest_is_heard(levels: tuple[float, ...]) -> None:
    frames = (struct.pack("<h", round(level * value)) for value in SAMPLES for level in levels)
    assert heard(riff(header(channels=len(levels)), chunk(b"data", b"".join(frames)))) == TEXT


def test_the_strongest_of_very_many_channels_is_found_in_few_samples() -> None:
    channels = 20_000
    loud = array("h", [9000, -9000] * 16)
    frames = b"".join(bytes(2 * (channels - 1)) + struct.pack("<h", value) for value in loud)
    reader, found = WaveReader(), array("h")
    for part in reader.feed(riff(header(channels=channels), chunk(b"data", frames))):
        found += part
    assert found + reader.finish() == loud


@pytest.mark.parametrize("tone", [500, 8000 / 14, 8000 / 11, 1000, 8000 / 7, 2000])
@pytest.mark.parametrize("offset", [0, 9000])
def test_a_channel_of_hiss_or_of_an_offset_is_never_the_strongest(tone: float, offset: int) -> None:
    dice = random.Random(1)
    samples = array("h", MORSE.encode("SOS", to="wav", wpm=40, tone=tone)[44:])
    frames = (struct.pack("<hh", offset + dice.randrange(-20, 20), value) for value in samples)
    assert heard(riff(header(channels=2), chunk(b"data", b"".join(frames)))) == "SOS"


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_the_channel_is_chosen_alike_however_the_file_is_cut(steps: list[int]) -> None:
    dice = random.Random(2)
    samples = SAMPLES[: len(SAMPLES) // 4]
    frames = (struct.pack("<hh", dice.randrange(-9000, 9000), value) for value in samples)
    file = riff(header(channels=2), chunk(b"data", b"".join(frames), 0))[:-1]
    reader, at, found = WaveReader(), 0, array("h")
    for step in [*steps, len(file)]:
        for part in reader.feed(file[at : at + step]):
            found += part
        at += step
    found += reader.finish()
    whole = WaveReader()
    assert found == sum(whole.feed(file), array("h")) + whole.finish()
    assert len(found) == len(samples) - 1


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_what_follows_a_sample_that_is_not_whole_is_read(cut: int) -> None:
    frames = b"".join(struct.pack("<hh", value, value) for value in SAMPLES)
    first = chunk(b"data", frames + bytes(32000 + cut))
    reader, found = WaveReader(), array("h")
    for part in reader.feed(riff(header(channels=2), first, chunk(b"data", frames))):
        found += part
    assert found + reader.finish() == SAMPLES + array("h", bytes(16000)) + SAMPLES


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, len(SOUND) + 1000])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_a_file_of_unknown_size_ends_with_its_input(size: int, cut: int) -> None:
    file = riff(header(), chunk(b"data", SOUND, size))
    assert heard(file[: len(file) - cut]) == TEXT


def test_the_64_bit_sizes_of_rf64_are_read() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, len(SOUND), len(SAMPLES), 0))
    file = riff(sizes, header(), chunk(b"data", SOUND, 0xFFFFFFFF), chunk(b"LIST", SOUND), kind=b"RF64")
    assert heard(file) == TEXT


def test_infinity_and_what_is_no_number_are_silence() -> None:
    values = [value / 32768 for value in SAMPLES]
    for at, odd in ((10, math.inf), (11, -math.inf), (12, math.nan), (len(values) // 2, 1e30)):
        values[at] = odd
    assert heard(riff(header(FLOAT, 32), chunk(b"data", struct.pack(f"<{len(values)}f", *values)))) == TEXT


def test_other_chunks_are_skipped_with_and_without_their_padding() -> None:
    for odd in (chunk(b"LIST", b"odd"), chunk(b"LIST", b"odd")[:-1], chunk(b"JUNK", b"even")):
        assert heard(riff(odd, header(), odd, chunk(b"data", SOUND), odd)) == TEXT


def test_a_second_data_chunk_is_heard_too() -> None:
    gap = bytes(16000)
    assert heard(riff(header(), chunk(b"data", SOUND + gap), chunk(b"data", SOUND))) == f"{TEXT} {TEXT}"


@pytest.mark.parametrize(
    ("file", "position"),
    [
        (b"", 0),
        (b"RIFX", 4),
        (b"RIFY", 0),
        (b"RIFF\0\0\0\0AVI ", 0),
        (b"RIFF\0\0\0\0WA", 10),
        (riff(chunk(b"data", SOUND)), 12),
        (riff(chunk(b"fmt ", bytes(14))), 16),
        (riff(chunk(b"fmt ", bytes(16), 2**31)), 16),
        (riff(header(code=2)), 12),
        (riff(header(bits=13)), 12),
        (riff(header(FLOAT, bits=16)), 12),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", PCM, 0, 8000, 16000, 2, 16))), 12),
        (riff(header(rate=0)), 12),
        (riff(header(rate=3999)), 12),
        (riff(header(rate=192_001)), 12),
        (riff(header()), 36),
        (riff(header(), chunk(b"LIST", b"some")), 48),
    ],
)
def test_what_is_no_sound_is_an_error_at_its_place(file: bytes, position: int) -> None:
    with pytest.raises(wirecodes.DecodeError) as caught:
        heard(file)
    assert caught.value.position == position


def test_damaged_files_give_a_value_or_our_error() -> None:
    dice = random.Random(5)
    file = riff(chunk(b"LIST", b"odd"), header(), chunk(b"data", SOUND[:4000]))
    for _ in range(200):
        damaged = bytearray(file)
        for _ in range(3):
            damaged[dice.randrange(60 if dice.random() < 0.8 else len(file))] = dice.randrange(256)
        try:
            MORSE.decode(bytes(damaged[: dice.choice([len(file), dice.randrange(len(file))])]), from_="wav")
        except wirecodes.DecodeError:
            continue
