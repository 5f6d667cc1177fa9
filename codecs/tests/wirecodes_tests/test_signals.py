"""The kernels of reading Morse sound: both twins give the same, bit for bit."""

from __future__ import annotations

import importlib
import importlib.util
import random
from array import array

import pytest
from wirecodes import _reference_signals as reference
from wirecodes.morse.letters import code_tree
from wirecodes.morse.search import _costs

from .keyer import Sender, noise, sound

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("wirecodes._signals") is None, reason="the extension is not built"
)
DICE = random.Random(1844)
NOISY = array("d", noise(sound("SOS", Sender(wpm=30), DICE), 0, DICE))


class TestTwins:
    @pytest.fixture
    def compiled(self) -> object:
        return importlib.import_module("wirecodes._signals")

    def test_thin_sound(self, compiled: object) -> None:
        samples = array("h", [DICE.randrange(-32768, 32768) for _ in range(1001)])
        for step in (1, 2, 5, 6):
            assert compiled.thinned(samples, step) == reference.thinned(samples, step)

    def test_transform(self, compiled: object) -> None:
        for points, hop, bins in ((64, 32, 20), (512, 256, 258)):
            assert compiled.spectra(NOISY, points, hop, bins) == reference.spectra(NOISY, points, hop, bins)
        assert compiled.spectra(NOISY[:63], 64, 32, 20) == array("d")

    def test_transform_a_tone_to_its_own_bin(self) -> None:
        power = reference.spectra(array("d", [1.0, 0.0, -1.0, 0.0] * 16), 64, 64, 33)
        assert max(range(33), key=power.__getitem__) == 16
        assert power[16] == pytest.approx(16**2)

    def test_follow_a_ridge(self, compiled: object) -> None:
        scores = array("d", [DICE.expovariate(1) for _ in range(40 * 30)])
        for costs in ((0.3, 2.0), (2.0, 6.0), (12.0, 40.0)):
            assert compiled.ridge(scores, 30, *costs) == reference.ridge(scores, 30, *costs)

    def test_mix(self, compiled: object) -> None:
        angles = array("d", [DICE.uniform(0.1, 2.5) for _ in range(len(NOISY) // 16)])
        assert compiled.mixed(NOISY, angles, 16, 1.25) == reference.mixed(NOISY, angles, 16, 1.25)

    def test_search(self, compiled: object) -> None:
        costs, firsts = _costs(4.2)
        for seed in range(4):
            dice = random.Random(seed)
            keyed = [6.0 * (k // 5 % 3 != 1) for k in range(300)]
            levels = (
                array("d", [value + dice.gauss(0, 2) for value in keyed]),
                array("d", [dice.gauss(0, 2) for _ in keyed]),
                array("d", [4.5] * len(keyed)),
            )
            found = reference.likeliest(levels, code_tree(), costs, firsts)
            assert found[1]
            assert compiled.likeliest(levels, code_tree(), costs, firsts) == found
