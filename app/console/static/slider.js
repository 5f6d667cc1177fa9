// @ts-check
// A number by a slider and by a field, which reaches further.

import { el } from "./lib/dom.js";

// {node, show(value, wpm)}. `low` and `high` are the field's bounds, `from`, `to` and `step` the slider's. `onchange` gets null for the
// usual value.
/**
 * @param {{name: string, label: string, unit: string, usual: number | null, low: number, high: number, slider: number[]}} control
 * @param {(value: string | null) => void} onchange
 */
export function slider({ name, label, unit, usual, low, high, slider: [from, to, step] }, onchange) {
  const id = `morse-${name}`;
  const range = el("input", { type: "range", min: from, max: to, step, "aria-label": `${label}, ${unit}` });
  const field = el("input", {
    type: "number",
    id,
    min: low,
    max: high,
    step: "any",
    placeholder: usual ?? "off",
    inputmode: "decimal",
  });
  // Without a usual value the right end of the slider, which is the speed of the letters, is the same as nothing.
  const changed = (value) => onchange(value === "" || Number(value) === (usual ?? Number(range.max)) ? null : value);
  range.addEventListener("input", () => changed(range.value));
  field.addEventListener("change", () => changed(field.value));
  return {
    node: el(
      "div",
      { class: "slider" },
      el("label", { for: id, text: label }),
      range,
      field,
      el("span", { class: "note", text: unit }),
    ),
    show(value, wpm) {
      if (usual === null) range.max = String(Math.max(wpm, from + 1));
      range.value = value ?? range.max;
      if (document.activeElement !== field || value !== null) field.value = value ?? "";
    },
  };
}
