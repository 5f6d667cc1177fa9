// Nodes without markup: whatever users type reaches the page as text, never as HTML.
//
//     el("button", { class: "button", type: "button", text: "Send", on: { click: send } })
//     el("p", {}, "Sizes: ", el("b", { text: size }))

const SVG = "http://www.w3.org/2000/svg";

// `props`: attributes by their names; `class`; `text` (textContent); `on`: listeners by event. An attribute that is true stands
// without a value, one that is false, null or undefined is left out; `style` has no effect, for the policy forbids it: set
// node.style.… instead. `children`: nodes, texts, or lists of them; null is left out.
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

// The same for pictures.
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

export function clear(node) {
  node.replaceChildren();
  return node;
}

function filled(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}
