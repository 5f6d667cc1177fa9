// @ts-check
// One subscriber of a channel: what it gets, and a switch that cuts its connection. It joins again behind its last
// message, and shows what it missed.

import { Channel } from "../heliograph.js";
import { ask } from "./api.js";
import { el } from "./lib/dom.js";
import { clock } from "./lib/clock.js";
import { excerpt, rowList } from "./rows.js";

// Rows of a subscriber's list: a screen or two of each of several lists.
const MAX_ROWS = 200;

// What can be asked about; anything else is refused by the client of channels with a message.
const CURSOR = /^[^:]+:\d+$/;

// How a state looks.
const KINDS = { connecting: "warn", subscribed: "good", waiting: "warn", closed: "bad" };

export class Subscriber {
  #channel = null;
  #cursor = null;
  #was = false;
  #lost = false;
  #received = 0;
  #missed = 0;
  #top = 0;

  // `changed()` is called when who is there may have changed, `from(start)` when the user chose another start.
  constructor(name, { transport, after, token, number, changed, from }) {
    this.name = name;
    this.transport = transport;
    this.after = after;
    this.token = token;
    this.number = number;
    this.changed = changed;
    this.from = from;
    const title = transport === "sse" ? "SSE" : "WebSocket";
    this.state = el("span", { class: "badge", role: "status" });
    this.resumed = el("span", { class: "badge resumed", text: "new" });
    this.list = rowList({ label: `Messages of subscriber ${number}`, empty: "Nothing yet.", limit: MAX_ROWS, render: (item) => this.#drawn(item) });
    this.figures = el("span", { class: "note figures-line" });
    this.switch = el("input", { type: "checkbox", role: "switch", "aria-label": `Subscriber ${number} connected` });
    this.switch.addEventListener("change", () => (this.switch.checked ? this.join() : this.cut()));
    this.cursorInput = el("input", { type: "text", class: "mono", spellcheck: "false", autocomplete: "off", placeholder: "live only", disabled: true });
    this.earliest = el("button", { class: "button small", type: "button", text: "From the earliest", on: { click: () => this.#again("earliest") } });
    this.head = el("div", { class: "row subscriber-head" }, el("h3", { class: "grow", text: `${number} · ${title}` }), this.state);
    const line = el("div", { class: "row spread" }, el("label", { class: "switch" }, this.switch, "Connected"), this.earliest);
    const goes = el("label", { class: "field" }, "Has everything up to (cursor)", this.cursorInput);
    const told = el("div", { class: "row spread" }, this.resumed, this.figures);
    this.node = el("section", { class: "card subscriber", "aria-label": `Subscriber ${number}` }, this.head, line, goes, told, this.list.node);
    this.#count();
  }

  // Connect: behind the cursor where there is one, else as was chosen at first.
  async join() {
    const after = this.#was ? this.cursorInput.value.trim() || null : this.after;
    this.switch.checked = true;
    this.cursorInput.disabled = true;
    this.#lost = false;
    const ending = (this.ending = new AbortController());
    await this.#learnTop(after);
    if (ending.signal.aborted) return; // it was cut, or joined anew, meanwhile
    try {
      this.#open(after);
    } catch (error) {
      this.#closed(error);
    }
  }

  cut() {
    this.end();
    this.cursorInput.disabled = false;
    this.#tell("cut", "bad");
    this.#note("Cut.");
  }

  // For good, or until the next `join`.
  end() {
    this.ending?.abort();
    this.#cursor = this.#channel?.cursor ?? this.#cursor;
    const channel = this.#channel;
    this.#channel = null;
    channel?.close().then(() => this.changed());
  }

  #again(after) {
    this.end();
    this.list.clear();
    this.#received = this.#missed = 0;
    this.#was = false;
    this.after = after;
    this.#count();
    this.from(after);
    this.join();
  }

  #open(after) {
    const channel = new Channel("/", this.name, { after, token: this.token, transports: [this.transport] });
    this.#channel = channel;
    const mine = (listener) => (/** @type {any} */ { detail }) => this.#channel === channel && listener(detail);
    channel.addEventListener("message", mine((message) => this.#message(message)));
    channel.addEventListener("lost", mine(({ cursor }) => this.#losing(cursor)));
    channel.addEventListener("state", mine((facts) => this.#changed(facts, after)));
  }

  #changed({ state, reason, wait, error }, after) {
    const resuming = this.#was || after !== null;
    this.#tell(state, KINDS[state]);
    if (state === "connecting" && this.#was) this.#learnTop(this.#channel.cursor);
    if (state === "subscribed") {
      this.#was = true;
      const recovered = resuming ? String(!this.#lost) : "null";
      this.#resume(recovered);
      this.#place(this.#channel.cursor);
      this.#note(resuming ? `Joined behind a cursor: recovered ${recovered}.` : "Joined: live only.");
    }
    if (state === "waiting") {
      this.#lost = false;
      this.#note(`${reason} Another attempt in ${wait.toFixed(1)} s.`);
    }
    if (state === "closed") this.#closed(error);
    this.changed();
  }

  #closed(error) {
    this.switch.checked = false;
    this.cursorInput.disabled = false;
    this.#was = true;
    this.#tell("refused", "bad");
    if (error) this.#note(error.message);
  }

  #resume(recovered) {
    const [text, kind] = {
      null: ["live only", ""],
      true: ["recovered: true", "good"],
      false: ["recovered: false", "bad"],
    }[recovered];
    this.resumed.textContent = text;
    this.resumed.className = `badge resumed ${kind}`;
  }

  #message({ offset, time, data, cursor }) {
    const missed = offset <= this.#top;
    this.#received++;
    if (missed) this.#missed++;
    this.list.add({ kind: missed ? "missed" : "live", offset, time, data });
    this.#place(cursor);
    this.#count();
  }

  #losing(cursor) {
    this.#lost = true;
    this.list.add({ kind: "lost", cursor });
    this.#place(cursor);
    this.#resume("false");
  }

  // What there is already when we come back: messages up to there are those that were missed. Without an answer none is marked.
  async #learnTop(after) {
    if (after !== "earliest" && !CURSOR.test(after ?? "")) return;
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const query = new URLSearchParams({ after, limit: "1" });
    const { signal } = this.ending;
    const answer = await ask("GET", `/channels/${encodeURIComponent(this.name)}?${query}`, { headers, signal, background: true }).catch(() => null);
    if (!answer) return;
    const { top, recovered } = await answer.json();
    this.#top = recovered ? top : 0;
    this.#mark(after === "earliest" ? 0 : Number(after.split(":")[1]));
  }

  // Messages that came before the answer did.
  #mark(from) {
    for (const row of /** @type {Iterable<HTMLElement>} */ (this.list.draw().children)) {
      const offset = Number(row.dataset.offset ?? 0);
      if (offset <= from || offset > this.#top || row.classList.contains("missed")) continue;
      row.replaceWith(this.#drawn({ kind: "missed", offset, time: Number(row.dataset.time), content: row.lastElementChild }));
      this.#missed++;
    }
    this.#count();
  }

  #place(cursor) {
    this.#cursor = cursor;
    this.cursorInput.value = cursor ?? "";
  }

  #count() {
    const missed = this.#missed ? `, ${this.#missed.toLocaleString("en")} missed before` : "";
    this.figures.textContent = `${this.#received.toLocaleString("en")} received${missed}`;
  }

  #note(text) {
    this.list.add({ kind: "event", text });
  }

  #tell(text, kind) {
    this.state.textContent = text;
    this.state.className = `badge ${kind}`;
  }

  /** @param {{kind: string, offset?: number, time?: number, data?: any, cursor?: string, content?: Element, text?: string}} item */
  #drawn({ kind, offset, time, data, cursor, content, text: said }) {
    if (kind === "event") return el("li", { class: "message event note" }, el("bdi", { text: said }));
    if (kind === "lost") {
      const text = `Lost: messages before ${cursor} are no longer stored. The stream continues from there.`;
      return el("li", { class: "message lost" }, el("span", { class: "badge bad", text: "lost" }), el("bdi", { text }));
    }
    const head = el("div", { class: "frame-head" },
      el("span", { class: "sign", text: `#${offset}` }),
      el("time", { text: clock(new Date(time * 1000)) }),
      kind === "missed" ? el("span", { class: "badge warn", text: "missed" }) : null,
      typeof data === "string" || content ? null : el("span", { text: data?.base64 === undefined ? "JSON" : "bytes or JSON" }));
    const shown = content ?? excerpt(typeof data === "string" ? data : JSON.stringify(data));
    return el("li", { class: `message ${kind}`, "data-offset": offset, "data-time": time }, head, shown);
  }
}
