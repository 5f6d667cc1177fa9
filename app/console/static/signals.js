// @ts-check
// Morse as signals in time: from code text (`... --- ...`, words parted by ` / `) to when the key is down. Pure: no page, no clock.

// At one word a minute, by PARIS, a unit takes 1.2 seconds. Of the 50 units of PARIS 19 are gaps between letters and words.
const UNIT_AT_ONE_WPM = 1.2,
  GAP_UNITS = 19,
  LETTER_GAP = 3,
  WORD_GAP = 7;

// Letters that are kept: an hour and a half at 20 words a minute, more than a user looks at or listens to.
export const MOST_LETTERS = 10_000;

// Seconds of a unit and of the gaps between letters and between words. With `farnsworth` the letters go at `wpm` and the gaps are
// so much longer that the text goes at `farnsworth` words a minute in all: the server's formula, which is the ARRL's.
export function timing(wpm, farnsworth = null) {
  const unit = UNIT_AT_ONE_WPM / wpm;
  const slow = farnsworth !== null && farnsworth < wpm;
  const share = slow ? (60 * wpm - 37.2 * farnsworth) / (farnsworth * wpm) / GAP_UNITS : unit;
  return { unit, letterGap: LETTER_GAP * share, wordGap: WORD_GAP * share };
}

// Code text as letters: `{symbol, code, first}`, `first` where a word begins. `symbols` maps codes to what they mean; what it
// lacks is shown as its code. The end of a text that has more than `most` letters is left out.
export function lettersOf(text, symbols, most = MOST_LETTERS) {
  const letters = [];
  let first = false;
  for (const [token] of text.matchAll(/[.-]+|\//g)) {
    if (token === "/") {
      first = letters.length > 0;
      continue;
    }
    if (letters.length === most) break;
    letters.push({ symbol: symbols.get(token) ?? token, code: token, first });
    first = false;
  }
  return letters;
}

// When everything happens, in seconds from 0: `signals` `{at, end, letter}` while the key is down, `letters` with `at` and `end`
// of their first and last signal, and the `length` of all.
export function schedule(letters, times) {
  const signals = [];
  let now = 0;
  const timed = letters.map(({ symbol, code, first }, letter) => {
    if (letter) now += first ? times.wordGap : times.letterGap;
    const at = now;
    for (const element of code) {
      if (now > at) now += times.unit;
      const end = now + (element === "-" ? 3 : 1) * times.unit;
      signals.push({ at: now, end, letter });
      now = end;
    }
    return { symbol, code, first, at, end: now };
  });
  return { signals, letters: timed, length: now, unit: times.unit };
}

// The number of the first of `items` (in their order) that ends after `time`; their count where none does.
export function firstAfter(items, time) {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (items[middle].end > time) high = middle;
    else low = middle + 1;
  }
  return low;
}
