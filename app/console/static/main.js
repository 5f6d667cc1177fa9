// @ts-check
// The shell: tabs, one module for each view, loaded when it is first looked at. A module exports `title` and
// `mount(container, {signal})`; the signal is aborted when its view is left, and the container is emptied then.

import { answers } from "./api.js";
import { clear, el } from "./lib/dom.js";
import { problemBox } from "./problem.js";
import { MAX_SHARED, enter, get, link, onChange, set, shared } from "./state.js";

const MODULES = {
  codecs: () => import("./codecs.js"),
  morse: () => import("./morse.js"),
  websocket: () => import("./sockets.js"),
  channels: () => import("./channels.js"),
  stack: () => import("./stack.js"),
};

const tabs = new Map([.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[role=tab]"))].map((tab) => [tab.dataset.view, tab]));
const panel = (view) => document.getElementById(`panel-${view}`);
const named = () => (tabs.has(get("view")) ? get("view") : "codecs");

let current = null;

async function show(view) {
  current?.leaving.abort();
  if (current) clear(panel(current.view));
  const leaving = new AbortController();
  current = { view, leaving };
  for (const [name, tab] of tabs) {
    const selected = name === view;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    panel(name).hidden = !selected;
    if (selected) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  const container = panel(view);
  container.setAttribute("aria-busy", "true");
  try {
    const module = await MODULES[view]();
    if (leaving.signal.aborted) return;
    document.title = `${module.title} · Heliograph`;
    await module.mount(container, { signal: leaving.signal });
    performance.mark("ready");
  } catch (error) {
    if (!leaving.signal.aborted) failed(container, error);
  } finally {
    if (!leaving.signal.aborted) container.removeAttribute("aria-busy");
  }
}

function failed(container, error) {
  const box = problemBox();
  const again = el("button", { class: "button", type: "button", text: "Load the page again", on: { click: () => location.reload() } });
  clear(container).append(box.node, again);
  box.show(error.title ? error : { title: "This view did not load", detail: error.message });
}

// The pattern of tabs (WAI-ARIA): one stop of the Tab key; arrows, Home and End go from view to view.
function go(view) {
  if (view === current.view) return;
  enter(view);
  show(view);
}

function pressed(event) {
  const names = [...tabs.keys()];
  const at = names.indexOf(event.target.dataset.view);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (to === undefined || at < 0) return;
  event.preventDefault();
  const name = names.at(to % names.length);
  tabs.get(name).focus();
  go(name);
}

function footer() {
  const field = (name) => document.querySelector(`[data-last=${name}]`);
  answers.addEventListener("answer", (/** @type {any} */ { detail }) => {
    if (detail.background) return;
    field("status").textContent = detail.status || "no answer";
    field("instance").textContent = detail.instance ?? "–";
    field("request").textContent = detail.requestId ?? "–";
    field("time").textContent = `${detail.ms < 10 ? detail.ms.toFixed(1) : Math.round(detail.ms)} ms`;
  });
}

function sharing() {
  const note = document.getElementById("withheld");
  const button = document.getElementById("share");
  shared.addEventListener("written", (/** @type {any} */ { detail }) => {
    const keys = detail.withheld.join(", ");
    const text = keys && `Longer than ${MAX_SHARED.toLocaleString("en")} characters, so not in the link: ${keys}`;
    if (note.textContent !== text) note.textContent = text;
  });
  button.addEventListener("click", async () => {
    const text = link();
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    button.textContent = done ? "Copied" : "See the address bar";
    setTimeout(() => (button.textContent = "Copy link"), 1500);
  });
}

for (const [view, tab] of tabs) {
  tab.addEventListener("click", () => go(view));
  tab.addEventListener("keydown", pressed);
}
onChange((keys) => keys.has("view") && named() !== current.view && show(named()));
footer();
sharing();
if (get("view") !== named()) set({ view: named() });
show(named());
