// @ts-check
// A long transfer: how far it is, and a button that ends it.

import { el } from "./lib/dom.js";
import { size } from "./bytes.js";

const SAID = { sending: "Sending", receiving: "Receiving", working: "The server works" };

// {node, show({phase, loaded, total}), hide()}; `oncancel` is called for the button.
export function progressBar({ label, oncancel }) {
  const bar = el("progress", { "aria-label": label });
  const text = el("span", { class: "transfer-text" });
  const cancel = el("button", { class: "button small", type: "button", text: "Cancel", on: { click: () => oncancel() } });
  const node = el("div", { class: "transfer", hidden: true }, bar, text, cancel);
  return {
    node,
    show({ phase, loaded, total }) {
      // All was sent, and nothing came back yet.
      const working = phase === "sending" && total > 0 && loaded >= total;
      node.hidden = false;
      if (total && !working) Object.assign(bar, { max: total, value: loaded });
      else bar.removeAttribute("value");
      text.textContent = working ? `${SAID.working}\u2026` : `${SAID[phase]} ${size(loaded)}${total ? ` of ${size(total)}` : ""}`;
    },
    hide() {
      node.hidden = true;
    },
  };
}
