// @ts-check
// Shows a Problem: what is wrong, and where in the input it is.
//
//     const box = problemBox();
//     container.append(box.node);
//     box.show(problem, input);      // `input`: the text or the bytes that were sent, for the context of `position`
//     box.hide();

import { clear, el } from "./lib/dom.js";
import { visible as harmless } from "./visible.js";

// Characters (or bytes) shown before and after the place of an error.
const CONTEXT = 24;

// Characters of the server's detail, which may quote the input.
const MAX_DETAIL = 1000;

// Signs for what cannot be seen.
const VISIBLE = { "\n": "↵", "\r": "␍", "\t": "␉", "\0": "␀", " ": "␠" };

export function problemBox() {
  const node = el("div", { class: "problem", role: "alert" });
  return {
    node,
    show(problem, input = null) {
      clear(node).append(...described(problem, input).filter(Boolean));
      node.classList.add("shown");
    },
    hide() {
      node.classList.remove("shown");
      clear(node);
    },
  };
}

function described(problem, input) {
  const { title, detail, status, requestId, position, known } = problem;
  const others = Array.isArray(known) && !detail?.includes(known.join(", ")) ? known : null;
  const head = title ?? problem.name ?? "Error";
  return [
    el("p", { class: "problem-title" }, el("strong", { text: head }), status ? el("span", { class: "badge bad", text: status }) : ""),
    detail && detail !== head ? el("p", { class: "problem-detail" }, el("bdi", { text: harmless(cut(detail, MAX_DETAIL)) })) : null,
    !title && problem.message ? el("p", { text: cut(problem.message, MAX_DETAIL) }) : null,
    Number.isInteger(position) ? place(position, input) : null,
    others ? el("p", { class: "note" }, "Known: ", el("bdi", { text: cut(others.join(", "), MAX_DETAIL) })) : null,
    requestId ? el("p", { class: "note" }, "Request id ", el("code", { text: requestId })) : null,
  ];
}

// Positions count bytes of bytes and characters (code points) of texts, from 0; one behind the end means that something is missing.
function place(position, input) {
  const parts = input === null ? null : typeof input === "string" ? ofText(position, input) : ofBytes(position, input);
  const where = el("p", { class: "note" }, `Position ${position}`, parts?.line ? `, ${parts.line}` : "");
  if (!parts) return where;
  const marked = el("mark", { text: parts.at || "end" });
  const context = el("p", { class: "problem-place", dir: "ltr" }, el("bdi", { text: parts.before }), marked, el("bdi", { text: parts.after }));
  return el("div", {}, where, context);
}

function ofText(position, text) {
  let index = 0;
  for (let point = 0; point < position && index < text.length; point++) index += text.codePointAt(index) > 0xffff ? 2 : 1;
  const line = text.slice(0, index).split("\n").length;
  const at = index < text.length ? String.fromCodePoint(text.codePointAt(index)) : "";
  const before = `${index > CONTEXT ? "…" : ""}${text.slice(Math.max(0, index - CONTEXT), index)}`;
  const rest = text.slice(index + at.length, index + at.length + CONTEXT);
  const after = rest + (index + at.length + CONTEXT < text.length ? "…" : "");
  return { line: line > 1 ? `line ${line}` : "", before: visible(before), at: VISIBLE[at] ?? visible(at), after: visible(after) };
}

function ofBytes(position, bytes) {
  const hex = (from, to) => Array.from(bytes.slice(Math.max(0, from), to), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const half = CONTEXT / 2;
  return { before: `${hex(position - half, position)} `, at: hex(position, position + 1), after: ` ${hex(position + 1, position + half)}` };
}

const visible = (text) => harmless(text.replace(/[\n\r\t\0]/g, (sign) => VISIBLE[sign]));

export const cut = (text, length) => (text.length > length ? `${text.slice(0, length)}…` : text);
