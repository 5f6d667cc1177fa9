// @ts-check
// The Codecs view: an input, a codec or a pipeline of them, the output as the user types, and a study of prefix codes. Everything chosen is in the URL: codec, do, text, form, show, radix, sort, zoom, and options as o.<name>.

import { ask } from "./api.js";
import { conversion } from "./conversion.js";
import { curl, curlBox, quoted } from "./curl.js";
import { el } from "./lib/dom.js";
import { optionForm, optionsOf } from "./options.js";
import { output, outputName } from "./output.js";
import { indexOf, placed } from "./place.js";
import { source } from "./source.js";
import { stagePicker, stagesOf } from "./stages.js";
import { get, onChange, set } from "./state.js";
import { STUDIED, study } from "./study.js";

export const title = "Codecs";

const EXAMPLE = "That rug really tied the room together.";
const DIRECTIONS = { encode: "Encode", decode: "Decode" };

export async function mount(container, { signal }) {
  const { codecs } = await (await ask("GET", "/codecs", { signal })).json();
  new View(codecs, signal).mount(container);
}

class View {
  constructor(codecs, signal) {
    this.codecs = codecs;
    this.signal = signal;
    this.known = new Map(codecs.map((codec) => [codec.name, codec]));
    this.source = source({ signal, onchange: (state) => this.#typed(state) });
    this.stages = stagePicker({ codecs, onchange: (names) => this.#chosen(names) });
    this.options = optionForm({ onchange: (name, value) => this.#set({ [`o.${name}`]: value }) });
    this.output = output({
      onuse: (blob, name) => this.#turned(blob, name),
      onform: (form) => (set({ show: form }), this.output.as(form)),
    });
    this.point = el("button", { class: "button small", type: "button", text: "Go to the place" });
    this.command = curlBox();
    this.study = study({ signal });
    this.again = el("button", {
      class: "button small",
      type: "button",
      text: "Run again",
      hidden: true,
      on: { click: () => this.#run("once") },
    });
    this.running = conversion({
      signal,
      label: "Converting",
      onanswer: (answer) => this.#answered(answer),
      onproblem: (problem) => this.#refused(problem),
      oncancel: () => this.#cancelled(),
      onbusy: (is) => this.output.busy(is),
    });
  }

  mount(container) {
    this.direction = el(
      "fieldset",
      { class: "segments" },
      el("legend", { class: "visually-hidden", text: "Direction" }),
      Object.entries(DIRECTIONS).map((each) => this.#segment(...each)),
    );
    this.description = el("p", { class: "note" });
    const choices = el(
      "div",
      { class: "card" },
      el("div", { class: "row" }, this.stages.node, this.direction),
      this.options.node,
      this.description,
    );
    this.output.node.append(this.running.node, this.again);
    const view = el(
      "div",
      { class: "view codecs" },
      choices,
      el("div", { class: "columns" }, this.source.node, this.output.node),
      this.command.node,
      this.study.node,
    );
    container.append(view);
    onChange(() => this.#restore(), { signal: this.signal });
    this.#restore();
  }

  #segment(name, text) {
    const input = el("input", {
      type: "radio",
      name: "direction",
      value: name,
      on: { change: () => this.#set({ do: name === "encode" ? null : name }) },
    });
    return el("label", {}, input, el("span", { text }));
  }

  // The state, from the URL.
  get #names() {
    return stagesOf(get("codec", "huffman"));
  }

  get #doing() {
    return get("do") === "decode" ? "decode" : "encode";
  }

  get #known() {
    return this.#names.map((name) => this.known.get(name)).filter(Boolean);
  }

  get #path() {
    const query = new URLSearchParams(this.#values());
    const suffix = query.size ? `?${query}` : "";
    return `/codecs/${this.#names.map(encodeURIComponent).join("+")}/${this.#doing}${suffix}`;
  }

  // The options that are set, by name.
  #values() {
    const options = optionsOf(this.#known, this.#doing).map(({ name }) => [name, get(`o.${name}`)]);
    return Object.fromEntries(options.filter(([, value]) => value !== null));
  }

  #set(changes) {
    set(changes);
    this.#render();
    this.#run();
  }

  #restore() {
    if (this.signal.aborted || get("view", "codecs") !== "codecs") return;
    const text = get("text", EXAMPLE);
    this.source.show({ text, form: get("form", "text") });
    this.study.restore();
    this.#render();
    this.#run("once");
  }

  #render() {
    this.stages.show(this.#names);
    for (const input of this.direction.querySelectorAll("input")) input.checked = input.value === this.#doing;
    this.options.show(optionsOf(this.#known, this.#doing), this.#values());
    this.description.textContent = this.#known.map((codec) => codec.description).join(" ");
  }

  // What the user did.
  #typed({ form, text }) {
    set({ text, form: form === "text" ? null : form });
    this.#run(text === null ? "once" : "pause");
  }

  #chosen(names) {
    const kept = new Set(names.flatMap((name) => this.known.get(name)?.options ?? []).map((option) => option.name));
    const dropped = this.#known.flatMap((codec) => codec.options).filter((option) => !kept.has(option.name));
    this.#set({ codec: names.join("+"), ...Object.fromEntries(dropped.map(({ name }) => [`o.${name}`, null])) });
  }

  // The output becomes the input of the other direction.
  async #turned(blob, name) {
    set({ do: this.#doing === "encode" ? "decode" : null });
    this.#render();
    await this.source.give(blob, name);
  }

  #run(at = "pause") {
    this.again.hidden = true;
    const input = this.source.input();
    this.input = input;
    if (!input) {
      this.running.stop();
      return this.study.hide();
    }
    this.command.show(commanded(this.#path, input));
    this.running.send(this.#path, input, { at });
    return this.#study(input, at);
  }

  // A code gets the output of the stages before it. The first stage gets the input: then no request is needed.
  async #study(input, at) {
    const names = this.#names;
    const place = names.findIndex((name) => Object.hasOwn(STUDIED, name));
    if (place < 0) return this.study.hide();
    if (place > 0 || this.#doing === "decode") return undefined; // after the answer: see #answered
    return this.study.look(names[0], { ...input, command: sent(input) }, at);
  }

  async #answered(answer) {
    const { size, name } = this.input;
    const called = outputName(
      name,
      this.#names,
      this.#doing,
      (answer.headers.get("Content-Type") ?? "").startsWith("text") ? "text" : "bytes",
    );
    await this.output.show(answer, { size, name: called, ms: answer.ms, as: get("show") });
    await this.#studyLater(answer);
  }

  // What a code in the middle of a pipeline gets, or what decoding gave back.
  async #studyLater(answer) {
    const names = this.#names;
    const place = names.findIndex((name) => Object.hasOwn(STUDIED, name));
    if (place < 0 || (place === 0 && this.#doing === "encode")) return;
    const own = this.input;
    const blob = place === 0 ? answer.blob : await this.#before(place, answer.blob);
    if (own === this.input && !this.signal.aborted)
      this.study.look(names[place], { body: blob, size: blob.size, command: { file: "symbols.bin" } }, "once");
  }

  async #before(place, decoded) {
    const path = `/codecs/${this.#names.slice(0, place).map(encodeURIComponent).join("+")}/encode`;
    const body = this.#doing === "encode" ? this.input.body : decoded;
    return (await ask("POST", path, { body, signal: this.signal })).blob;
  }

  async #refused(refusal) {
    const names = this.#doing === "encode" ? this.#names : this.#names.toReversed();
    const { problem, shown } = await placed(refusal, this.input, this.known.get(names[0]), names);
    this.output.refuse(problem, shown, ...(typeof shown === "string" ? [this.point] : []));
    this.study.hide();
    this.point.onclick = () => this.source.point(indexOf(shown, problem.position));
  }

  #cancelled() {
    this.output.clear("Cancelled.");
    this.again.hidden = false;
    this.again.focus();
  }
}

// Names of files are shown in a command only where they are harmless.
const sent = ({ body, shown, name }) =>
  typeof shown === "string" ? { body } : { file: /^[\w .,()-]{1,80}$/.test(name) ? name : "input.bin" };

// Bytes that were typed as digits go through printf: a shell's arguments are texts.
function commanded(path, input) {
  if (!(input.shown instanceof Uint8Array)) return curl("POST", path, sent(input));
  const octal = Array.from(input.shown, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return `printf ${quoted(octal || "")} | ${curl("POST", path, { headers: { "Content-Type": "application/octet-stream" } })} --data-binary @-`;
}
