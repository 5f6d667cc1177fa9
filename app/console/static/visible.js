// @ts-check
// Text of others, so that it can do no harm where it is shown: what is invisible, moves the cursor or turns the direction of
// reading is shown by its code point.

// Control characters but tab and line feed; soft hyphen; marks of direction, isolates, invisible joiners; line and paragraph
// separators; byte order mark; tags; lone surrogates.
const HIDDEN =
  /[\0-\x08\x0B-\x1F\x7F-\x9F\xAD\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB\u{E0000}-\u{E0FFF}\p{Cs}]/gu;

const named = (character) => `\u27E8U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27E9`;

export const visible = (text) => text.replace(HIDDEN, named);

// On one line, as in a table's cell: tab and line feed too.
export const visibleLine = (text) => visible(text).replace(/[\t\n]/g, named);

// At most `most` characters, with a mark where some were left out.
export const bounded = (text, most) => (text.length > most ? `${text.slice(0, most)}\u2026` : text);
