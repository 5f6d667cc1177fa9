// @ts-check
// A large picture in a small window: zoomed by buttons, keys and the wheel, moved by scrolling or by dragging it.

import { clear, el } from "./lib/dom.js";

const SMALLEST = 0.05,
  LARGEST = 8,
  STEP = 1.25;

// {node, tools, show({node, width, height, focus}), zoom(factor)}; `onzoom(factor)` follows the user. Sizes are CSS pixels at factor 1,
// and `focus` is the height that is in sight first.
export function zoomable({ label, factor = 1, onzoom }) {
  const frame = el("div", { class: "zoom-frame", role: "region", "aria-label": label, tabindex: "0" });
  const value = el("output", { class: "zoom-value", "aria-live": "polite" });
  const tool = (text, name, click) =>
    el("button", { class: "button small", type: "button", text, "aria-label": name, title: name, on: { click } });
  const tools = el(
    "span",
    { class: "row tight" },
    tool("\u2212", "Zoom out", () => change(scale / STEP)),
    value,
    tool("+", "Zoom in", () => change(scale * STEP)),
    tool("Fit", "Fit into the window", () => change(fitting())),
    tool("1:1", "Original size", () => change(1)),
  );
  let [picture, scale] = [null, clamped(factor)];

  function fitting() {
    if (!picture) return 1;
    return Math.min(1, frame.clientWidth / picture.width, frame.clientHeight / picture.height);
  }

  function render() {
    value.textContent = `${Math.round(100 * scale)} %`;
    picture?.node.setAttribute("width", picture.width * scale);
    picture?.node.setAttribute("height", picture.height * scale);
  }

  // What is at (x, y) of the window, in pixels, stays there.
  function change(wanted, x = frame.clientWidth / 2, y = frame.clientHeight / 2) {
    const next = clamped(wanted);
    const left = ((frame.scrollLeft + x) * next) / scale - x,
      top = ((frame.scrollTop + y) * next) / scale - y;
    scale = next;
    render();
    frame.scrollTo({ left, top, behavior: "instant" });
    onzoom(Number(scale.toFixed(3)));
  }

  frame.addEventListener("keydown", (event) => {
    const wanted = { "+": scale * STEP, "=": scale * STEP, "-": scale / STEP, 0: 1 }[event.key];
    if (wanted === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    change(wanted);
  });
  const wheel = (event) => {
    if (!event.ctrlKey) return; // without it the wheel scrolls, as everywhere
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    change(scale * 2 ** (-event.deltaY / 250), event.clientX - box.left, event.clientY - box.top);
  };
  frame.addEventListener("wheel", wheel, { passive: false });
  draggable(frame);
  render();

  return {
    node: frame,
    tools,
    show(other) {
      const another = other.height !== picture?.height;
      picture = other;
      clear(frame).append(picture.node);
      render();
      if (another) frame.scrollTo({ left: 0, top: picture.focus * scale - frame.clientHeight / 2, behavior: "instant" });
    },
    zoom(wanted) {
      scale = clamped(wanted);
      render();
    },
  };
}

function clamped(factor) {
  return Number.isFinite(factor) ? Math.min(LARGEST, Math.max(SMALLEST, factor)) : 1;
}

// Fingers scroll by themselves; a mouse or a pen drags.
function draggable(frame) {
  let from = null;
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    from = { x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop };
    frame.setPointerCapture(event.pointerId);
    frame.classList.add("dragged");
  });
  frame.addEventListener("pointermove", (event) => {
    if (from) frame.scrollTo({ left: from.x - event.clientX, top: from.y - event.clientY, behavior: "instant" });
  });
  const end = () => {
    from = null;
    frame.classList.remove("dragged");
  };
  frame.addEventListener("pointerup", end);
  frame.addEventListener("pointercancel", end);
}
