// @ts-check
// The output of a codec: as text or as a hex dump, bounded; its size; to copy, to save, to use as the next input.

import { el } from "./lib/dom.js";
import { hexDump, share, size } from "./bytes.js";
import { problemBox } from "./problem.js";
import { save } from "./save.js";
import { asText } from "./source.js";
import { bounded, visible } from "./visible.js";

// Bytes of an output that are shown. A page of text is some 3,000 characters; for more there is the file.
const MOST_TEXT = 8192,
  MOST_DUMP = 1024;

// Bytes that are copied at most.
const MOST_COPIED = 1 << 20;

// {node, show(answer, facts), refuse(problem, input, …tools), clear(why), as(form), busy(is)}. `facts`: {size} of the input, {name}
// of the output, {ms} it took, {as} "text" or "hex" or null for what suits. `onuse(blob, name)` is called to make the output the
// next input, `onform(form)` when text or hex is chosen.
export function output({ onuse, onform }) {
  const text = el("pre", { class: "result", tabindex: "0", role: "region", "aria-label": "What came out", dir: "auto" });
  const sizes = el("p", { class: "sizes", role: "status" });
  const problems = problemBox();
  const extra = el("div", { class: "row" });
  const stage = el("div", { class: "result-area" }, text, problems.node, extra);
  const hexed = button("Hex", () => onform(shownAs() === "hex" ? "text" : "hex"));
  const copy = button("Copy", copied);
  const keep = button("Save", () => save(current.blob, current.name));
  const use = button("Use as input", () => (awaited ? (wanted = true) : onuse(current.blob, current.name)));
  const tools = el("span", { class: "row" }, hexed, copy, keep, use);
  const head = el("div", { class: "row spread" }, el("h2", { text: "Output" }), tools);
  const node = el("div", { class: "card pane output" }, head, stage, sizes);
  let [current, form, said] = [null, null, ""];
  let [awaited, wanted] = [false, false]; // an answer is on its way; it is to be the next input
  able();

  function able() {
    for (const each of [hexed, copy, keep, use]) each.disabled = !current;
    copy.disabled ||= current.text === null;
  }

  const shownAs = () => form ?? (current?.text === null ? "hex" : "text");

  function render() {
    const kind = current ? shownAs() : "text";
    text.classList.toggle("dump", kind === "hex");
    hexed.setAttribute("aria-pressed", String(kind === "hex"));
    text.textContent = !current
      ? ""
      : kind === "hex"
        ? hexDump(current.start, MOST_DUMP)
        : visible(current.text ?? lossy(current.start));
    const shown = kind === "hex" ? MOST_DUMP : MOST_TEXT;
    const part = current && current.blob.size > shown ? `; the first ${size(shown)} are shown` : "";
    sizes.textContent = `${said}${part}`;
  }

  function unrefuse() {
    text.hidden = false;
    problems.hide();
    extra.replaceChildren();
  }

  async function copied() {
    const blob = current.blob.slice(0, MOST_COPIED);
    const done = await navigator.clipboard?.writeText(await blob.text()).then(
      () => true,
      () => false,
    );
    if (!done) getSelection().selectAllChildren(text);
    copy.textContent = done ? "Copied" : "Selected";
    setTimeout(() => (copy.textContent = "Copy"), 1500);
  }

  return {
    node,
    async show(answer, { size: before, name, ms, as }) {
      const start = new Uint8Array(await answer.blob.slice(0, MOST_TEXT).arrayBuffer());
      form = as;
      current = {
        blob: answer.blob,
        start,
        name,
        text: asText(whole(start, answer.blob.size), answer.blob.type.startsWith("text/")),
      };
      const time = ms < 10 ? ms.toFixed(1) : Math.round(ms);
      said = `${size(before)} \u2192 ${size(answer.blob.size)}, ${share(answer.blob.size, before)} of the input, in ${time} ms`;
      unrefuse();
      able();
      render();
      awaited = false;
      if (wanted) onuse(answer.blob, name);
      wanted = false;
    },
    clear(why = "") {
      current = null;
      wanted = false;
      said = why;
      unrefuse();
      able();
      render();
    },
    // Instead of an output: what is wrong with the input, and below it what can be done.
    refuse(problem, input, ...tools) {
      this.clear();
      text.hidden = true;
      problems.show(problem, input);
      extra.replaceChildren(...tools);
    },
    as(kind) {
      form = kind;
      render();
    },
    busy(is) {
      awaited = is;
      node.setAttribute("aria-busy", is);
    },
  };
}

function button(text, click) {
  return el("button", { class: "button small", type: "button", text, on: { click } });
}

const lossy = (bytes) => bounded(new TextDecoder().decode(bytes), MOST_TEXT);

// The start of something longer without a character that the cut went through.
function whole(start, length) {
  if (start.length === length) return start;
  let end = start.length;
  while (end > start.length - 4 && (start[end - 1] & 0xc0) === 0x80) end--;
  return start.subarray(0, end - 1);
}

// The name of an output's file: `song.txt` becomes `song.txt.huffman`, and again `song.txt`.
export function outputName(name, stages, direction, medium) {
  const suffix = `.${stages.join(".")}`;
  if (direction === "encode") return `${name}${suffix}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : `decoded.${medium === "text" ? "txt" : "bin"}`;
}
