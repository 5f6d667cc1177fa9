// @ts-check
// A file by a button, or dropped anywhere on `target`.

import { el } from "./lib/dom.js";

// A button that chooses a file. `target` gets the class `dropping` while something is held above it.
export function fileButton({ text, target, accept = null, onfile, signal }) {
  const input = el("input", { type: "file", hidden: true, accept });
  input.addEventListener("change", () => {
    if (input.files.length) onfile(input.files[0]);
    input.value = ""; // the same file again is a change, too
  });
  const holds = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // children of the target are entered and left as well
  const listen = (type, listener) => target.addEventListener(type, listener, { signal });
  const leave = () => target.classList.toggle("dropping", (depth = Math.max(0, depth - 1)) > 0);
  listen("dragenter", (event) => holds(event) && (depth++, target.classList.add("dropping")));
  listen("dragleave", (event) => holds(event) && leave());
  listen("dragover", (event) => holds(event) && event.preventDefault());
  listen("drop", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    depth = 0;
    target.classList.remove("dropping");
    if (event.dataTransfer.files.length) onfile(event.dataTransfer.files[0]);
  });
  return el(
    "span",
    { class: "choose" },
    el("button", { class: "button small", type: "button", text, on: { click: () => input.click() } }),
    input,
  );
}
