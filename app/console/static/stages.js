// @ts-check
// A codec, or several as a pipeline: a list of choices, one for each stage.

import { clear, el } from "./lib/dom.js";

// The server takes no more.
const MOST_STAGES = 8;

// Names of a pipeline as the URL has it; those that the catalogue lacks are kept, so that the server's problem lists the known ones.
export const stagesOf = (name) => name.split("+").slice(0, MOST_STAGES);

// {node, show(names)}; `onchange(names)` follows the user. `codecs` is the catalogue of GET /codecs.
export function stagePicker({ codecs, onchange }) {
  const list = el("ol", { class: "stages" });
  const add = el("button", { class: "button small", type: "button", text: "Add a stage" });
  const node = el("div", { class: "pipeline", role: "group", "aria-label": "Pipeline" }, list, add);
  let names = [];

  add.addEventListener("click", () => {
    change([...names, "base64"]);
    list.lastElementChild.querySelector("select").focus();
  });

  function change(others) {
    show(others);
    onchange(names);
  }

  function show(others) {
    if (others.join("+") === names.join("+") && list.children.length) return;
    names = others;
    clear(list).append(...names.map(stage));
    add.disabled = names.length >= MOST_STAGES;
  }

  function stage(name, index) {
    const label = names.length > 1 ? `Stage ${index + 1}` : "Codec";
    const select = el("select", { "aria-label": label }, options(name));
    select.value = name;
    select.addEventListener("change", () => {
      change(names.map((each, place) => (place === index ? select.value : each)));
      list.children[index].querySelector("select").focus();
    });
    const remove = el("button", {
      class: "button small quiet",
      type: "button",
      text: "\u00D7",
      "aria-label": `Remove stage ${index + 1}`,
      title: "Remove",
    });
    remove.addEventListener("click", () => {
      change(names.filter((_, place) => place !== index));
      list.children[Math.min(index, names.length - 1)].querySelector("select").focus();
    });
    return el("li", {}, select, names.length > 1 ? remove : null);
  }

  function options(name) {
    const kinds = Map.groupBy(codecs, (codec) => codec.kind);
    const groups = [...kinds].map(([kind, members]) =>
      el(
        "optgroup",
        { label: kind },
        members.map((codec) => el("option", { value: codec.name, text: codec.title })),
      ),
    );
    return codecs.some((codec) => codec.name === name) ? groups : [el("option", { value: name, text: name }), groups];
  }

  return { node, show };
}
