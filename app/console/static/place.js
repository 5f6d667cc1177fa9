// @ts-check
// Where an error is, in what the page shows of the input: positions of the server count characters where the codec takes text,
// else bytes; and in a pipeline those of the input of the stage that they name.

// Bytes around the place in a file that are read for showing.
const AROUND = 64;

const encoder = new TextEncoder();

// The problem with a position in `input` (see source.js: `shown` is its text, its bytes, or null for a file), and what to show it
// in; null where that is not known. `first` is the codec that reads the input, `names` are those of all stages: of two stages with
// the same name a problem does not say which it was.
export async function placed(problem, input, first, names) {
  const { position, stage } = problem;
  const alone = names.length === 1 || (stage === first?.name && names.filter((name) => name === stage).length === 1);
  const own = Number.isInteger(position) && alone;
  if (!own) return { problem, shown: null };
  const characters = first?.input === "text";
  if (input.shown === null) return { problem, shown: characters ? null : await around(input.body, position) };
  if (typeof input.shown !== "string" || characters) return { problem, shown: input.shown };
  const detail = problem.detail?.replace(`at position ${position}.`, `at byte ${position}.`);
  return { problem: { ...facts(problem), detail, position: points(input.shown, position) }, shown: input.shown };
}

// The members of a Problem are its own properties.
const facts = (problem) => Object.fromEntries(Object.entries(problem));

// How many code points of `text` lie before the byte at `offset` of its UTF-8.
function points(text, offset) {
  return [...new TextDecoder().decode(encoder.encode(text).subarray(0, offset))].length;
}

// Something to slice like the bytes of a file, of which only those around `position` are there.
async function around(blob, position) {
  const start = Math.max(0, position - AROUND);
  const bytes = new Uint8Array(await blob.slice(start, position + AROUND).arrayBuffer());
  return { slice: (from, to) => bytes.slice(Math.max(0, from - start), Math.max(0, to - start)) };
}

// The index in `text` of its code point number `position`.
export function indexOf(text, position) {
  let index = 0;
  for (let point = 0; point < position && index < text.length; point++) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  return index;
}
