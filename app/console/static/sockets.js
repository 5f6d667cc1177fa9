// @ts-check
// The WebSocket view: connect to any endpoint, send text or a file, and see the frames.

import { ask } from "./api.js";
import { curlBox, quoted } from "./curl.js";
import { el } from "./lib/dom.js";
import { CLOSE_CODES, ENDPOINTS, inquiry } from "./endpoints.js";
import { messageBox } from "./message.js";
import { problemBox } from "./problem.js";
import { bytes, excerpt, milliseconds, rowList } from "./rows.js";
import { get, onChange, set } from "./state.js";

export const title = "WebSocket";

// Rows of the list: what one may want to scroll back through, and a page still lays out at once.
const MAX_FRAMES = 500;

// Bytes of one message, which a browser holds in memory until it is out. Beyond what the service takes (1 MiB unless it is set
// otherwise), so that its refusal can be seen.
const MAX_SEND = 16 << 20;

// Bytes that may wait in the browser for a network that is slower than the user.
const MAX_WAITING = 32 << 20;

const DEFAULTS = { endpoint: "echo", codec: "morse", direction: "encode", options: "", channel: "lebowski", after: "" };

export function mount(container, { signal }) {
  const controls = form();
  const connection = new Connection(controls, signal);
  const left = el("div", { class: "view" }, controls.card, connection.sending);
  container.append(el("div", { class: "view sockets" }, left, connection.card));
  controls.onsubmit = () => (connection.socket ? connection.close() : connection.open());
  controls.refresh();
  onChange(() => controls.refresh(), { signal });
  suggestCodecs(controls.codecs, signal);
}

const value = (name) => get(name, DEFAULTS[name]);
const values = () => Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, value(name)]));
const chosen = () => (Object.hasOwn(ENDPOINTS, value("endpoint")) ? ENDPOINTS[value("endpoint")] : ENDPOINTS.echo);
const address = (path) => new URL(path, location.href).href.replace(/^http/, "ws");

async function suggestCodecs(list, signal) {
  const answer = await ask("GET", "/codecs", { signal, background: true }).catch(() => null);
  const { codecs } = answer ? await answer.json() : { codecs: [] };
  list.append(...codecs.map(({ name }) => el("option", { value: name })));
}

// Where to connect.

function form() {
  const fields = {}, inputs = {};
  const made = { onsubmit: () => {} };
  const field = (name, label, input) => {
    inputs[name] = input;
    input.addEventListener("input", () => {
      set({ [name]: input.value === DEFAULTS[name] ? null : input.value });
      made.refresh();
    });
    return (fields[name] = el("label", { class: "field", "data-field": name }, label, input));
  };
  const select = (options) => el("select", {}, options.map(([name, text]) => el("option", { value: name, text })));
  const text = (props = {}) => el("input", { type: "text", spellcheck: "false", autocomplete: "off", ...props });
  const codecs = el("datalist", { id: "socket-codecs" });
  const parts = [
    field("endpoint", "Endpoint", select(Object.entries(ENDPOINTS).map(([name, each]) => [name, each.title]))),
    field("codec", "Codec or pipeline", text({ list: "socket-codecs" })),
    field("direction", "Direction", select([["encode", "encode"], ["decode", "decode"]])),
    field("options", "Options", text({ placeholder: "to=units&wpm=25" })),
    field("channel", "Channel", text({ maxlength: "128" })),
    field("after", "After", text({ placeholder: "epoch:offset or earliest" })),
  ];
  const token = el("input", { type: "password", autocomplete: "off", placeholder: "none" });
  parts.push((fields.token = el("label", { class: "field", "data-field": "token" }, "Token, where one is asked for", token)));
  const connect = el("button", { class: "button primary connect", type: "submit", text: "Connect" });
  const note = el("p", { class: "note" });
  const command = curlBox({ label: "The same in a terminal" });
  const submit = (event) => (event.preventDefault(), made.onsubmit());
  const row = el("form", { class: "row bottom", on: { submit } }, parts, connect);
  made.card = el("div", { class: "card" }, el("h2", { text: "Connect" }), row, codecs, note, command.node);
  made.refresh = () => {
    const { fields: wanted, note: says, path } = chosen();
    for (const [name, each] of Object.entries(fields)) each.hidden = name !== "endpoint" && !wanted.includes(name);
    for (const [name, input] of Object.entries(inputs)) if (input.value !== value(name)) input.value = value(name);
    note.textContent = says;
    command.show(`python -m websockets ${quoted(address(path(values())))}`);
  };
  return Object.assign(made, { codecs, connect, inputs, token });
}

// A connection and what went through it.

class Connection {
  socket = null;

  constructor(controls, signal) {
    this.controls = controls;
    this.signal = signal;
    this.state = el("span", { class: "badge state", role: "status", text: "not connected" });
    this.where = el("code", { class: "user where" });
    this.problem = problemBox();
    this.frames = rowList({ label: "Frames", empty: "No frames yet.", limit: MAX_FRAMES, render: drawn });
    const wipe = el("button", { class: "button small", type: "button", text: "Clear", on: { click: () => this.frames.clear() } });
    const head = el("div", { class: "row spread" }, el("h2", { text: "Frames" }), el("div", { class: "row" }, this.where, this.state, wipe));
    this.card = el("div", { class: "card" }, head, this.problem.node, this.frames.node);
    this.sending = this.#form();
    signal.addEventListener("abort", () => this.close());
  }

  async open() {
    const name = value("endpoint"), all = values();
    const { path, pairs } = chosen();
    this.problem.hide();
    this.controls.connect.disabled = true;
    try {
      this.#talk(name, all, path(all), new WebSocket(await this.#address(path(all))));
      this.pairs = pairs();
    } catch (error) {
      if (error.name !== "AbortError") this.problem.show(error);
    } finally {
      this.controls.connect.disabled = false;
    }
  }

  // With a ticket where there is a token: browsers send no headers of ours with a WebSocket.
  async #address(path) {
    const url = new URL(address(path));
    const token = chosen().fields.includes("token") && this.controls.token.value;
    if (!token) return url;
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await ask("POST", "/channels/ticket", { headers, signal: this.signal });
    url.searchParams.set("ticket", (await answer.json()).ticket);
    return url;
  }

  #talk(name, all, where, socket) {
    this.socket = socket;
    this.began = performance.now();
    this.where.textContent = where;
    let opened = false;
    socket.binaryType = "arraybuffer";
    this.#tell("connecting", "warn");
    socket.onopen = () => {
      opened = true;
      this.#tell("connected", "good");
      this.#row("event", `Connected to ${where}`);
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason, wasClean }) => this.#closed(socket, code, reason, wasClean, opened ? null : inquiry(name, all, where));
  }

  // Browsers report a WebSocket that is closed before it is open as an error.
  close() {
    const { socket } = this;
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(1000);
    else socket?.close(1000);
  }

  send(data, name = "") {
    const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    if (this.socket?.readyState !== WebSocket.OPEN) return this.#refuse("Not connected", "Connect first.");
    if (size > MAX_SEND) return this.#refuse("Too long to send", `This page sends messages of at most ${bytes(MAX_SEND)}.`);
    if (this.socket.bufferedAmount + size > MAX_WAITING) return this.#refuse("Too much waits", "Wait until what was sent before is out.");
    this.problem.hide();
    this.pairs.sent(typeof data === "string" ? data : null, performance.now());
    this.socket.send(data);
    return this.#row("sent", data, size, null, name);
  }

  #refuse(title, detail) {
    this.problem.show({ title, detail });
  }

  #received(data) {
    const at = performance.now();
    const content = typeof data === "string" ? data : new Uint8Array(data);
    const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;
    const sent = this.pairs.received(content);
    this.#row("received", content, size, sent === null ? null : at - sent);
  }

  async #closed(socket, code, reason, clean, question) {
    if (this.socket !== socket) return;
    this.socket = null;
    const meaning = CLOSE_CODES[code] ? ` (${CLOSE_CODES[code]})` : "";
    this.#tell(`closed ${code}`, clean && code === 1000 ? "" : "bad");
    this.#row("event", `Closed: ${code}${meaning}${reason ? `, “${reason}”` : ""}`);
    if (!question || this.signal.aborted) return;
    const { method, path } = question;
    const token = method === "GET" && this.controls.token.value;
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const why = await ask(method, path, { signal: this.signal, headers, body: method === "POST" ? "" : undefined })
      .then(() => null, (error) => error);
    // An error of the empty message is not the reason of the refused handshake.
    const telling = why && why.name !== "AbortError" && why.type !== "/problems/decode-error";
    if (telling && !this.signal.aborted) this.problem.show(why);
  }

  #tell(text, kind) {
    this.state.textContent = text;
    this.state.className = `badge state ${kind}`;
    const { connect, inputs } = this.controls;
    connect.textContent = this.socket ? "Disconnect" : "Connect";
    connect.classList.toggle("primary", !this.socket);
    for (const input of Object.values(inputs)) input.disabled = this.socket !== null;
    this.submit.disabled = this.socket?.readyState !== WebSocket.OPEN;
  }

  #row(kind, data, size = null, trip = null, name = "") {
    this.frames.add({ kind, data, size, trip, name, at: performance.now() - this.began });
  }

  #form() {
    const submit = (event) => (event.preventDefault(), this.send(text.value));
    const text = messageBox({ changed: (value) => set({ text: value }), send: submit });
    text.value = get("text", chosen().sample);
    this.controls.inputs.endpoint.addEventListener("input", () => {
      if (get("text") === null) text.value = chosen().sample;
    });
    onChange((keys) => keys.has("text") && (text.value = get("text", chosen().sample)), { signal: this.signal });
    const file = el("input", { type: "file", class: "visually-hidden" });
    file.addEventListener("change", async () => {
      const [first] = file.files;
      if (first && first.size > MAX_SEND) this.#refuse("Too long to send", `This page sends messages of at most ${bytes(MAX_SEND)}.`);
      else if (first) this.send(new Uint8Array(await first.arrayBuffer()), first.name);
      file.value = "";
    });
    this.submit = el("button", { class: "button primary", type: "submit", text: "Send text", disabled: true });
    const keys = el("span", { class: "note" }, el("kbd", { text: "Ctrl" }), " ", el("kbd", { text: "Enter" }));
    const row = el("div", { class: "row spread" }, el("div", { class: "row" }, this.submit, keys), el("label", { class: "button file" }, "Send a file", file));
    return el("form", { class: "card", on: { submit } }, el("h2", { text: "Send" }), text.node, row);
  }
}

const SIGNS = { sent: "↑ sent", received: "↓ received", event: "· state" };

function drawn({ kind, data, size, trip, name, at }) {
  const what = typeof data === "string" ? "text" : "binary";
  const facts = kind === "event" ? [] : [el("span", { text: what }), el("span", { class: "size", text: bytes(size) })];
  if (trip !== null) facts.push(el("span", { class: "badge cool trip", text: milliseconds(trip) }));
  const sign = el("span", { class: "sign", text: SIGNS[kind] });
  const head = el("div", { class: "frame-head" }, sign, el("time", { text: `+${(at / 1000).toFixed(3)} s` }), facts);
  return el("li", { class: `frame ${kind}` }, head, name ? el("bdi", { class: "note file-name", text: name.slice(0, 200) }) : null, excerpt(data));
}
