// @ts-check
// Text of numbers, changes of the document, and sparklines.

import { svg } from "./lib/dom.js";

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(number);

export function rate(number) {
  if (!number) return "0";
  if (number < 0.1) return "<0.1";
  return number < 10 ? number.toFixed(1) : whole.format(Math.round(number));
}

// Seconds as people read them.
export function seconds(number) {
  if (number === null || number === undefined) return "–";
  const ms = number * 1000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  return `${number.toFixed(number < 10 ? 1 : 0)} s`;
}

export function duration(number) {
  const all = Math.max(0, Math.floor(number));
  if (all < 60) return `${all} s`;
  const minutes = Math.floor(all / 60), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${days} d ${hours % 24} h`;
}

export const date = (time) => new Date(time * 1000).toISOString();

// Most of what is drawn every second is as it was: the document is touched for the rest only.
const written = new WeakMap();

export function write(node, text) {
  if (written.get(node) === text) return;
  written.set(node, text);
  node.textContent = text;
}

export function mark(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// The next of 1, 2, 5, 10, … so that a scale stays for a while.
export function roundUp(number, least) {
  if (number <= least) return least;
  const power = 10 ** Math.floor(Math.log10(number));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => number <= step * 1.000001);
}

export const HEIGHT = 20;

// The line through values, the last of them at the right end of `room`; nulls are gaps. Returns the line and the area below it.
export function path(values, room, top) {
  let line = "", area = "", begun = -1;
  const first = room - values.length;
  const close = (at) => {
    if (begun < 0) return;
    area += `V${HEIGHT}H${first + begun}Z`;
    if (begun === at - 1) line += "h.01"; // a value alone is a point
    begun = -1;
  };
  values.forEach((value, index) => {
    if (value === null || value === undefined) return close(index);
    const part = Math.min(value, top) / top, x = first + index;
    line += `${begun < 0 ? "M" : "L"}${x} ${(HEIGHT - 1 - part * (HEIGHT - 2)).toFixed(1)}`;
    area += `${begun < 0 ? `M${x} ${HEIGHT}` : ""}L${x} ${(HEIGHT - part * (HEIGHT - 1)).toFixed(1)}`;
    if (begun < 0) begun = index;
  });
  close(values.length);
  return { line, area };
}

// The stretches in which a list has this value, as a line.
export function stretches(values, room, wanted) {
  let found = "", begun = -1;
  const first = room - values.length;
  for (let index = 0; index <= values.length; index++) {
    const is = values[index] === wanted;
    if (is && begun < 0) begun = index;
    if (!is && begun >= 0) {
      found += `M${first + begun} 2H${first + index}`;
      begun = -1;
    }
  }
  return found;
}

const shape = (name) => svg("path", { class: name });

// Hidden from screen readers: the figure beside it says the same.
const canvas = (name, room, height, ...shapes) =>
  svg("svg", { class: name, viewBox: `0 0 ${room} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, shapes);

// One series or two, each a line above its area; the stylesheet says which of them are seen.
export class Sparkline {
  constructor(names, room) {
    this.room = room;
    this.shapes = names.map((name) => ({ area: shape(`area ${name}`), line: shape(`line ${name}`) }));
    this.svg = canvas("spark", room - 1, HEIGHT, ...this.shapes.flatMap(({ area, line }) => [area, line]));
  }

  // `series`: a list of values for each name.
  draw(series, top) {
    series.forEach((values, index) => {
      const { line, area } = path(values, this.room, top);
      mark(this.shapes[index].line, "d", line);
      mark(this.shapes[index].area, "d", area);
    });
  }
}

// The conditions of ten minutes, as a strip.
export class Strip {
  constructor(conditions, room) {
    this.room = room;
    this.shapes = conditions.map((name) => shape(name));
    this.svg = canvas("strip", room, 4, ...this.shapes);
  }

  draw(values) {
    this.shapes.forEach((one, code) => mark(one, "d", stretches(values, this.room, code)));
  }
}
