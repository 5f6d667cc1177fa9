// @ts-check
// Nodes without markup: what users type reaches a page as text, never as HTML. Shared by the console and the proxy's page.
//
//     el("button", { class: "button", type: "button", text: "Send", on: { click: send } })
//     el("p", {}, "Sizes: ", el("b", { text: size }))

const SVG = "http://www.w3.org/2000/svg";

/**
 * `props`: attributes by their names; `class`; `text` (textContent); `on`: listeners by event. An attribute that is true has no
 * value, one that is false, null or undefined is left out. `style` has no effect, since the policy forbids it: set
 * node.style.… instead. `children`: nodes, texts, or lists of them; null is left out.
 * @typedef {Record<string, any>} Props
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {...any} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/**
 * The same for pictures.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {...any} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

/**
 * The element of the page with this id.
 * @param {string} id
 * @returns {any}
 */
export const byId = (id) => document.getElementById(id);

/**
 * @template {Element} Node
 * @param {Node} node
 * @returns {Node}
 */
export function clear(node) {
  node.replaceChildren();
  return node;
}

/**
 * @template {Element} Node
 * @param {Node} node
 * @param {Props} props
 * @param {any[]} children
 * @returns {Node}
 */
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
