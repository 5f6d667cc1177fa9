// @ts-check
// The keying of a text as a picture in proportion to time, letters above their signals. A text of an hour is some hundred thousand
// pixels wide: only what can be seen is drawn.

import { clear, el, svg } from "./lib/dom.js";
import { firstAfter } from "./signals.js";
import { bounded, visibleLine } from "./visible.js";

// Pixels: of a unit, and of the rows.
const UNIT = 9,
  MARGIN = 16,
  HEIGHT = 92,
  LETTER = 24,
  KEYED = 36,
  THICK = 16,
  RULER = 76;

// Pixels that are drawn beyond both edges of the window, so that scrolling finds something there.
const BEYOND = 600;

// Seconds between the ruler's marks, the first that leaves at least so many pixels.
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60],
  APART = 70;

// Characters of what is read aloud.
const MOST_SAID = 200;

// {node, show(plan), light(letter)}; `onpick(letter)` is called for a click on a letter, or Enter: the first one in sight.
export function timeline({ onpick }) {
  const picture = svg("svg", { class: "keying", height: HEIGHT, role: "img", "aria-label": "Nothing is keyed yet" });
  const track = el("div", { class: "track-width" }, picture);
  const node = el(
    "div",
    { class: "timeline", role: "region", "aria-label": "Timeline; Enter plays from here", tabindex: "0" },
    track,
  );
  let [plan, lit, from, to] = [null, null, 0, -1];

  const scale = () => UNIT / plan.unit;
  const x = (time) => MARGIN + time * scale();

  function show(other) {
    plan = other;
    lit = null;
    const width = Math.ceil(x(plan.length) + MARGIN);
    track.style.width = `${width}px`;
    const said = plan.letters
      .slice(0, MOST_SAID)
      .map(({ symbol, first }) => (first ? ` ${symbol}` : symbol))
      .join("");
    picture.setAttribute("aria-label", `Keying of ${bounded(said, MOST_SAID) || "nothing"}, ${plan.length.toFixed(1)} seconds`);
    draw(true);
  }

  function draw(anew = false) {
    const [left, right] = [node.scrollLeft, node.scrollLeft + node.clientWidth];
    if (!plan || (!anew && left >= from && right <= to)) return;
    [from, to] = [Math.max(0, left - BEYOND), right + BEYOND];
    picture.style.left = `${from}px`;
    picture.setAttribute("width", String(Math.max(1, Math.min(to, track.offsetWidth) - from)));
    picture.setAttribute("viewBox", `${from} 0 ${picture.getAttribute("width")} ${HEIGHT}`);
    clear(picture).append(...ruler(), ...letters());
  }

  const time = (pixels) => Math.max(0, (pixels - MARGIN) / scale());

  function* letters() {
    const end = time(to);
    for (let index = firstAfter(plan.letters, time(from)); index < plan.letters.length && plan.letters[index].at < end; index++) {
      yield letter(index);
    }
  }

  function letter(index) {
    const { symbol, code, at, end } = plan.letters[index];
    const signals = [];
    for (let place = firstAfter(plan.signals, at); place < plan.signals.length && plan.signals[place].letter === index; place++) {
      const signal = plan.signals[place];
      signals.push(svg("rect", { x: x(signal.at), y: KEYED, width: (signal.end - signal.at) * scale(), height: THICK, rx: 3 }));
    }
    const wide = Math.max(x(end) - x(at), 14);
    const area = svg("rect", {
      class: "lamp",
      x: (x(at) + x(end) - wide) / 2 - 5,
      y: 6,
      width: wide + 10,
      height: KEYED + THICK,
      rx: 6,
    });
    const name = svg("text", { x: (x(at) + x(end)) / 2, y: LETTER, text: visibleLine(symbol) });
    return svg(
      "g",
      { class: index === lit ? "letter lit" : "letter", "data-letter": index, "data-code": code },
      area,
      name,
      signals,
    );
  }

  function* ruler() {
    if (!plan.letters.length) return;
    const step = STEPS.find((each) => each * scale() >= APART) ?? STEPS.at(-1);
    const last = Math.min(plan.length, time(to));
    for (let mark = Math.floor(time(from) / step); mark * step <= last; mark++) {
      const at = x(mark * step);
      yield svg("line", { x1: at, x2: at, y1: RULER - 12, y2: RULER - 6 });
      yield svg("text", { class: "second", x: at, y: RULER + 8, text: `${Number((mark * step).toFixed(1))} s` });
    }
  }

  function light(index) {
    lit = index;
    picture.querySelector(".lit")?.classList.remove("lit");
    if (index === null) return;
    const { at, end } = plan.letters[index];
    if (x(at) < node.scrollLeft + MARGIN || x(end) > node.scrollLeft + node.clientWidth - 3 * MARGIN) {
      node.scrollTo({ left: x(at) - 3 * MARGIN, behavior: "instant" });
      draw();
    }
    picture.querySelector(`[data-letter="${index}"]`)?.classList.add("lit");
  }

  node.addEventListener("scroll", () => draw(), { passive: true });
  new ResizeObserver(() => draw()).observe(node);
  picture.addEventListener("click", (event) => {
    const picked = /** @type {Element} */ (event.target).closest("[data-letter]");
    if (picked) onpick(Number(picked.getAttribute("data-letter")));
  });
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !plan?.letters.length) return;
    onpick(Math.min(firstAfter(plan.letters, time(node.scrollLeft)), plan.letters.length - 1));
  });

  return { node, show, light };
}
