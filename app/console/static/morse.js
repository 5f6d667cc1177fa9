// @ts-check
// The Morse view: a text as code, as a timeline and as sound; recordings read; a key; the alphabet. In the URL: text, unknown, wpm,
// farnsworth, tone, sort.

import { alphabet } from "./alphabet.js";
import { ask } from "./api.js";
import { size } from "./bytes.js";
import { conversion } from "./conversion.js";
import { curl, curlBox } from "./curl.js";
import { el } from "./lib/dom.js";
import { handKey } from "./key.js";
import { listening } from "./listening.js";
import { indexOf } from "./place.js";
import { problemBox } from "./problem.js";
import { save } from "./save.js";
import { sending } from "./sending.js";
import { slider } from "./slider.js";
import { get, onChange, set } from "./state.js";
import { bounded } from "./visible.js";

export const title = "Morse";

const EXAMPLE = "What hath God wrought?";

// Characters of the code that are shown, and of a text that is edited in the page.
const MOST_SHOWN = 4000,
  MOST_TEXT = 20_000;

// Of sound: name, label, unit, what the server allows, and what a slider reaches easily.
const CONTROLS = [
  { name: "wpm", label: "Speed", unit: "words a minute", usual: 20, low: 1, high: 100, slider: [5, 40, 1] },
  {
    name: "farnsworth",
    label: "In all (Farnsworth)",
    unit: "words a minute, by longer gaps",
    usual: null,
    low: 1,
    high: 100,
    slider: [5, 40, 1],
  },
  { name: "tone", label: "Tone", unit: "Hz", usual: 600, low: 200, high: 3500, slider: [200, 1200, 10] },
];
const UNKNOWN = { error: "is an error", skip: "is left out", replace: "is sent as ?" };

export async function mount(container, { signal }) {
  const signs = await (await ask("GET", "/codecs/morse/table", { signal })).json();
  new View(signs, signal).mount(container);
}

class View {
  constructor(signs, signal) {
    const symbols = new Map(signs.map(({ code, symbol }) => [code, symbol]));
    this.signal = signal;
    this.area = el("textarea", {
      id: "morse-text",
      rows: "3",
      spellcheck: "false",
      maxlength: MOST_TEXT,
      on: { input: () => this.#set({ text: this.area.value }) },
    });
    this.unknown = el(
      "select",
      {
        id: "morse-unknown",
        on: { change: () => this.#set({ unknown: this.unknown.value === "error" ? null : this.unknown.value }) },
      },
      Object.entries(UNKNOWN).map(([value, text]) => el("option", { value, text })),
    );
    this.code = el("pre", { class: "result code-text", tabindex: "0", role: "region", "aria-label": "Morse code" });
    this.problems = problemBox();
    this.point = el("button", { class: "button small", type: "button", text: "Go to the place", hidden: true });
    this.controls = new Map(
      CONTROLS.map((control) => [control.name, slider(control, (value) => this.#set({ [control.name]: value }))]),
    );
    this.keep = el("button", {
      class: "button",
      type: "button",
      text: "Save WAV",
      disabled: true,
      on: { click: () => this.#saved() },
    });
    this.sending = sending({ symbols, signal, tools: this.keep });
    this.command = curlBox();
    this.key = handKey({ symbols, tone: this.#number("tone"), signal, onuse: (text) => this.#use(text) });
    this.listening = listening({ signal, onuse: (text) => this.#use(text), oncommand: (text) => this.command.show(text) });
    this.alphabet = alphabet({
      signs,
      order: get("sort"),
      onsort: (sort) => set({ sort }),
      onplay: (sign) => this.sending.playSign(sign),
    });
    this.running = conversion({
      signal,
      label: "Encoding",
      onanswer: (answer) => this.#answered(answer),
      onproblem: (problem) => this.#refused(problem),
    });
    this.wav = conversion({
      signal,
      label: "Making the WAV file",
      onanswer: (answer) => this.#recorded(answer),
      onproblem: (problem) => this.problems.show(problem),
      onbusy: (is) => this.keep.setAttribute("aria-busy", String(is)),
    });
  }

  mount(container) {
    const head = el(
      "div",
      { class: "row spread" },
      el("h2", {}, el("label", { for: "morse-text", text: "Text" })),
      el("label", { class: "field inline" }, "A character without code", this.unknown),
    );
    const text = el(
      "div",
      { class: "card" },
      head,
      this.area,
      this.code,
      this.problems.node,
      el("div", { class: "row" }, this.point),
    );
    const sliders = el(
      "div",
      { class: "sliders" },
      [...this.controls.values()].map((each) => each.node),
    );
    const keyed = el(
      "section",
      { class: "card", "aria-labelledby": "keyed" },
      el("h2", { id: "keyed", text: "Keying" }),
      this.sending.node,
      sliders,
      this.wav.node,
      this.command.node,
    );
    const hand = el(
      "section",
      { class: "card", "aria-labelledby": "hand" },
      el("h2", { id: "hand", text: "Key it yourself" }),
      this.key.node,
    );
    const signs = el(
      "section",
      { class: "card", "aria-labelledby": "signs" },
      el("h2", { id: "signs", text: "Alphabet" }),
      this.alphabet.node,
    );
    container.append(
      el(
        "div",
        { class: "view morse" },
        text,
        keyed,
        el("div", { class: "columns" }, el("div", { class: "view" }, hand, this.listening.node), signs),
      ),
    );
    onChange(() => this.#restore(), { signal: this.signal });
    this.#restore();
  }

  #number(name) {
    const { usual, low, high } = CONTROLS.find((control) => control.name === name);
    const value = Number(get(name) ?? NaN);
    return value >= low && value <= high ? value : usual;
  }

  get #sound() {
    const [wpm, farnsworth, tone] = CONTROLS.map(({ name }) => this.#number(name));
    return { wpm, farnsworth: farnsworth === null ? null : Math.min(farnsworth, wpm), tone };
  }

  get #text() {
    return get("text", EXAMPLE).slice(0, MOST_TEXT);
  }

  #path(others) {
    const unknown = get("unknown") in UNKNOWN ? { unknown: get("unknown") } : {};
    return `/codecs/morse/encode?${new URLSearchParams({ ...others, ...unknown })}`;
  }

  #set(changes) {
    set(changes);
    this.#render();
    if ("text" in changes || "unknown" in changes) this.#run("pause");
  }

  #use(text) {
    this.area.value = text;
    this.#set({ text });
    this.area.focus();
  }

  #restore() {
    if (this.signal.aborted || get("view") !== "morse") return;
    if (this.area.value !== this.#text) this.area.value = this.#text;
    this.alphabet.sort(get("sort"));
    this.#render();
    this.#run("once");
  }

  #render() {
    this.unknown.value = get("unknown") in UNKNOWN ? get("unknown") : "error";
    for (const [name, control] of this.controls) control.show(this.#number(name), this.#sound.wpm);
    this.command.show(curl("POST", this.#wavPath(), { body: this.#text }));
    this.key.tune(this.#sound.tone);
    if (this.coded !== undefined) this.sending.show(this.coded, this.#sound);
  }

  #run(at) {
    const body = this.#text;
    this.running.send(this.#path({ to: "text" }), { body, size: body.length }, { at });
  }

  async #answered(answer) {
    this.coded = await answer.text();
    this.problems.hide();
    this.point.hidden = true;
    this.code.hidden = false;
    this.code.textContent = bounded(this.coded, MOST_SHOWN);
    this.keep.disabled = false;
    this.sending.show(this.coded, this.#sound);
  }

  #refused(problem) {
    const text = this.#text;
    this.coded = "";
    this.code.hidden = true;
    this.keep.disabled = true;
    this.sending.show("", this.#sound);
    this.problems.show(problem, text);
    this.point.hidden = !Number.isInteger(problem.position);
    this.point.onclick = () => {
      const at = indexOf(text, problem.position);
      this.area.focus();
      this.area.setSelectionRange(at, at + 1);
    };
  }

  #wavPath() {
    const { wpm, farnsworth, tone } = this.#sound;
    return this.#path({ to: "wav", wpm, ...(farnsworth === null ? {} : { farnsworth }), tone });
  }

  #saved() {
    const body = this.#text;
    this.command.show(curl("POST", this.#wavPath(), { body }));
    this.wav.send(this.#wavPath(), { body, size: body.length }, { at: "once" });
  }

  #recorded(answer) {
    save(new Blob([answer.blob], { type: "audio/wav" }), "morse.wav");
    this.keep.title = size(answer.blob.size);
  }
}
