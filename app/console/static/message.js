// @ts-check
// A box to write a message in, as the views for WebSockets and channels have it: Ctrl-Enter sends.

import { el } from "./lib/dom.js";

// Characters that decide a box's direction. dir="auto" asks all of them at every line: Chromium takes 15 s to draw a mebibyte.
const LOOKED_AT = 1000;

// The first letter is a Hebrew, Arabic, Syriac, Thaana or N'Ko one.
const RIGHT_TO_LEFT = /^\P{L}*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;

// {node, value (get and set)}; `changed(value)` after each change by the user, `send(event)` for Ctrl-Enter.
export function messageBox({ changed, send }) {
  const node = el("textarea", { rows: "3", class: "mono", "aria-label": "Message", spellcheck: "false" });
  const direct = () => (node.dir = RIGHT_TO_LEFT.test(node.value.slice(0, LOOKED_AT)) ? "rtl" : "ltr");
  node.addEventListener("input", () => {
    direct();
    changed(node.value);
  });
  node.addEventListener("keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && send(event));
  return {
    node,
    get value() {
      return node.value;
    },
    set value(text) {
      node.value = text;
      direct();
    },
  };
}
