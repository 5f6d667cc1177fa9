// @ts-check
// The parts around the table: the verdict, the totals, the connection, the failed exchanges.

import { Sparkline, Strip, count, date, duration, mark, rate, roundUp, seconds, write } from "./draw.js";
import { clock } from "./lib/clock.js";
import { byId as $, el } from "./lib/dom.js";
import { CONDITIONS, TROUBLE } from "./rows.js";

// Backends named in the verdict, and failed exchanges in their list: as many as the proxy keeps.
const NAMED = 3, KEPT = 50;

// Worst first, in words for many backends.
function headline(status) {
  const all = status.backends.length, found = (...names) => status.backends.filter((one) => names.includes(one.condition));
  const down = found("down"), ejected = found("ejected"), aside = found("drain", "maint"), up = found("up");
  const of = (some) => `${some.length} of ${all} backends ${some.length === 1 ? "is" : "are"}`;
  if (!all) return ["down", "There is no backend", []];
  if (!up.length) return ["down", "No backend takes requests", [...down, ...ejected, ...aside]];
  if (down.length) return ["down", `${of(down)} down`, [...down, ...ejected]];
  if (ejected.length) return ["ejected", `${of(ejected)} left out after failures`, ejected];
  if (aside.length) return ["drain", `${of(aside)} set aside`, aside];
  return ["up", ["The backend is up", "Both backends are up"][all - 1] ?? `All ${all} backends are up`, []];
}

function reason(backend, time) {
  const { condition, last_check: check, since } = backend;
  const why = condition === "down" && check ? check.detail : CONDITIONS[condition].toLowerCase();
  return [el("bdi", { class: "name" }, backend.name), ` ${why}${since ? `, for ${duration(time - since)}` : ""}`];
}

// Processes that this one has replaced, as long as they have clients.
const generations = ({ older }) => older.map((one) => `. Generation ${one.generation} (process ${one.pid}) still has ${one.connections} ${
  one.connections === 1 ? "connection" : "connections"}, ${one.tunnels} of them tunnels and streams`).join("");

export class Verdict {
  reset({ conditions, kept_steps: room }) {
    this.strip?.svg.remove();
    this.strip = new Strip(conditions, room);
    $("verdict").append(this.strip.svg);
  }

  draw(steps, fields) {
    const place = fields.indexOf("condition");
    this.strip.draw(steps.map((step) => step?.[place] ?? null));
  }

  show(status) {
    const [condition, text, concerned] = headline(status);
    mark($("verdict"), "data-condition", condition);
    write($("verdict-text"), (status.stopping ? "The proxy is stopping. " : "") + text + generations(status));
    this.#why(status, concerned);
    const down = concerned.filter((one) => TROUBLE.includes(one.condition)).length;
    document.title = `${down ? `${down} down · ` : ""}Heliograph proxy`;
    mark(document.querySelector("link[rel=icon]"), "href", down ? "/icon-down.svg" : "/icon.svg");
  }

  lost(reason, at) {
    mark($("verdict"), "data-condition", "lost");
    write($("verdict-text"), "No connection to the proxy");
    $("verdict-why").replaceChildren(`${reason}; ${at ? `all below is of ${clock(new Date(at * 1000))}` : "there are no figures yet"}`);
    this.why = "";
    document.title = "Stale · Heliograph proxy";
  }

  #why(status, concerned) {
    const parts = concerned.slice(0, NAMED).map((one) => el("span", {}, ...reason(one, status.time)));
    if (concerned.length > NAMED) parts.push(el("span", {}, `and ${concerned.length - NAMED} more`));
    if (!parts.length) {
      const latest = status.backends.reduce((one, other) => ((other.since ?? 0) > (one?.since ?? 0) ? other : one), null);
      if (latest) parts.push(el("span", {}, "No change for ", duration(status.time - latest.since)));
    }
    const text = parts.map((part) => part.textContent).join();
    if (text === this.why) return;
    this.why = text;
    $("verdict-why").replaceChildren(...parts);
  }
}

const TILES = [
  { label: "Requests/s", fields: ["rate"], least: 1, text: rate },
  { label: "5xx/s · failed tries/s", fields: ["failure_rate", "error_rate"], least: 1, text: rate },
  { label: "p50 · p99", fields: ["p99", "p50"], least: 0.001, text: seconds },
  { label: "In flight", fields: ["active"], least: 10, text: count },
  { label: "Queue", fields: ["queued"], least: 10, text: count },
  { label: "Tunnels", fields: ["tunnels"], least: 10, text: count },
  { label: "Connections", fields: ["connections"], least: 10, text: count },
];

export class Totals {
  reset({ kept_steps: room }) {
    this.tiles = TILES.map((tile) => ({
      ...tile,
      spark: new Sparkline(tile.fields, room),
      values: tile.fields.map((field) => el("span", { class: `value ${field}` }, "–")),
    }));
    $("totals").replaceChildren(
      ...this.tiles.map(({ label, spark, values }) =>
        el("div", {}, el("dt", {}, label), el("dd", {}, ...[...values].reverse().flatMap((value) => [value, " "]), spark.svg))),
    );
  }

  show(status) {
    const sum = (field) => status.backends.reduce((all, one) => all + one[field], 0);
    const values = {
      ...status.total,
      active: sum("active"), queued: status.waiting, tunnels: sum("tunnels"), connections: status.connections,
    };
    for (const { fields, text, values: nodes } of this.tiles)
      fields.forEach((field, index) => write(nodes[index], text(values[field])));
    write($("facts"), `${status.strategy} · up ${duration(status.uptime)} · ${count(status.requests)} requests`);
  }

  draw(steps, all) {
    for (const { fields, spark, least } of this.tiles) {
      const series = fields.map((field) => steps.map((step) => step?.[all.indexOf(field)] ?? null));
      spark.draw(series, roundUp(Math.max(0, ...series.flat()), least));
    }
  }
}

// The connection: whether what is shown is true.
export class ConnectionState {
  // `verdict` shows that there is no connection.
  constructor(verdict) {
    this.verdict = verdict;
    this.at = 0; // seconds since 1970: the time of the last figures
  }

  show(state, { reason, wait }) {
    // "connecting" after "lost" is still lost: what is shown is as old as before.
    if (state === "connecting" && this.lost) return write($("link-wait"), "trying");
    this.lost = state === "lost";
    mark(document.body, "data-link", state);
    write($("link-text"), { connecting: "Connecting", live: "Live", lost: "Stale" }[state]);
    write($("link-wait"), this.lost ? `next try in ${Math.ceil(wait / 1000)} s` : "");
    if (this.lost) this.verdict.lost(reason, this.at);
  }
}

export class FailedList {
  reset() {
    $("failed-rows").replaceChildren();
    this.add([]);
  }

  add(news) {
    for (const one of news) $("failed-rows").prepend(this.#row(one));
    while ($("failed-rows").childElementCount > KEPT) $("failed-rows").lastElementChild.remove();
    const known = $("failed-rows").childElementCount;
    $("failed").hidden = !known;
    $("no-failed").hidden = Boolean(known);
    if (news.length) this.number = news.at(-1).number;
    write($("failed-count"), known ? (this.number > known ? `the last ${known} of ${count(this.number)}` : count(known)) : "");
  }

  #row(one) {
    const cell = (label, ...content) => el("td", { role: "cell", "data-label": label }, ...content);
    return el(
      "tr", { role: "row" },
      cell("Time", el("time", { datetime: date(one.time), title: date(one.time) }, clock(new Date(one.time * 1000)))),
      cell("Status", el("span", { class: "status" }, one.status || "none")),
      cell("Request", el("bdi", { class: "request" }, `${one.method} ${one.path}`)),
      cell("Backend", el("bdi", {}, one.backend === "-" ? "none" : one.backend)),
      cell("Tries", String(one.tries)),
      cell("Reason", el("bdi", {}, one.reason), " ", el("span", { class: "ended" }, one.ended === "done" ? "" : one.ended)),
      cell("Request id", el("bdi", { class: "id" }, one.request_id)),
    );
  }
}
