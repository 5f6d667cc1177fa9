// @ts-check
// Changes of a backend: the dialog that asks first, and the keys of the table.

import { count } from "./draw.js";
import { byId as $ } from "./lib/dom.js";
import { put, Refused } from "./stream.js";

const plural = (number, one, many) => (number === 1 ? `1 ${one}` : `${count(number)} ${many}`);

// What each change asks, in which words it is done, and what is reported afterwards.
const CHANGES = {
  ready: {
    title: (name) => `Give ${name} requests again?`,
    text: () => "It gets its share of new requests, and health checks go on.",
    yes: "Ready",
    said: (name) => `${name} is ready.`,
  },
  drain: {
    title: (name) => `Drain ${name}?`,
    text: (backend) => `It gets nothing new. ${inside(backend)} Health checks go on.`,
    yes: "Drain",
    said: (name) => `${name} is draining.`,
  },
  maint: {
    title: (name) => `Take ${name} into maintenance?`,
    text: (backend) => `It gets nothing new and is not checked. ${inside(backend)}`,
    yes: "Maintenance",
    said: (name) => `${name} is in maintenance.`,
  },
  weight: {
    title: (name) => `Weight of ${name}`,
    text: (backend, all) => `A share of the requests among backends with weights of ${count(total(all))} in all. It is ${backend.weight} now.`,
    yes: "Change the weight",
    said: (name, value) => `${name} has the weight ${value}.`,
  },
};

function inside({ active, tunnels }) {
  if (!active && !tunnels) return "Nothing is in flight there.";
  return `${plural(active, "request", "requests")} in flight and ${plural(tunnels, "tunnel", "tunnels")} go on until they end.`;
}

const total = (all) => all.reduce((sum, { weight }) => sum + weight, 0);

// What an operator may have overlooked.
function warning(kind, backend, all) {
  if (kind === "ready" && !backend.healthy) return "Its health checks fail: it gets nothing until they pass.";
  const others = all.some((one) => one.name !== backend.name && one.condition === "up");
  if ((kind === "drain" || kind === "maint") && !others && backend.state === "ready")
    return "No other backend takes requests: clients will be answered 503.";
  return "";
}

export class Changes {
  #busy = false;
  #wanted = null;

  // `changed(backend)` gets the description that the proxy answers, `say(text)` what to report.
  constructor({ changed, say, token }) {
    this.changed = changed;
    this.say = say;
    this.token = token;
    $("change").querySelector("form").addEventListener("submit", (event) => (event.preventDefault(), this.#go()));
    $("change-no").addEventListener("click", () => $("change").close());
  }

  ask(kind, backend, all) {
    if (!backend || $("change").open || backend.state === kind) return;
    const words = CHANGES[kind], warned = warning(kind, backend, all);
    this.#wanted = { kind, name: backend.name };
    $("change-title").textContent = words.title(isolated(backend.name));
    $("change-text").textContent = words.text(backend, all);
    $("change-warning").textContent = warned;
    $("change-warning").hidden = !warned;
    $("change-error").textContent = "";
    $("change-yes").textContent = words.yes;
    $("change-weight").hidden = $("weight").disabled = kind !== "weight";
    $("weight").required = kind === "weight";
    $("weight").value = backend.weight;
    $("change").showModal();
    // Enter does it; where that would stop the service, Enter first does nothing.
    if (kind === "weight") $("weight").select();
    else (warned ? $("change-no") : $("change-yes")).focus();
  }

  async #go() {
    if (this.#busy) return;
    const wanted = this.#wanted, { kind, name } = wanted;
    const value = kind === "weight" ? $("weight").valueAsNumber : kind, key = kind === "weight" ? "weight" : "state";
    this.#busy = true;
    $("change-yes").setAttribute("aria-busy", "true");
    try {
      this.changed(await put(`/backends/${encodeURIComponent(name)}/${key}`, { [key]: value }));
      if (wanted === this.#wanted) $("change").close(); // or it asks for another one meanwhile
      this.say(CHANGES[kind].said(isolated(name), value));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) await this.token(error.message);
      if (wanted === this.#wanted) $("change-error").textContent = error.message;
    } finally {
      this.#busy = false;
      $("change-yes").removeAttribute("aria-busy");
    }
  }
}

// A name inside a sentence keeps its direction to itself.
const isolated = (name) => `\u2068${name}\u2069`;

// Keys of the table; `do` has a function for each.
export function keys(event, actions) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat && !event.key.startsWith("Arrow")) return;
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
