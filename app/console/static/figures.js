// @ts-check
// Entropy, lengths and efficiency of a code, as a few figures.

import { clear, el } from "./lib/dom.js";

const percent = (value) => `${(100 * value).toFixed(2)} %`;

export function figures() {
  const node = el("dl", { class: "figures" });

  // What is not known yet keeps its place.
  function show(analysis) {
    const unit = (analysis?.radix ?? 2) === 2 ? "bits" : "digits";
    const rows = [
      ["Symbols", analysis && `${analysis.symbols.length} of ${analysis.input_bytes.toLocaleString("en")}`],
      [`Entropy, ${unit} a symbol`, analysis?.entropy.toFixed(4)],
      [`Expected length, ${unit}`, analysis?.expected_length.toFixed(4)],
      ["Efficiency", analysis && percent(analysis.efficiency)],
      ["Redundancy", analysis && percent(analysis.redundancy)],
      ["Kraft sum", analysis?.kraft_sum],
    ];
    clear(node).append(
      ...rows.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value ?? "\u2013" }))),
    );
  }

  show(null);
  return { node, show };
}
