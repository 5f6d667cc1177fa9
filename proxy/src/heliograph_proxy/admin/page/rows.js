// @ts-check
// The table of backends: rows that are made once and then changed in place, those in trouble first.

import { Sparkline, Strip, count, date, duration, mark, rate, roundUp, seconds, write } from "./draw.js";
import { el } from "./lib/dom.js";

export const CONDITIONS = { up: "Up", drain: "Draining", maint: "Maintenance", ejected: "Ejected", down: "Down" };
export const TROUBLE = ["down", "ejected"];
const STATES = { ready: "Ready", drain: "Drain", maint: "Maint" };

// The columns with a sparkline: the fields of a step, the least top of their scale, and how its end is written.
const COLUMNS = [
  { label: "In flight", fields: ["active"], least: 10, text: count },
  { label: "Queue", fields: ["queued"], least: 10, text: count },
  { label: "Tunnels", fields: ["tunnels"], least: 10, text: count },
  { label: "Requests/s", fields: ["rate"], least: 1, text: rate },
  { label: "5xx/s, failed tries/s", fields: ["failure_rate", "error_rate"], least: 1, text: rate },
  { label: "p50, p99", fields: ["p99", "p50"], least: 0.001, text: seconds },
];

// Milliseconds: rows stay where they are for so long after the pointer moved over them, or a click would meet another one.
const STEADY = 2000;

class Row {
  constructor(name, conditions, room) {
    this.name = name;
    this.steps = [];
    this.dirty = true;
    this.strip = new Strip(conditions, room);
    this.sparks = COLUMNS.map((column) => new Sparkline(column.fields, room));
    this.values = COLUMNS.map((column) => column.fields.map((field) => el("span", { class: `value ${field}` })));
    this.address = el("bdi");
    this.backup = el("span", { class: "tag", hidden: "" }, "backup");
    this.chip = el("span", { class: "chip" });
    this.check = el("span", { class: "check" });
    this.since = el("span", { class: "since" });
    this.weight = el("button", { type: "button", "data-change": "weight", tabindex: "-1" });
    this.states = Object.entries(STATES).map(([state, text]) =>
      el("button", { type: "button", "data-change": state, tabindex: "-1", "aria-label": `${text} ${name}` }, text));
    this.element = this.#build();
  }

  #build() {
    const cell = (label, ...content) => el("td", { role: "cell", "data-label": label }, ...content);
    const name = el("bdi", { class: "name" }, this.name);
    return el(
      "tr", { role: "row", tabindex: "-1", "data-name": this.name },
      el("th", { role: "rowheader", scope: "row" }, name, " ", this.backup, el("span", { class: "address" }, this.address)),
      el("td", { role: "cell", class: "health" },
        el("div", { class: "verdict" }, this.chip, " ", this.since, " "), this.check, this.strip.svg),
      ...COLUMNS.map((column, index) => {
        const values = el("span", { class: "values" }, ...[...this.values[index]].reverse().flatMap((value) => [value, " "]));
        return cell(column.label, el("div", { class: "figure" }, values, this.sparks[index].svg));
      }),
      cell("Weight", this.weight),
      cell("State", el("div", { class: "states", role: "group", "aria-label": `State of ${this.name}` }, ...this.states)),
    );
  }

  show(backend, status) {
    this.backend = backend;
    mark(this.element, "data-condition", backend.condition);
    write(this.address, backend.address);
    mark(this.address, "title", backend.address);
    this.backup.hidden = !backend.backup;
    write(this.chip, CONDITIONS[backend.condition]);
    write(this.since, backend.condition === "up" || !backend.since ? "" : `for ${duration(status.time - backend.since)}`);
    this.#showCheck(backend, status);
    COLUMNS.forEach((column, index) =>
      column.fields.forEach((field, which) => write(this.values[index][which], column.text(backend[field] ?? (field[0] === "p" ? null : 0)))));
    write(this.weight, count(backend.weight));
    mark(this.weight, "aria-label", `Weight of ${this.name}: ${backend.weight}`);
    for (const button of this.states) mark(button, "aria-pressed", String(button.dataset.change === backend.state));
  }

  #showCheck({ last_check: check, state }, status) {
    let text = "not checked yet";
    if (check) {
      const age = status.time - check.time, old = age > 2 * status.check_seconds;
      text = `${check.detail}, ${seconds(check.seconds)}${old ? `, ${duration(age)} ago` : ""}`;
      if (state === "maint") text = `not checked; ${check.detail} ${duration(age)} ago`;
      mark(this.check, "data-passed", String(check.passed));
      mark(this.check, "title", `${check.detail} at ${date(check.time)}`);
    }
    write(this.check, text);
  }

  draw(fields, tops) {
    this.dirty = false;
    const series = (field) => this.steps.map((step) => step?.[fields.indexOf(field)] ?? null);
    this.strip.draw(series("condition"));
    this.sparks.forEach((spark, index) => spark.draw(COLUMNS[index].fields.map(series), tops[index]));
  }

  matches(words) {
    const { address, condition, state } = this.backend;
    const text = `${this.name} ${address} ${CONDITIONS[condition]} ${state} ${this.check.textContent}`.toLowerCase();
    return words.every((word) => text.includes(word));
  }
}

export class Rows {
  constructor(body, heads) {
    this.body = body;
    this.words = [];
    this.rows = new Map();
    this.tops = [];
    this.fields = [];
    this.conditions = [];
    this.room = 0;
    this.order = null;
    this.current = null;
    this.scales = COLUMNS.map((_, index) => heads[index + 2].appendChild(el("small", { "aria-hidden": "true" })));
    this.movedAt = -STEADY;
    body.addEventListener("pointermove", () => (this.movedAt = performance.now()));
    body.addEventListener("focusin", (event) => this.#take(event.target.closest("tr")));
    this.seen = new IntersectionObserver((entries) => entries.forEach((entry) => this.#look(entry)), { rootMargin: "100px" });
    this.visible = new Set();
  }

  reset({ fields, conditions, kept_steps: room }) {
    this.fields = fields;
    this.conditions = conditions;
    this.room = room;
    for (const row of this.rows.values()) row.steps = [];
  }

  row(name) {
    let row = this.rows.get(name);
    if (!row) {
      row = new Row(name, this.conditions, this.room);
      this.rows.set(name, row);
      this.body.append(row.element);
      this.seen.observe(row.element);
    }
    return row;
  }

  past(name, steps) {
    this.row(name).steps = steps;
  }

  // The steps that have just ended; a backend without one gets a gap.
  step(backends) {
    for (const row of this.rows.values()) {
      row.steps.push(backends[row.name] ?? null);
      if (row.steps.length > this.room) row.steps.shift();
    }
  }

  show(status) {
    const known = new Set(status.backends.map((backend) => backend.name));
    for (const [name, row] of this.rows) if (!known.has(name)) this.#remove(name, row);
    for (const backend of status.backends) this.row(backend.name).show(backend, status);
    this.order = status.backends.map((backend) => backend.name);
    this.#filter();
    if (performance.now() - this.movedAt > STEADY) this.#sort();
    if (!this.current?.isConnected) this.#take(this.body.firstElementChild);
  }

  #remove(name, row) {
    this.rows.delete(name);
    this.seen.unobserve(row.element);
    this.visible.delete(row);
    row.element.remove();
  }

  // Trouble first, the rest as in the configuration.
  #sort() {
    const rows = this.order.map((name) => this.rows.get(name));
    const bad = (row) => TROUBLE.indexOf(row.backend.condition) + 1 || TROUBLE.length + 1;
    rows.sort((one, other) => bad(one) - bad(other));
    let place = this.body.firstElementChild;
    for (const { element } of rows) {
      if (element === place) place = place.nextElementSibling;
      else this.#move(element, place);
    }
  }

  #move(element, place) {
    // moveBefore would keep the focus, but Chromium 156 leaves parts of a row that it moves without their style.
    const active = /** @type {HTMLElement} */ (document.activeElement), had = element.contains(active);
    this.body.insertBefore(element, place);
    if (had) active.focus({ preventScroll: true });
  }

  filter(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
    if (this.order) this.#filter();
  }

  #filter() {
    let shown = 0;
    for (const row of this.rows.values()) {
      const hidden = !row.matches(this.words);
      if (row.element.hidden !== hidden) row.element.hidden = hidden;
      if (!hidden) shown++;
    }
    this.shown = shown;
  }

  // All rows have the scale of the largest, so that they can be compared.
  redraw() {
    this.tops = COLUMNS.map(({ fields, least, text }, index) => {
      const places = fields.map((field) => this.fields.indexOf(field));
      let most = 0;
      for (const { steps } of this.rows.values())
        for (const step of steps) if (step) for (const place of places) most = Math.max(most, step[place] ?? 0);
      const top = roundUp(most, least);
      write(this.scales[index], `0 to ${text(top)}`);
      return top;
    });
    for (const row of this.rows.values()) row.dirty = true;
    for (const row of this.visible) row.draw(this.fields, this.tops);
  }

  #look({ target, isIntersecting }) {
    const row = this.rows.get(target.dataset.name);
    if (!row) return;
    if (!isIntersecting) return this.visible.delete(row);
    this.visible.add(row);
    if (row.dirty && this.tops.length) row.draw(this.fields, this.tops);
  }

  // One row is where Tab leads, with its buttons: fifty rows would be two hundred stops.
  #take(element) {
    if (!element || element === this.current) return;
    for (const [row, index] of [[this.current, "-1"], [element, "0"]]) {
      if (!row) continue;
      row.tabIndex = index;
      for (const button of row.querySelectorAll("button")) button.tabIndex = index;
    }
    this.current = element;
  }

  // The row `by` further among those that are shown; Infinity is the last.
  focus(by) {
    const rows = [...this.body.children].filter((row) => !row.hidden);
    if (!rows.length) return;
    const at = Math.min(Math.max(rows.indexOf(this.current) + by, 0), rows.length - 1);
    rows[at].focus();
  }

  backend(element) {
    return this.rows.get(element?.closest("tr")?.dataset.name)?.backend;
  }
}
