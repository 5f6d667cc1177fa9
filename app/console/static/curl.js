// @ts-check
// The same request for a shell: what the page did, to be copied. Quoted for sh, whatever is in it.

import { el } from "./lib/dom.js";

// Characters of a body that a command carries; for a longer one it names a file instead, which the user has to make.
export const MAX_INLINE = 4000;

// The command as text. `body`: a text; `file`: the name of a file that is sent instead. `headers`: values by name; without a
// Content-Type a text goes as text/plain and a file as bytes, as `ask` and `upload` send them.
export function curl(method, path, { headers = {}, body = null, file = null } = {}) {
  const fields = { ...headers };
  const typed = Object.keys(fields).some((name) => name.toLowerCase() === "content-type");
  const long = typeof body === "string" && body.length > MAX_INLINE;
  const name = long ? "input.txt" : file;
  if (!typed && (body !== null || file !== null))
    fields["Content-Type"] = body === null ? "application/octet-stream" : "text/plain; charset=utf-8";
  const parts = ["curl", ...(method === "GET" && body === null && file === null ? [] : ["-X", method])];
  parts.push(quoted(new URL(path, location.href).href));
  for (const [key, value] of Object.entries(fields)) parts.push("-H", quoted(`${key}: ${value}`));
  if (name !== null) parts.push("-g", "-T", quoted(`./${name}`));
  else if (body?.includes("\0")) return `printf ${printed(body)} | ${parts.join(" ")} --data-binary @-`;
  else if (body !== null) parts.push("--data-raw", quoted(body));
  return parts.join(" ");
}

// One word of sh, whatever the text. Words that need no quotes get none.
export function quoted(text) {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// No argument can have a NUL: printf's format, which writes it in octal digits.
const printed = (text) => quoted(text.replace(/[%\\]/g, (sign) => sign + sign).replaceAll("\0", "\\000"));

// A box with a command and a button that copies it: {node, show(text)}.
export function curlBox({ label = "The same with curl" } = {}) {
  const code = el("code", { dir: "ltr" });
  const text = el("pre", { class: "command-text", tabindex: "0", role: "group", "aria-label": label }, code);
  const said = el("span", { class: "visually-hidden", role: "status" });
  const button = el("button", { class: "button small", type: "button", text: "Copy", on: { click: () => copied(code, button, said) } });
  const node = el("div", { class: "command" }, el("span", { class: "command-label", text: label }), button, text, said);
  return {
    node,
    show(command) {
      code.textContent = command;
    },
  };
}

// Without HTTPS (and not on this machine itself) pages have no clipboard: then the text is selected, ready for Ctrl-C.
async function copied(code, button, said) {
  let done = "Copied";
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    done = "Selected";
  }
  button.textContent = said.textContent = done;
  setTimeout(() => {
    button.textContent = "Copy";
    said.textContent = "";
  }, 1500);
}
