// @ts-check
// Sends requests and shows how they spread over the instances.

import { ask } from "./api.js";
import { clear, el } from "./lib/dom.js";
import { milliseconds } from "./rows.js";
import { get, onChange, set } from "./state.js";

// Requests of one run; and at once, which is as many connections as a browser opens to a host by HTTP/1.1.
const MAX_REQUESTS = 1000, AT_ONCE = 6, DEFAULT = 50;

// Instances with one row each.
const MAX_ROWS = 64;

export function spread(signal) {
  const count = el("input", { type: "number", min: "1", max: String(MAX_REQUESTS), required: true });
  const fill = () => (count.value = get("n", String(DEFAULT)));
  count.addEventListener("input", () => set({ n: count.value === String(DEFAULT) ? null : count.value }));
  const button = el("button", { class: "button primary", type: "submit", text: "Send" });
  const rows = el("ul", { class: "bars", "aria-label": "Answers by instance" });
  const said = el("p", { class: "note spread-result", role: "status", text: "Nothing sent yet." });
  let running = null;
  const submit = async (event) => {
    event.preventDefault();
    if (running) return running.abort();
    running = new AbortController();
    button.textContent = "Stop";
    const stop = AbortSignal.any([signal, running.signal]);
    await run(number(count.value), stop, rows, said);
    running = null;
    button.textContent = "Send";
    return undefined;
  };
  fill();
  onChange(fill, { signal });
  const form = el("form", { class: "row bottom", on: { submit } }, el("label", { class: "field times" }, "Requests", count), button, said);
  return el("div", { class: "card" }, el("h2", { text: "How requests spread" }), form, rows);
}

const number = (text) => Math.max(1, Math.min(MAX_REQUESTS, Math.trunc(Number(text)) || DEFAULT));

async function run(count, signal, rows, said) {
  const found = new Map();
  let left = count, done = 0;
  const began = performance.now();
  const show = () => draw(found, done, rows);
  said.textContent = `Sending ${count}…`;
  async function worker() {
    while (left > 0 && !signal.aborted) {
      left--;
      try {
        const { instance, ms } = await ask("GET", "/echo/request", { signal, background: true });
        note(found, instance ?? "not named", ms);
      } catch (error) {
        if (error.name === "AbortError") return;
        note(found, error.status ? `refused: ${error.status}` : "no answer", 0);
      }
      done++;
      show();
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, worker));
  const seconds = (performance.now() - began) / 1000;
  said.textContent = `${done} answers from ${found.size} ${found.size === 1 ? "instance" : "instances"} in ${seconds.toFixed(2)} s`;
}

function note(found, name, ms) {
  const known = found.get(name) ?? { count: 0, ms: 0 };
  if (found.size < MAX_ROWS || found.has(name)) found.set(name, { count: known.count + 1, ms: known.ms + ms });
}

function draw(found, done, rows) {
  const sorted = [...found].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  clear(rows).append(...sorted.map(([name, { count, ms }]) => {
    const bar = el("meter", { min: "0", max: String(done), value: String(count), "aria-label": `Share of ${name}` });
    const share = `${count} · ${Math.round((100 * count) / done)} % · ${milliseconds(ms / count)}`;
    return el("li", {}, el("bdi", { class: "bar-name", text: name }), bar, el("span", { class: "bar-value", text: share }));
  }));
}
