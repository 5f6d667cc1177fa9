"""The ears of the tests: what a page plays, by its samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from playwright.sync_api import Page

#: Puts a meter before the loudspeaker of each audio context of the page: `tap.level()` is the loudness now, `tap.levels` those of
#: the last seconds, `tap.spectrum` the loudest moment's, `tap.now()` the sound's clock, which is late where a machine is busy, and
#: `tap.edges` when on that clock signals begin and end.
TAP = """
globalThis.tap = { levels: [], loudest: 0, spectrum: null, level: () => 0, edges: [] };
const curve = AudioParam.prototype.setValueCurveAtTime;
AudioParam.prototype.setValueCurveAtTime = function (values, time, length) {
    tap.edges.push(time + length / 2);
    return curve.call(this, values, time, length);
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...others) {
    if (target === this.context.destination && this.context instanceof AudioContext) meter(this);
    return connect.call(this, target, ...others);
};
function meter(node) {
    const analyser = new AnalyserNode(node.context, { fftSize: 1024, smoothingTimeConstant: 0 });
    const samples = new Float32Array(analyser.fftSize), bins = new Float32Array(analyser.frequencyBinCount);
    connect.call(node, analyser);
    tap.rate = node.context.sampleRate;
    tap.now = () => node.context.currentTime;
    tap.level = () => {
        analyser.getFloatTimeDomainData(samples);
        return Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
    };
    const look = () => {
        const level = tap.level();
        tap.levels.push(level);
        if (tap.levels.length > 5000) tap.levels.shift();
        if (level > tap.loudest) {
            analyser.getFloatFrequencyData(bins);
            [tap.loudest, tap.spectrum] = [level, Array.from(bins)];
        }
    };
    setInterval(look, 10);
}
"""

_FRAME = 0.002  # seconds


@dataclass(frozen=True)
class Sound:
    """`level`: loudness from moment to moment; `peak`: the frequency in hertz that was the strongest."""

    level: list[float]
    peak: float


def heard(page: Page, tone: float) -> Sound:
    """What the meter of a page with TAP has seen."""
    found = page.evaluate("({ levels: tap.levels, spectrum: tap.spectrum, rate: tap.rate })")
    spectrum = found["spectrum"]
    strongest = max(range(len(spectrum)), key=spectrum.__getitem__)
    return Sound(found["levels"], strongest * found["rate"] / 2 / len(spectrum))


def rendered(page: Page, code: str, wpm: float, tone: float, rate: int) -> list[float]:
    """The samples that the page's sound of this code has: the same schedule, played into memory."""
    samples: list[float] = page.evaluate(
        """async ([code, wpm, tone, rate]) => {
            const [{ voice, shape }, { lettersOf, schedule, timing }] = await Promise.all(
                ["sound", "signals"].map((name) => import(`/static/console/${name}.js`)));
            const plan = schedule(lettersOf(code, new Map()), timing(wpm));
            const context = new OfflineAudioContext(1, Math.ceil((plan.length + 0.2) * rate), rate);
            shape(voice(context, tone).level, plan.signals, 0.1);
            return Array.from((await context.startRendering()).getChannelData(0));
        }""",
        [code, wpm, tone, rate],
    )
    return samples


def stretches(samples: Sequence[float], rate: int, tone: float) -> list[tuple[bool, float]]:
    """Signals and gaps with their lengths in seconds, from the first signal to the last: where Goertzel's filter for `tone` gives
    more than half of its most."""
    size = round(rate * max(_FRAME, 2 / tone))
    step = round(rate * _FRAME / 4)
    levels = [goertzel(samples[at : at + size], rate, tone) for at in range(0, len(samples) - size, step)]
    half = max(levels) / 2
    runs = [(down, len(list(run)) * step / rate) for down, run in groupby(levels, lambda level: level > half)]
    return runs[1:-1]


def goertzel(samples: Sequence[float], rate: int, tone: float) -> float:
    """How strong `tone` is in the samples: 0 to 1 of full scale."""
    turn = 2 * math.cos(2 * math.pi * tone / rate)
    last = before = 0.0
    for sample in samples:
        last, before = sample + turn * last - before, last
    power = last * last + before * before - turn * last * before
    return 2 * math.sqrt(max(power, 0.0)) / len(samples)
