// @ts-check
// A picture of the server's as nodes of the page: read as XML, and copied element by element and attribute by attribute from a
// list of what such a picture has. Nothing else gets in, whatever a symbol is called; the style is the page's. The picture's own
// style goes before it is read: the page's Content-Security-Policy would complain of it.

import { svg } from "./lib/dom.js";

const KNOWN = {
  svg: ["viewBox", "role", "aria-label", "class"],
  path: ["d", "stroke-width"],
  text: ["x", "y", "class"],
  circle: ["cx", "cy", "r"],
  rect: ["x", "y", "width", "height", "rx", "fill-opacity"],
  title: [],
};

// {node, width, height, focus}, or null where the text is no such picture.
export function drawing(text) {
  const root = new DOMParser().parseFromString(text.replace(/<style>[^<]*<\/style>/, ""), "image/svg+xml").documentElement;
  const [width, height] = ["width", "height"].map((name) => Number(root.getAttribute(name)));
  if (root.localName !== "svg" || !(width > 0) || !(height > 0)) return null;
  const focus = Number(root.querySelector("circle")?.getAttribute("cy") ?? 0); // the root's comes first
  return { node: copy(root), width, height, focus };
}

function copy(element) {
  const props = {};
  for (const name of KNOWN[element.localName]) if (element.hasAttribute(name)) props[name] = element.getAttribute(name);
  const children = [...element.children].filter((child) => Object.hasOwn(KNOWN, child.localName)).map(copy);
  if (!children.length && element.textContent) props.text = element.textContent;
  return svg(element.localName, props, children);
}
