// @ts-check
// A list that only grows at its end, such as frames or messages, and stays fast however much comes: rows are drawn once a
// frame of the screen, and old ones go.
//
//     const list = rowList({ label: "Frames", empty: "Nothing yet.", limit: 500, render: (item) => el("li", …) });
//     container.append(list.node);
//     list.add(item);

import { clear, el } from "./lib/dom.js";

// Characters of one text that a row shows: all of what users send, and of a hostile mebibyte what a browser lays out at once.
export const MAX_TEXT = 2000;

// Bytes of one binary message that a row shows.
const MAX_HEX = 128;

// `rows` is the list's element after what waits has been drawn; `total` counts all that were ever added.
export function rowList({ label, empty, limit, render }) {
  const rows = el("ol", { class: "rows" });
  const none = el("p", { class: "empty", text: empty });
  const trimmed = el("p", { class: "note", hidden: true });
  const node = el("div", { class: "log", role: "log", tabindex: "0", "aria-label": label }, trimmed, none, rows);
  let waiting = [], total = 0, frame = 0;

  function draw() {
    cancelAnimationFrame(frame);
    frame = 0;
    if (!waiting.length) return rows;
    const following = node.scrollHeight - node.scrollTop - node.clientHeight < 24;
    rows.append(...waiting.slice(-limit).map(render));
    waiting = [];
    while (rows.childElementCount > limit) rows.firstElementChild.remove();
    none.hidden = true;
    trimmed.hidden = total <= limit;
    trimmed.textContent = `The last ${limit} of ${total.toLocaleString("en")}.`;
    if (following) node.scrollTop = node.scrollHeight;
    return rows;
  }

  return {
    node,
    draw,
    get total() {
      return total;
    },
    add(item) {
      total++;
      waiting.push(item);
      if (waiting.length > 2 * limit) waiting = waiting.slice(-limit);
      frame ||= requestAnimationFrame(draw);
    },
    clear() {
      clear(rows);
      waiting = [];
      total = 0;
      none.hidden = false;
      trimmed.hidden = true;
    },
  };
}

// What a row shows of a message: a text as it is, bytes in hexadecimal, both cut where they are long.
export function excerpt(data) {
  const text = typeof data === "string";
  const limit = text ? MAX_TEXT : MAX_HEX;
  const size = text ? data.length : data.byteLength;
  const shown = text ? data.slice(0, limit) : Array.from(data.subarray(0, limit), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const rest = size > limit ? el("span", { class: "note", text: `… and ${(size - limit).toLocaleString("en")} ${text ? "characters" : "bytes"} more` }) : null;
  return el("div", { class: "excerpt" }, el("bdi", { class: "pre", text: shown }), rest);
}

export function bytes(count) {
  if (count < 10_000) return `${count.toLocaleString("en")} B`;
  const [unit, size] = count < 1 << 20 ? ["KiB", 1 << 10] : count < 1 << 30 ? ["MiB", 1 << 20] : ["GiB", 1 << 30];
  return `${(count / size).toPrecision(3)} ${unit}`;
}

export const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString("en")} ms`);
