// @ts-check
// The Morse alphabet as a table; each sign can be played.

import { el } from "./lib/dom.js";
import { table } from "./table.js";

const bars = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 2 });

// {node, sort(order)}. `signs` is the answer of GET /codecs/morse/table; `onplay(sign)` is called for one that is to sound.
export function alphabet({ signs, order, onsort, onplay }) {
  const columns = [
    { key: "sign", label: "Sign", value: (sign) => sign.symbol, cell: (sign) => button(sign, onplay) },
    { key: "code", label: "Code", value: (sign) => sign.code, cell: picture, class: "code" },
    { key: "units", label: "Units", title: "Length in units; a dash has three", value: (sign) => sign.units, number: true },
    {
      key: "frequency",
      label: "Share",
      title: "Of the letters of English texts",
      value: (sign) => sign.frequency,
      cell: (sign) => (sign.frequency === null ? "\u2014" : bars.format(sign.frequency)),
      number: true,
    },
  ];
  const grid = table({ label: "The Morse alphabet", columns, order, onsort });
  grid.show(signs);
  return grid;
}

function button(sign, onplay) {
  return el("button", {
    class: "button small sign-button",
    type: "button",
    text: sign.symbol,
    "aria-label": `Play ${sign.symbol}`,
    on: { click: () => onplay(sign) },
  });
}

// Dots and dashes are drawn; read aloud they are words.
function picture({ code }) {
  const said = Array.from(code, (element) => (element === "-" ? "dash" : "dot")).join(" ");
  const marks = Array.from(code, (element) => el("i", { class: element === "-" ? "dash" : "dot" }));
  return el("span", { class: "marks", role: "img", "aria-label": said }, marks);
}
