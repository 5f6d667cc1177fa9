// @ts-check
// How long codes are beside each other, as bars: a table whose bars are drawn in their cells, so that it can be read aloud.

import { clear, el } from "./lib/dom.js";
import { size } from "./bytes.js";

const TITLES = { huffman: "Huffman", "shannon-fano": "Shannon-Fano", fixed: "Fixed length", gzip: "gzip", zstd: "zstd" };
const PLACES = ["huffman", "shannon-fano", "fixed", "gzip", "zstd"];

// Of the code of fixed length. The frame of gzip around ten bytes is many times these bytes: such a bar is cut off.
const WIDEST = 1.6;

// What an analysis compares, in one list: digits a symbol, efficiency (null where a code is not one of symbols), bytes.
function compared(analysis, name) {
  const all = { ...analysis.comparison, [name]: analysis };
  const known = PLACES.filter((each) => all[each]);
  return known.map((each) => {
    const { expected_length: length, efficiency = null, input_bytes: before, encoded_bytes: bytes } = all[each];
    const digits = length ?? (before ? (8 * bytes) / before / Math.log2(analysis.radix) : 0);
    return { name: each, title: TITLES[each], digits, efficiency, bytes };
  });
}

export function bars() {
  const body = el("tbody");
  const unit = el("span");
  const head = el(
    "tr",
    {},
    el("th", { scope: "col", text: "Code" }),
    el("th", { scope: "col" }, unit),
    ...["Effi\u00ADciency", "Bytes"].map((text) => el("th", { scope: "col", class: "number", text })),
  );
  const caption = el("caption", { class: "note" });
  const node = el("div", { class: "lengths-box" }, el("table", { class: "table lengths" }, caption, el("thead", {}, head), body));

  function show(analysis, name) {
    const rows = compared(analysis, name);
    const fixed = rows.find((row) => row.name === "fixed").digits;
    const most = Math.max(0.01, Math.min(WIDEST * fixed, Math.max(...rows.map((row) => row.digits))));
    const word = analysis.radix === 2 ? "Bits" : "Digits";
    unit.textContent = `${word} a symbol`;
    caption.textContent = `The line is the entropy, ${analysis.entropy.toFixed(3)} ${word.toLowerCase()} a symbol: no code of single symbols can be shorter.`;
    clear(body).append(...rows.map((row) => line(row, most, analysis.entropy, row.name === name)));
  }

  return { node, show };
}

function line({ title, digits, efficiency, bytes }, most, entropy, own) {
  const bar = el("span", { class: digits > most ? "length-bar cut" : "length-bar" });
  bar.style.width = `${(100 * Math.min(digits, most)) / most}%`;
  const limit = el("span", { class: "limit" });
  limit.style.left = `${(100 * Math.min(entropy, most)) / most}%`;
  const track = el("span", { class: "length-track", "aria-hidden": "true" }, bar, limit);
  return el(
    "tr",
    { class: own ? "own" : null },
    el("th", { scope: "row", text: title }),
    el("td", {}, el("div", { class: "length-cell" }, track, el("span", { class: "length-value", text: digits.toFixed(3) }))),
    el("td", { class: "number", text: efficiency === null ? "\u2014" : `${(100 * efficiency).toFixed(1)} %` }),
    el("td", { class: "number", text: size(bytes).replace(/ bytes?$/, ""), title: `${bytes.toLocaleString("en")} bytes` }),
  );
}
