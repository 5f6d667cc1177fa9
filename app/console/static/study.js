// @ts-check
// A study of a Huffman or Shannon-Fano code: its figures, bars beside other codes, its words, and its tree.

import { ask } from "./api.js";
import { bars } from "./bars.js";
import { LARGE, conversion } from "./conversion.js";
import { curl, curlBox } from "./curl.js";
import { el } from "./lib/dom.js";
import { drawing } from "./drawing.js";
import { figures } from "./figures.js";
import { problemBox } from "./problem.js";
import { save } from "./save.js";
import { get, set } from "./state.js";
import { table } from "./table.js";
import { size } from "./bytes.js";
import { zoomable } from "./zoom.js";

export const STUDIED = { huffman: "Huffman code", "shannon-fano": "Shannon-Fano code" };

const RADICES = [2, 3, 4, 5, 6, 7, 8, 9, 10];

const COLUMNS = [
  {
    key: "symbol",
    label: "Symbol",
    title: "By the byte's value",
    value: (row) => row.symbol,
    cell: (row) => el("bdi", { class: "symbol", text: row.text }),
  },
  {
    key: "byte",
    label: "Byte",
    value: (row) => row.symbol,
    cell: (row) => row.symbol.toString(16).toUpperCase().padStart(2, "0"),
    number: true,
  },
  { key: "count", label: "Count", value: (row) => row.count, cell: (row) => row.count.toLocaleString("en"), number: true },
  {
    key: "probability",
    label: "Share",
    value: (row) => row.probability,
    cell: (row) => `${(100 * row.probability).toFixed(2)} %`,
    number: true,
  },
  { key: "length", label: "Length", title: "Digits of the word", value: (row) => row.code.length, number: true },
  { key: "code", label: "Word", value: (row) => row.code, class: "mono" },
];

// {node, look(name, input), hide()}: `input` {body, size, command}, the symbols that the code gets; `command` is what curl sends.
export function study({ signal }) {
  const heading = el("h2", { id: "study" });
  const radix = el(
    "select",
    { id: "radix" },
    RADICES.map((each) => el("option", { value: each, text: each })),
  );
  const [numbers, lengths, problems, command] = [figures(), bars(), problemBox(), curlBox()];
  const words = table({
    label: "Words of the code",
    columns: COLUMNS,
    order: get("sort", "-count"),
    onsort: (sort) => set({ sort }),
  });
  const tree = zoomable({ label: "Tree of the code", factor: Number(get("zoom", "1")), onzoom: (zoom) => set({ zoom }) });
  const keep = el("button", { class: "button small", type: "button", text: "Save SVG", disabled: true });
  const large = el("button", { class: "button", type: "button", hidden: true });
  const running = conversion({
    signal,
    label: "Analysing",
    onanswer: analysed,
    onproblem: failed,
    oncancel: () => offer(),
    onbusy: busy,
  });
  const body = el(
    "div",
    { class: "study" },
    numbers.node,
    el(
      "div",
      { class: "columns" },
      el("div", { class: "part" }, el("h3", { text: "Beside other codes" }), lengths.node),
      el("div", { class: "part" }, el("h3", { text: "Words" }), words.node),
    ),
    el(
      "div",
      { class: "part" },
      el("div", { class: "row spread" }, el("h3", { text: "Tree" }), el("span", { class: "row" }, tree.tools, keep)),
      tree.node,
    ),
    command.node,
  );
  const head = el("div", { class: "row spread" }, heading, el("label", { class: "field inline" }, "Digits of the code", radix));
  const node = el(
    "section",
    { class: "card", "aria-labelledby": "study", hidden: true },
    head,
    large,
    running.node,
    problems.node,
    body,
  );
  let [name, input, picture] = [null, null, null];

  radix.value = RADICES.includes(Number(get("radix"))) ? get("radix") : 2;
  radix.addEventListener("change", () => {
    set({ radix: radix.value === "2" ? null : radix.value });
    if (large.hidden) start("once");
  });
  keep.addEventListener("click", () => save(new Blob([picture], { type: "image/svg+xml" }), `${name}-tree.svg`));
  large.addEventListener("click", () => start("once"));

  const path = (what, others = {}) => `/codecs/${name}/${what}?${new URLSearchParams({ radix: radix.value, ...others })}`;

  function start(at) {
    large.hidden = true;
    body.hidden = false;
    running.send(path("analysis"), input, { at });
  }

  function offer() {
    body.hidden = true;
    large.hidden = false;
    large.textContent = `Look into the code of ${size(input.size)}`;
  }

  async function analysed(answer) {
    const analysis = await answer.json();
    if (signal.aborted) return;
    problems.hide();
    numbers.show(analysis);
    lengths.show(analysis, name);
    words.show(analysis.symbols);
    command.show(curl("POST", path("analysis"), input.command));
    await planted();
  }

  async function planted() {
    const own = input;
    const answer = await ask("POST", path("tree", { format: "svg" }), { body: own.body, signal });
    const text = await answer.text();
    if (own !== input) return;
    picture = text;
    const drawn = drawing(text);
    keep.disabled = !drawn;
    if (drawn) tree.show(drawn);
  }

  function failed(problem) {
    body.hidden = true;
    problems.show(problem);
  }

  function busy(is) {
    node.setAttribute("aria-busy", is);
  }

  return {
    node,
    look(code, symbols, at = "pause") {
      [name, input] = [code, symbols];
      node.hidden = false;
      heading.textContent = `Inside the ${STUDIED[code]}`;
      if (symbols.size <= LARGE) return start(at);
      running.stop();
      return offer();
    },
    hide() {
      running.stop();
      node.hidden = true;
    },
    restore() {
      words.sort(get("sort", "-count"));
      tree.zoom(Number(get("zoom", "1")));
      const wanted = RADICES.includes(Number(get("radix"))) ? get("radix") : "2";
      if (wanted !== radix.value) radix.value = wanted;
    },
  };
}
