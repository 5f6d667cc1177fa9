// @ts-check
// The Channels view: several subscribers of one channel side by side, publishing, and presence.

import { ask } from "./api.js";
import { curl, curlBox } from "./curl.js";
import { clear, el } from "./lib/dom.js";
import { messageBox } from "./message.js";
import { problemBox } from "./problem.js";
import { clock } from "./lib/clock.js";
import { milliseconds } from "./rows.js";
import { get, onChange, set } from "./state.js";
import { Subscriber } from "./subscriber.js";

export const title = "Channels";

// Subscribers of a page. Of streams fewer: each holds one of the six connections that a browser opens to a host by HTTP/1.1, and
// without a free one nothing could be published.
const MAX_SUBSCRIBERS = 6, MAX_STREAMS = 3;

// Messages that one press of the button publishes at most, one after the other.
const MAX_TIMES = 100;

// Rows of the presence list; and the seconds between two requests for it, while nothing changes here.
const MAX_PRESENT = 20, LOOK = 3;

// Milliseconds from a change here until the other instances mostly know it.
const PROPAGATED = 400;

const DEFAULT_NAME = "lebowski", DEFAULT_SUBSCRIBERS = "websocket.sse";
const NAME = /^[A-Za-z0-9_.:-]{1,128}$/;

export function mount(container, { signal }) {
  new View(container, signal).fill();
}

class View {
  #subscribers = new Set();
  #count = 0;
  #token = null;
  #looking = null;
  #later = null;
  #refused = false;

  constructor(container, signal) {
    this.container = container;
    this.signal = signal;
    this.problem = problemBox();
    this.list = el("div", { class: "subscribers" });
  }

  get name() {
    return get("channel", DEFAULT_NAME);
  }

  fill() {
    const { signal } = this;
    const parts = el("div", { class: "columns even" }, this.#publishing(), this.#presence());
    this.container.append(el("div", { class: "view channels" }, this.#head(), parts, this.list));
    this.#restore();
    onChange((keys) => (keys.has("channel") || keys.has("subs")) && this.#restore(), { signal });
    signal.addEventListener("abort", () => this.#leave());
    const timer = setInterval(() => document.hidden || this.#refused || this.look(), LOOK * 1000);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.look();
  }

  // The channel and its subscribers.

  #head() {
    const input = (this.input = el("input", { type: "text", name: "channel", spellcheck: "false", autocomplete: "off", maxlength: "128", required: true }));
    const token = el("input", { type: "password", autocomplete: "off", placeholder: "none" });
    token.addEventListener("change", () => {
      this.#token = token.value || null;
      this.#restore();
    });
    const submit = (event) => {
      event.preventDefault();
      set({ channel: input.value === DEFAULT_NAME ? null : input.value }, { push: true });
      this.#restore();
    };
    const go = el("button", { class: "button", type: "submit", text: "Go to channel" });
    this.adding = Object.fromEntries(
      [["websocket", "+ WebSocket"], ["sse", "+ SSE"]].map(([transport, text]) => [
        transport, el("button", { class: "button", type: "button", text, "aria-label": `Add a subscriber over ${text.slice(2)}`, on: { click: () => this.#add(transport) } }),
      ]),
    );
    const form = el("form", { class: "row bottom", on: { submit } },
      el("div", { class: "row bottom grow name" }, el("label", { class: "field grow" }, "Channel", input), go),
      el("label", { class: "field" }, "Token, where one is asked for", token),
      el("div", { class: "row", role: "group", "aria-label": "Subscribers" }, Object.values(this.adding)));
    return el("div", { class: "card" }, form, this.problem.node);
  }

  // From the URL: the name, and the transports of the subscribers with a "-earliest" for those that begin there.
  #restore() {
    this.#leave();
    this.input.value = this.name;
    const valid = NAME.test(this.name);
    this.input.setAttribute("aria-invalid", String(!valid));
    this.refreshCommands();
    if (!valid) {
      this.problem.show({ title: "No name of a channel", detail: "A name is 1 to 128 of the characters A-Z a-z 0-9 _ . : -." });
      return;
    }
    this.problem.hide();
    for (const each of get("subs", DEFAULT_SUBSCRIBERS).split(".")) {
      const [transport, after = null] = each.split("-");
      if (Object.hasOwn(this.adding, transport) && this.#room(transport)) this.#join(transport, after === "earliest" ? after : null);
    }
    this.#remember();
  }

  #leave() {
    for (const each of this.#subscribers) each.end();
    this.#subscribers.clear();
    clear(this.list);
    this.#count = 0;
  }

  #room(transport) {
    const streams = [...this.#subscribers].filter((each) => each.transport === "sse").length;
    return this.#subscribers.size < MAX_SUBSCRIBERS && (transport !== "sse" || streams < MAX_STREAMS);
  }

  #add(transport) {
    if (this.#room(transport)) this.#join(transport, null);
    this.#remember();
  }

  #join(transport, after) {
    const subscriber = new Subscriber(this.name, {
      transport, after, token: this.#token, number: ++this.#count, changed: () => this.#changed(),
      from: (start) => ((subscriber.after = start), this.#remember()),
    });
    const remove = el("button", { class: "button small", type: "button", "aria-label": `Remove subscriber ${this.#count}`, text: "✕", on: {
      click: () => {
        subscriber.end();
        this.#subscribers.delete(subscriber);
        subscriber.node.remove();
        this.#remember();
        this.#changed();
      },
    } });
    subscriber.head.append(remove);
    this.#subscribers.add(subscriber);
    this.list.append(subscriber.node);
    subscriber.join();
  }

  #remember() {
    const text = [...this.#subscribers].map(({ transport, after }) => (after ? `${transport}-${after}` : transport)).join(".");
    set({ subs: text === DEFAULT_SUBSCRIBERS ? null : text });
    for (const [transport, button] of Object.entries(this.adding)) button.disabled = !this.#room(transport);
  }

  // Publishing.

  #publishing() {
    const changed = (value) => (set({ message: value }), this.refreshCommands());
    const text = (this.text = messageBox({ changed, send: (event) => this.#publish(event) }));
    const kind = (this.kind = el("select", {}, el("option", { value: "text", text: "Text" }), el("option", { value: "json", text: "JSON" })));
    const times = (this.times = el("input", { type: "number", min: "1", max: String(MAX_TIMES), value: "1" }));
    const fill = () => {
      text.value = get("message", "The rug really tied the room together.");
      kind.value = get("kind") === "json" ? "json" : "text";
      this.refreshCommands();
    };
    kind.addEventListener("input", () => (set({ kind: kind.value === "json" ? "json" : null }), this.refreshCommands()));
    this.refused = problemBox();
    this.published = el("span", { class: "note published", role: "status" });
    this.command = curlBox();
    const button = el("button", { class: "button primary", type: "submit", text: "Publish" });
    const row = el("div", { class: "row" }, button, el("label", { class: "field inline" }, "as", kind), el("label", { class: "field inline times" }, "times", times), this.published);
    fill();
    onChange((keys) => (keys.has("message") || keys.has("kind")) && fill(), { signal: this.signal });
    return el("form", { class: "card", on: { submit: (event) => this.#publish(event) } },
      el("h2", { text: "Publish" }), text.node, row, this.refused.node, this.command.node);
  }

  refreshCommands() {
    const headers = { "Content-Type": this.#type(), ...(this.#token ? { Authorization: "Bearer TOKEN" } : {}) };
    this.command?.show(curl("POST", `/channels/${encodeURIComponent(this.name)}`, { body: this.text.value, headers }));
  }

  #type() {
    return this.kind.value === "json" ? "application/json" : "text/plain; charset=utf-8";
  }

  async #publish(event) {
    event.preventDefault();
    const body = this.text.value, { signal } = this, type = this.#type();
    const count = Math.max(1, Math.min(MAX_TIMES, Math.trunc(Number(this.times.value)) || 1));
    this.refused.hide();
    try {
      for (let number = 1; number <= count; number++) {
        const answer = await ask("POST", this.#path(), { body, type, signal, headers: this.#authorization() });
        const { offset } = await answer.json();
        this.published.textContent = `Stored as ${offset} in ${milliseconds(answer.ms)}`;
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      this.published.textContent = "";
      this.refused.show(error, body);
    }
  }

  #path(rest = "") {
    return `/channels/${encodeURIComponent(this.name)}${rest}`;
  }

  #authorization() {
    return this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
  }

  // Presence.

  #presence() {
    this.there = el("span", { class: "badge there", text: "…" });
    this.rows = el("tbody");
    const head = ["Subscriber", "Transport", "Instance", "Since"].map((text) => el("th", { scope: "col", text }));
    const table = el("table", { class: "table nowrap" }, el("thead", {}, el("tr", {}, head)), this.rows);
    this.more = el("p", { class: "note" });
    return el("div", { class: "card" }, el("div", { class: "row spread" }, el("h2", { text: "Presence" }), this.there),
      el("div", { class: "scroller presence", tabindex: "0", role: "region", "aria-label": "Presence" }, table), this.more);
  }

  #changed() {
    this.look();
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.look(), PROPAGATED);
  }

  // One request at a time, and another after it if something changed meanwhile.
  look() {
    if (this.#looking || !NAME.test(this.name) || this.signal.aborted) {
      if (this.#looking) this.#looking.again = true;
      return;
    }
    const looking = (this.#looking = { again: false });
    ask("GET", this.#path("/presence"), { signal: this.signal, headers: this.#authorization(), background: true })
      .then((answer) => answer.json())
      .then((present) => {
        this.#refused = false;
        this.#show(present);
      })
      .catch((error) => {
        if (error.name === "AbortError") return;
        this.#refused = [401, 403].includes(error.status); // asked again when something changes here, not by the clock
        this.#show({ count: null, subscribers: [] });
      })
      .finally(() => {
        this.#looking = null;
        if (looking.again) this.look();
      });
  }

  #show({ count, subscribers }) {
    this.there.textContent = count === null ? "not to be had" : `${count} here`;
    const shown = subscribers.slice(0, MAX_PRESENT).map(({ id, transport, instance, since }) =>
      el("tr", {}, el("td", {}, el("code", { text: id.slice(0, 8) })), el("td", { text: transport }), el("td", { text: instance }),
        el("td", { text: clock(new Date(since * 1000)) })));
    clear(this.rows).append(...shown);
    this.more.textContent = count > shown.length ? `and ${count - shown.length} more` : "";
  }
}
