// @ts-check
// The text as keying: drawn as a timeline, played with the letter lit up that sounds, at a speed and a tone that may change
// meanwhile.

import { el } from "./lib/dom.js";
import { MOST_LETTERS, lettersOf, schedule, timing } from "./signals.js";
import { play, silence } from "./sound.js";
import { timeline } from "./timeline.js";

// {node, show(code, {wpm, farnsworth, tone}), playSign(sign), stop()}. `symbols` maps codes to what they mean.
export function sending({ symbols, tools, signal }) {
  const start = el("button", {
    class: "button primary play",
    type: "button",
    "aria-pressed": "false",
    text: "Play",
    disabled: true,
  });
  const lengths = el("p", { class: "note" });
  const line = timeline({ onpick: (letter) => begin(letter) });
  const node = el(
    "div",
    { class: "sending" },
    line.node,
    el("div", { class: "row spread" }, el("div", { class: "row" }, start, tools), lengths),
  );
  let [plan, settings, code, running, single] = [null, null, "", null, null];

  function show(text, others) {
    const again = running && text === code ? running.letter() : null;
    const same = settings && others.wpm === settings.wpm && others.farnsworth === settings.farnsworth;
    if (running && text === code && same) {
      settings = others;
      return running.tune(others.tone);
    }
    stop();
    [code, settings] = [text, others];
    const letters = lettersOf(code, symbols);
    plan = schedule(letters, timing(settings.wpm, settings.farnsworth));
    line.show(plan);
    start.disabled = !letters.length;
    const cut = letters.length === MOST_LETTERS ? `, the first ${MOST_LETTERS.toLocaleString("en")} letters` : "";
    lengths.textContent = `${plan.length.toFixed(1)} s, ${Math.round(plan.length / plan.unit).toLocaleString("en")} units of ${Math.round(1000 * plan.unit)} ms${cut}`;
    if (again !== null) begin(again); // another speed: from this letter on
    return undefined;
  }

  function begin(from) {
    stop();
    running = play(plan, { tone: settings.tone, from, onletter: (letter) => line.light(letter), onend: ended });
    button(true);
  }

  function ended() {
    running = null;
    line.light(null);
    button(false);
  }

  function button(playing) {
    start.textContent = playing ? "Stop" : "Play";
    start.setAttribute("aria-pressed", playing);
  }

  function stop() {
    single?.stop();
    single = null;
    if (!running) return;
    running.stop();
    ended();
  }

  // One sign of the alphabet.
  function playSign(sign) {
    stop();
    const only = schedule(lettersOf(sign.code, symbols), timing(settings.wpm));
    single = play(only, { tone: settings.tone });
  }

  start.addEventListener("click", () => (running ? stop() : begin(0)));
  signal.addEventListener("abort", () => (stop(), silence()), { once: true });
  return { node, show, playSign, stop };
}
