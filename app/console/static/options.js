// @ts-check
// The options of a codec or pipeline, as the catalogue describes them. What is left empty is left to the server.

import { clear, el } from "./lib/dom.js";

// The options of one direction, each once. An option goes to every stage that knows it, so its bounds are those of all.
export function optionsOf(codecs, direction) {
  const found = new Map();
  for (const option of codecs.flatMap((codec) => codec.options)) {
    if (![direction, "both"].includes(option.direction)) continue;
    const other = found.get(option.name);
    found.set(option.name, other ? both(other, option) : option);
  }
  return [...found.values()];
}

function both(one, other) {
  const common = { ...one, default: one.default === other.default ? one.default : null };
  if (one.type === "string") return common;
  const [minimum, maximum] = [Math.max(one.minimum, other.minimum), Math.min(one.maximum, other.maximum)];
  return { ...common, minimum, maximum, description: `For each stage that has it: from ${minimum} to ${maximum}.` };
}

// {node, show(options, values)}; `onchange(name, value)` follows the user, `value` null for the default.
export function optionForm({ onchange }) {
  const node = el("div", { class: "options" });
  let shown = "";

  function show(options, values) {
    const described = JSON.stringify(options);
    if (described !== shown) {
      clear(node).append(...options.map((option) => field(option, onchange)));
      node.hidden = !options.length;
      shown = described;
    }
    for (const option of options) {
      const input = /** @type {HTMLInputElement} */ (node.querySelector(`[name="${option.name}"]`));
      const value = values[option.name] ?? "";
      if (input !== document.activeElement || option.type === "string") input.value = value;
    }
  }

  return { node, show };
}

function field(option, onchange) {
  const input = option.choices ? choice(option) : number(option);
  const id = `option-${option.name}`;
  for (const [name, value] of Object.entries({ id, name: option.name, "aria-describedby": `${id}-note` }))
    input.setAttribute(name, value);
  input.addEventListener(option.choices ? "change" : "input", () => onchange(option.name, input.value || null));
  const note = el("span", { class: "note", id: `${id}-note`, text: option.description });
  return el("div", { class: "field" }, el("label", { for: id, text: option.name }), input, note);
}

function choice({ choices, default: usual }) {
  const name = (each) => (each === usual ? `${each} (default)` : each);
  return el(
    "select",
    {},
    choices.map((each) => el("option", { value: each === usual ? "" : each, text: name(each) })),
  );
}

function number({ type, minimum, maximum, default: usual }) {
  const step = type === "integer" ? "1" : "any";
  return el("input", { type: "number", min: minimum, max: maximum, step, placeholder: usual ?? "default", inputmode: "decimal" });
}
