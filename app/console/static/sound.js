// @ts-check
// Morse as sound, by WebAudio: a tone with an envelope that rises and falls as a raised cosine, as in the server's WAV files.

// Seconds of an edge. Half of it lies before the moment at which a signal begins: at half the loudness lengths are exact.
const EDGE = 0.006;

// Of full scale.
const LOUDNESS = 0.4;

// Seconds: how far ahead signals are handed to the sound card, and how often. Timers of a hidden page run once a second.
const AHEAD = 2.5,
  EVERY = 250;

// Seconds before the first signal of a text.
const LEAD = 0.08;

const RISE = Float32Array.from({ length: 33 }, (_, index) => 0.5 - 0.5 * Math.cos((Math.PI * index) / 32));
const FALL = RISE.toReversed();

// Milliseconds after which a page that has nothing to play gives the sound card back: what sounds has faded by then.
const REST = 300;

let [shared, resting] = [null, null];

// The page's only audio context: browsers allow few, and let it sound only after a key or a click.
export function audio() {
  clearTimeout(resting);
  shared ??= new AudioContext({ latencyHint: "interactive" });
  if (shared.state === "suspended") shared.resume();
  return shared;
}

// Nothing is to be played any more, for now.
export function silence() {
  clearTimeout(resting);
  resting = setTimeout(() => shared?.suspend(), REST);
}

// A silent tone: `level` is its envelope, `end()` lets it fade and lets go of it.
export function voice(context, tone) {
  const oscillator = new OscillatorNode(context, { frequency: tone });
  const envelope = new GainNode(context, { gain: 0 });
  const volume = new GainNode(context, { gain: LOUDNESS });
  oscillator.connect(envelope).connect(volume).connect(context.destination);
  oscillator.start();
  return {
    level: envelope.gain,
    tune: (hertz) => oscillator.frequency.setTargetAtTime(hertz, context.currentTime, 0.01),
    end() {
      volume.gain.setTargetAtTime(0, context.currentTime, EDGE / 2);
      oscillator.stop(context.currentTime + 10 * EDGE);
    },
  };
}

// Have `level` follow `signals`, of which time 0 is `start` on the context's clock, where it is `now`. A signal that is over, because the
// page was busy, is left out: both its edges would be moved to now, and curves must not overlap.
export function shape(level, signals, start, now) {
  for (const { at, end } of signals) {
    if (start + end < now + 2 * EDGE) continue;
    level.setValueCurveAtTime(RISE, start + at - EDGE / 2, EDGE);
    level.setValueCurveAtTime(FALL, start + end - EDGE / 2, EDGE);
  }
}

// Plays a schedule (see signals.js) from letter `from` on. `onletter` gets the number of the letter that sounds, and null in gaps
// and at the end; `onend` is called when all has sounded, and not after `stop()`.
/**
 * @param {any} plan
 * @param {{tone: number, from?: number, onletter?: (letter: number | null, position: () => number) => void, onend?: () => void}} options
 */
export function play(plan, { tone, from = 0, onletter = () => {}, onend = () => {} }) {
  const context = audio();
  const sounding = voice(context, tone);
  const skipped = plan.letters[from]?.at ?? 0;
  const start = context.currentTime + LEAD - skipped;
  let next = plan.signals.findIndex((signal) => signal.letter >= from);
  let [letter, frame, over] = [null, 0, false];

  function handOver() {
    const ready = [];
    while (next >= 0 && next < plan.signals.length && start + plan.signals[next].at < context.currentTime + AHEAD) {
      ready.push(plan.signals[next++]);
    }
    shape(sounding.level, ready, start, context.currentTime);
  }

  // What is heard now was computed a moment ago.
  const position = () => context.currentTime - start - (context.outputLatency || 0);

  function look() {
    const now = position();
    if (now > plan.length + EDGE) return finish();
    let current = letter ?? from;
    while (current < plan.letters.length - 1 && plan.letters[current].end < now) current++;
    const inside = plan.letters[current] && now >= plan.letters[current].at && now <= plan.letters[current].end;
    const heard = inside ? current : null;
    if (heard !== shown) onletter((shown = heard), position);
    letter = current;
    frame = requestAnimationFrame(look);
  }

  let shown = null;
  function stop() {
    if (over) return;
    over = true;
    clearInterval(timer);
    cancelAnimationFrame(frame);
    sounding.end();
    if (shown !== null) onletter(null, position);
  }

  function finish() {
    stop();
    onend();
  }

  handOver();
  const timer = setInterval(() => {
    handOver();
    if (position() > plan.length + 1) finish(); // a hidden page has no frames
  }, EVERY);
  look();
  return { stop, position, tune: sounding.tune, letter: () => letter ?? from };
}

// The tone of a hand key: down and up at once.
export function sidetone(tone) {
  const context = audio();
  const sounding = voice(context, tone);
  const move = (value) => {
    sounding.level.cancelScheduledValues(context.currentTime);
    sounding.level.setTargetAtTime(value, context.currentTime, EDGE / 4);
  };
  return { down: () => move(1), up: () => move(0), tune: sounding.tune, end: sounding.end };
}
