// @ts-check
// Reading a hand key: when it went down and up, to text. The speed of a hand is not known, so the unit is the one that the
// last signals fit best, and these are read anew with every signal. Pure: times, in seconds, are arguments.

// Signals and gaps that decide the unit and may still be read differently. Fewer would waver, more would not follow a hand.
const REMEMBERED = 60;

// Units tried, in seconds: 60 to 2 words a minute, in steps of 3 %.
const SHORTEST = 0.02,
  LONGEST = 0.6,
  STEP = 1.03;

// Where a length is as near to a dot as to a dash, in units: the geometric mean of 1 and 3. Gaps of a hand are less regular, so
// letters part at 2 units (of 1 and 3), and words at 5 (of 3 and 7).
const DASH = Math.sqrt(3),
  LETTER = 2,
  WORD = 5;

// Seconds, and units, of silence after which what was read stays: what comes then may have another speed.
const PAUSE = 2,
  PAUSE_UNITS = 12;

// Seconds: a clock may stand this much before a deadline that it has reached.
const INSTANT = 1e-4;

// The weight of the earlier speed where the signals leave it open: TTT sent slowly is S sent fast.
const PRIOR = 0.05;

// Characters of the text that are kept.
const MOST_TEXT = 2000;

const LOG_3 = Math.log(3);

// The unit that `stretches` (`{down, length}`) fit best, near `usual` where they leave it open.
function findUnit(stretches, usual) {
  const logs = stretches.map(({ down, length }) => [down, Math.log(Math.max(length, 1e-3))]);
  let [best, least] = [usual, Infinity];
  for (let unit = SHORTEST; unit <= LONGEST; unit *= STEP) {
    const zero = Math.log(unit);
    let misfit = PRIOR * (zero - Math.log(usual)) ** 2;
    for (const [down, length] of logs) {
      const off = length - zero;
      if (down) misfit += Math.min(Math.abs(off), Math.abs(off - LOG_3)) ** 2;
      else if (off < LOG_3 / 2) misfit += off ** 2;
    }
    if (misfit < least) [best, least] = [unit, misfit];
  }
  return best;
}

// What a stretch of `unit` writes: a signal, or the gap between letters or words.
function mark({ down, length }, unit) {
  if (down) return length > DASH * unit ? "-" : ".";
  if (length > WORD * unit) return " / ";
  return length > LETTER * unit ? " " : "";
}

export class Keyer {
  #symbols;
  #usual;
  #recent = [];
  #since = null;
  #silent = 0;
  #text = "";

  // `symbols` maps codes to what they mean; `unit` is the speed that is expected at first.
  constructor(symbols, unit = 0.12) {
    this.#symbols = symbols;
    this.#usual = this.unit = unit;
    this.isDown = false;
  }

  down(time) {
    if (this.isDown) return;
    this.tick(time);
    if (this.#recent.length) this.#keep({ down: false, length: time - this.#since });
    this.#turn(true, time);
  }

  up(time) {
    if (!this.isDown) return;
    this.#keep({ down: true, length: time - this.#since });
    this.unit = findUnit(this.#recent, this.#usual);
    this.#turn(false, time);
  }

  // Take notice of silence until `time`.
  tick(time) {
    if (this.isDown || !this.#recent.length) return;
    this.#silent = time - this.#since + INSTANT;
    if (this.#silent < Math.max(PAUSE, PAUSE_UNITS * this.unit)) return;
    this.#text = this.#read(this.#recent.length);
    this.#recent = [];
    this.#usual = this.unit;
  }

  // The time at which silence ends a letter, a word or the text, or null.
  get deadline() {
    if (this.isDown || !this.#recent.length) return null;
    const ends = [LETTER * this.unit, WORD * this.unit, Math.max(PAUSE, PAUSE_UNITS * this.unit)];
    return this.#since + ends.find((end) => end > this.#silent);
  }

  // `text` of ended letters, with a space where a word has ended; and the code of the letter in progress.
  get reading() {
    if (!this.#recent.length) return { text: this.#text, code: "" };
    const ended = this.#silent >= LETTER * this.unit;
    const start = ended
      ? this.#recent.length
      : this.#recent.findLastIndex((each) => !each.down && each.length > LETTER * this.unit) + 1;
    const code = this.#recent
      .slice(start)
      .map((each) => mark(each, this.unit))
      .join("");
    const text = this.#read(start) + (this.#silent >= WORD * this.unit ? " " : "");
    return { text, code };
  }

  get wpm() {
    return 1.2 / this.unit;
  }

  // The text with the first `count` of the recent stretches.
  #read(count) {
    const written = this.#recent
      .slice(0, count)
      .map((each) => mark(each, this.unit))
      .join("");
    const words = written.split("/").map((word) => word.split(" ").filter(Boolean));
    const read = words.map((codes) => codes.map((code) => this.#symbols.get(code) ?? "\uFFFD").join("")).join(" ");
    return `${this.#text}${this.#text && this.#starts ? " " : ""}${read}`.slice(-MOST_TEXT);
  }

  // Whether the recent stretches begin a word.
  #starts = true;

  #turn(isDown, time) {
    this.isDown = isDown;
    this.#since = time;
    this.#silent = 0;
  }

  // What leaves the window is final, by whole letters.
  #keep(stretch) {
    this.#recent.push(stretch);
    if (this.#recent.length <= REMEMBERED) return;
    const gap = this.#recent.findIndex((each) => !each.down && each.length > LETTER * this.unit);
    const cut = gap < 0 || gap === this.#recent.length - 1 ? REMEMBERED - 1 : gap;
    const word = gap < 0 || this.#recent[gap].length > WORD * this.unit;
    this.#text = this.#read(cut);
    this.#recent = this.#recent.slice(cut + 1);
    this.#starts = word;
  }
}
