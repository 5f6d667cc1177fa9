// @ts-check
// A recording of Morse, chosen or dropped, to text: the server finds its tone and its speed.

import { conversion } from "./conversion.js";
import { curl } from "./curl.js";
import { size } from "./bytes.js";
import { el } from "./lib/dom.js";
import { fileButton } from "./files.js";
import { problemBox } from "./problem.js";
import { bounded, visible, visibleLine } from "./visible.js";

const PATH = "/codecs/morse/decode?from=wav";

// Characters of a text that are shown.
const MOST_SHOWN = 4000;

// {node}; `onuse(text)` takes what was heard, `oncommand(text)` the curl command.
export function listening({ signal, onuse, oncommand }) {
  const heard = el("p", { class: "heard", role: "status", text: "Drop a WAV file here, or choose one." });
  const use = el("button", { class: "button small", type: "button", text: "Use as text", disabled: true });
  const problems = problemBox();
  const node = el("section", { class: "card", "aria-labelledby": "listening" });
  const running = conversion({
    signal,
    label: "Decoding the recording",
    onanswer: answered,
    onproblem: (problem) => failed(problem),
    oncancel: () => said("Cancelled."),
  });
  const choose = fileButton({ text: "Choose a WAV file\u2026", accept: ".wav,audio/wav", target: node, onfile: take, signal });
  let text = "";
  node.append(
    el(
      "div",
      { class: "row spread" },
      el("h2", { id: "listening", text: "Listen to a recording" }),
      el("span", { class: "row" }, use, choose),
    ),
    heard,
    running.node,
    problems.node,
  );
  use.addEventListener("click", () => onuse(text));

  function said(words) {
    heard.textContent = words;
    heard.classList.remove("found");
    use.disabled = true;
  }

  function take(file) {
    problems.hide();
    said(`Listening to ${bounded(visibleLine(file.name), 80)}, ${size(file.size)}\u2026`);
    oncommand(curl("POST", PATH, { file: "morse.wav", headers: { "Content-Type": "audio/wav" } }));
    running.send(PATH, { body: file, size: file.size, type: "audio/wav" }, { at: "once" });
  }

  async function answered(answer) {
    text = await answer.text();
    said(visible(bounded(text, MOST_SHOWN)) || "Nothing was keyed there.");
    heard.classList.toggle("found", text !== "");
    use.disabled = text === "";
  }

  function failed(problem) {
    said("Nothing was understood.");
    problems.show(problem);
  }

  return { node };
}
