// @ts-check
// What goes into a codec: a text that is typed, bytes as hexadecimal digits, or a file.

import { el } from "./lib/dom.js";
import { fileButton } from "./files.js";
import { fromHex, hex, size } from "./bytes.js";
import { bounded, visibleLine } from "./visible.js";

// Characters that are edited in the page; longer texts, pasted or by a link, become a file: no text field is quick with a line
// of a mebibyte.
const MOST_EDITED = 100_000;

// Bytes that are shown as hexadecimal digits to be edited.
const MOST_HEX = 1024;

const BAD_HEX = "Two hexadecimal digits for each byte, such as 48 65 6c 6c 6f; white space does not matter.";

const encoder = new TextEncoder();

// {node, input, show({form, text}), give(blob, name)}. `input()` is {body, size, name, shown}: what to send, or null where the
// digits are none; `shown` is what an error's position may be shown in. `onchange({form, text})` follows each change by the user;
// `text` is null for files.
export function source({ onchange, signal }) {
  let [form, file] = ["text", null];
  const area = el("textarea", {
    id: "source",
    rows: "6",
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    "aria-describedby": "source-note",
  });
  const note = el("p", { class: "note", id: "source-note", role: "status" });
  const hexed = el("button", {
    class: "button small",
    type: "button",
    text: "Hex",
    "aria-pressed": "false",
    title: "Edit the bytes as hexadecimal digits",
  });
  const name = el("bdi", { class: "chosen-name" });
  const card = el("div", { class: "file-card", hidden: true, role: "group", "aria-label": "Chosen file" });
  const tools = el("span", { class: "row" });
  const head = el("div", { class: "row spread" }, el("label", { for: "source", text: "Input" }), tools);
  const node = el("div", { class: "card pane" }, head, area, card, note);
  const choose = fileButton({ text: "Choose a file\u2026", target: node, signal, onfile: (chosen) => take(chosen, chosen.name) });
  tools.append(hexed, choose);
  const remove = el("button", { class: "button small", type: "button", text: "Remove", on: { click: dropFile } });
  card.append(name, remove);

  function render() {
    const bytes = file ? null : input();
    area.hidden = Boolean(file);
    card.hidden = !file;
    hexed.hidden = Boolean(file);
    hexed.setAttribute("aria-pressed", String(form === "hex"));
    area.classList.toggle("digits", form === "hex");
    area.setAttribute("aria-invalid", String(!file && bytes === null));
    const text = file ? size(file.blob.size) : bytes === null ? BAD_HEX : size(bytes.size);
    note.textContent = file || bytes === null ? text : `${text}. A file can be dropped here, too.`;
  }

  function changed() {
    render();
    onchange({ form, text: file ? null : area.value });
  }

  function take(blob, called) {
    file = { blob, name: called };
    name.textContent = bounded(visibleLine(called), 80);
    changed();
  }

  function dropFile() {
    file = null;
    changed();
    area.focus();
  }

  function input() {
    if (file) return { body: file.blob, size: file.blob.size, name: file.name, shown: null };
    if (form === "text")
      return { body: area.value, size: encoder.encode(area.value).length, name: "input.txt", shown: area.value };
    const bytes = fromHex(area.value);
    return bytes && { body: bytes, size: bytes.length, name: "input.bin", shown: bytes };
  }

  area.addEventListener("input", changed);
  area.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (text.length + area.value.length <= MOST_EDITED) return;
    event.preventDefault();
    take(new Blob([text], { type: "text/plain" }), "pasted text");
  });
  hexed.addEventListener("click", () => {
    const current = input();
    if (form === "text" && current.size <= MOST_HEX) [form, area.value] = ["hex", spaced(encoder.encode(area.value))];
    else if (form === "hex" && current) [form, area.value] = ["text", new TextDecoder().decode(current.body)];
    else if (form === "text") return void (note.textContent = `At most ${size(MOST_HEX)} are edited as digits.`);
    else return;
    changed();
  });

  return {
    node,
    input,
    // Without telling `onchange`.
    show(state) {
      file = null;
      form = state.form === "hex" ? "hex" : "text";
      if (state.text.length > MOST_EDITED) return take(new Blob([state.text], { type: "text/plain" }), "text of the link");
      if (area.value !== state.text) area.value = state.text;
      return render();
    },
    // The output of a conversion as the next input: text where it is one, digits where it is short.
    async give(blob, called) {
      const bytes = new Uint8Array(await blob.slice(0, MOST_EDITED + 1).arrayBuffer());
      const text = bytes.length <= MOST_EDITED ? asText(bytes) : null;
      if (text === null && bytes.length > MOST_HEX) return take(blob, called);
      file = null;
      [form, area.value] = text === null ? ["hex", spaced(bytes)] : ["text", text];
      return changed();
    },
    // Put the cursor where an error is.
    point(start) {
      if (file) return;
      area.focus();
      area.setSelectionRange(start, Math.min(start + 1, area.value.length));
    },
  };
}

const spaced = (bytes) => hex(bytes).replace(/(..)(?=.)/g, "$1 ");

// The text that these bytes are, or null where they are none or have control characters, which texts rarely have and text fields
// change or hide.
export function asText(bytes, controls = false) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return !controls && /[\0-\x08\x0B-\x1F\x7F]/.test(text) ? null : text;
  } catch {
    return null;
  }
}
