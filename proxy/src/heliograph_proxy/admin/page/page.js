// @ts-check
// The page: keeps the data of the stream and passes it to the parts that show it.

import { Changes, keys } from "./changes.js";
import { byId as $ } from "./lib/dom.js";
import { ConnectionState, FailedList, Totals, Verdict } from "./panels.js";
import { Rows } from "./rows.js";
import { hasToken, keepToken, LiveStream } from "./stream.js";

const rows = new Rows($("rows"), document.querySelectorAll("#backends th"));
const verdict = new Verdict(), totals = new Totals(), connection = new ConnectionState(verdict), failed = new FailedList();
let start = null, status = null, steps = [], waiting = false, stale = false;

const HANDLERS = {
  start(data) {
    start = data;
    steps = [];
    for (const part of [rows, verdict, totals, failed]) part.reset(data);
  },
  past({ name, steps: past }) {
    if (name === null) steps = past;
    else rows.past(name, past);
    stale = true;
  },
  step({ total, backends }) {
    steps.push(total);
    if (steps.length > start.kept_steps) steps.shift();
    rows.step(backends);
    stale = true;
  },
  failed: (news) => failed.add(news),
  now(data) {
    status = data;
    connection.at = data.time;
    verdict.show(data); // also in the title of a tab in the background
    draw();
  },
};

// Once for many events, and not at all in the background.
function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!status) return;
    rows.show(status);
    totals.show(status);
    showCount();
    if (!stale) return;
    stale = false;
    rows.redraw();
    totals.draw(steps, start.total_fields);
    verdict.draw(steps, start.fields);
  });
}

// Backends from which on rows are closer together.
const MANY = 12;

function showCount() {
  const all = status.backends.length;
  $("backends").toggleAttribute("data-many", all > MANY);
  $("shown").textContent = rows.shown === all ? String(all) : `${rows.shown} of ${all}`;
}

// One dialog asks for the token, even if several requests need it.
let asking = null;

function token(reason) {
  asking ??= /** @type {Promise<void>} */ (new Promise((resolve) => {
    const dialog = $("ask-token");
    $("token-text").textContent = reason;
    $("token").value = "";
    dialog.querySelector("form").onsubmit = () => {
      keepToken($("token").value);
      asking = null;
      resolve();
    };
    dialog.oncancel = (event) => event.preventDefault(); // without it there is nothing to see
    dialog.onclose = () => asking && dialog.showModal(); // browsers let a second Escape close it nonetheless
    dialog.showModal();
  }));
  return asking;
}

const say = (text) => ($("said").textContent = text);
const changes = new Changes({
  say,
  token,
  changed(backend) {
    const known = status.backends.find((one) => one.name === backend.name);
    if (known) Object.assign(known, backend);
    draw();
  },
});
const ask = (kind, element) => changes.ask(kind, rows.backend(element), status?.backends ?? []);

$("rows").addEventListener("click", (/** @type {any} */ { target }) => {
  const kind = target.closest("button")?.dataset.change;
  if (kind) ask(kind, target);
});

const actions = {
  ArrowUp: () => rows.focus(-1), k: () => rows.focus(-1),
  ArrowDown: () => rows.focus(1), j: () => rows.focus(1),
  Home: () => rows.focus(-Infinity), End: () => rows.focus(Infinity),
  r: () => ask("ready", rows.current), d: () => ask("drain", rows.current),
  m: () => ask("maint", rows.current), w: () => ask("weight", rows.current),
  "/": () => $("filter").focus(), "?": () => $("keys").showModal(),
};
$("rows").addEventListener("keydown", (event) => keys(event, actions));
$("filter").addEventListener("keydown", (event) => keys(event, { ArrowDown: () => rows.focus(0) }));
$("show-keys").addEventListener("click", () => $("keys").showModal());

// What is filtered for stands in the address, so that a view can be kept and shared.
$("filter").value = new URLSearchParams(location.search).get("filter") ?? "";
function filter() {
  const text = $("filter").value.trim();
  rows.filter(text);
  history.replaceState(null, "", text ? `?${new URLSearchParams({ filter: text })}` : location.pathname);
  if (status) showCount();
}
$("filter").addEventListener("input", filter);
filter();

const stream = new LiveStream({ on: (name, data) => HANDLERS[name]?.(data), connection: (...facts) => connection.show(...facts), token });
$("retry").addEventListener("click", () => stream.hurry());
addEventListener("online", () => stream.hurry());
document.addEventListener("visibilitychange", () => document.hidden || stream.hurry());

if (document.body.dataset.token === "needed" && !hasToken()) await token("This proxy asks for one.");
await stream.run();
