// @ts-check
// A Morse key: a button, held by pointer, space bar or Enter, that sounds while it is down, and what is keyed as text.

import { el } from "./lib/dom.js";
import { Keyer } from "./keyer.js";
import { sidetone } from "./sound.js";
import { bounded } from "./visible.js";

// Characters of the text that are shown.
const MOST_SHOWN = 400;

// {node, tune(hertz)}; `onuse(text)` takes what was keyed.
export function handKey({ symbols, tone, onuse, signal }) {
  const lever = el("button", { class: "key", type: "button", "aria-describedby": "key-note" }, el("span", { text: "Key" }));
  const text = el("p", { class: "keyed", role: "log", "aria-label": "What you keyed" });
  const code = el("span", { class: "keyed-code", "aria-hidden": "true" });
  const speed = el("output", { class: "note", "aria-label": "Your speed" });
  const use = el("button", { class: "button small", type: "button", text: "Use as text", disabled: true });
  const wipe = el("button", { class: "button small", type: "button", text: "Clear", disabled: true });
  const note = el("p", {
    class: "note",
    id: "key-note",
    text: "Hold the space bar or press on the key: short for a dot, long for a dash. The speed is yours, and is found out as you go.",
  });
  const node = el(
    "div",
    { class: "hand" },
    lever,
    el("div", { class: "paper" }, el("div", { class: "row spread" }, code, speed), text, el("div", { class: "row" }, use, wipe)),
    note,
  );
  let [keyer, sound, timer, hertz, shown] = [new Keyer(symbols), null, null, tone, null];

  // Events carry the time at which they happened; handlers may run later.
  function press(event) {
    if (keyer.isDown) return;
    sound ??= sidetone(hertz);
    sound.down();
    keyer.down(event.timeStamp / 1000);
    lever.classList.add("down");
    clearTimeout(timer);
  }

  function lift(event) {
    if (!keyer.isDown) return;
    sound.up();
    keyer.up(event.timeStamp / 1000);
    lever.classList.remove("down");
    render();
    wait();
  }

  function wait() {
    clearTimeout(timer);
    if (keyer.deadline === null) return;
    timer = setTimeout(
      () => {
        keyer.tick(performance.now() / 1000);
        render();
        wait();
      },
      Math.max(1, keyer.deadline * 1000 - performance.now()),
    );
  }

  function render() {
    const reading = keyer.reading;
    code.textContent = reading.code.replaceAll("-", "\u2212").replaceAll(".", "\u00B7");
    const whole = bounded(reading.text.slice(-MOST_SHOWN), MOST_SHOWN);
    if (whole !== shown) text.textContent = shown = whole;
    speed.textContent = reading.text || reading.code ? `${keyer.wpm.toFixed(0)} words a minute` : "";
    use.disabled = wipe.disabled = !reading.text;
  }

  const isKey = (event) => event.key === " " || event.key === "Enter";
  const on = (target, type, listener) => target.addEventListener(type, listener, { signal });
  // The space bar is the key while the key has the focus, or nothing has: elsewhere it belongs to what has it.
  const ours = (event) => isKey(event) && (event.target === lever || (event.key === " " && event.target === document.body));
  on(document, "keydown", (event) => {
    if (!ours(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) press(event);
  });
  on(document, "keyup", (event) => {
    if (!isKey(event) || !keyer.isDown) return;
    event.preventDefault();
    lift(event);
  });
  on(lever, "pointerdown", (event) => {
    if (event.button !== 0) return;
    lever.setPointerCapture(event.pointerId);
    lever.focus({ preventScroll: true });
    press(event);
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) on(lever, type, lift);
  on(lever, "contextmenu", (event) => event.preventDefault()); // a long touch is a dash
  on(lever, "blur", lift);
  on(window, "blur", lift);
  use.addEventListener("click", () => onuse(keyer.reading.text.trim()));
  wipe.addEventListener("click", () => {
    clearTimeout(timer);
    keyer = new Keyer(symbols, keyer.unit);
    render();
    lever.focus();
  });
  signal.addEventListener("abort", () => (clearTimeout(timer), sound?.end()), { once: true });

  return {
    node,
    tune(other) {
      hertz = other;
      sound?.tune(other);
    },
  };
}
