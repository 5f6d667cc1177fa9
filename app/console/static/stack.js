// @ts-check
// This stack: which instance answered, through which layers, and how requests spread over the instances. Only facts from answers
// are shown.

import { answers, ask, recent } from "./api.js";
import { curl, curlBox } from "./curl.js";
import { clear, el } from "./lib/dom.js";
import { problemBox } from "./problem.js";
import { clock } from "./lib/clock.js";
import { bytes, milliseconds } from "./rows.js";
import { spread } from "./spread.js";

export const title = "This stack";

export function mount(container, { signal }) {
  const way = wayCard(signal);
  const last = lastCard(signal);
  container.append(el("div", { class: "view stack" }, way.node, el("div", { class: "columns even" }, spread(signal), healthCard(signal)), last));
  return way.follow(); // the view is there when its first answer is
}

// The path of one request, there and back.

function wayCard(signal) {
  const list = el("ol", { class: "layers" });
  const facts = el("dl", { class: "figures" }, figures({ "Answered by": null, "Round trip": null, "Request id": null, Scheme: null }));
  const problem = problemBox();
  const command = curlBox();
  command.show(curl("GET", "/echo/request"));
  async function follow() {
    try {
      const answer = await ask("GET", "/echo/request", { signal });
      const told = await answer.json();
      problem.hide();
      clear(list).append(...layers(answer, told));
      clear(facts).append(...figures({ "Answered by": told.instance, "Round trip": milliseconds(answer.ms), "Request id": answer.requestId, Scheme: told.scheme }));
    } catch (error) {
      if (error.name !== "AbortError") problem.show(error);
    }
  }
  const again = el("button", { class: "button", type: "button", text: "Send another", on: { click: follow } });
  const head = el("div", { class: "row spread" }, el("h2", { text: "The path of a request" }), again);
  const node = el("div", { class: "card way" }, head, problem.node, list, facts, command.node);
  return { node, follow };
}

const figures = (rows) =>
  Object.entries(rows).map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { class: name === "Request id" ? "mono" : "" }, el("bdi", { text: value ?? "–" }))));

// nginx names itself in the answer's Server, the proxy in the request's Via; each hop that forwards adds to X-Forwarded-For.
function layers(answer, told) {
  const sent = (name) => told.headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value).join(", ");
  const server = answer.headers.get("Server") ?? "";
  const via = sent("via"), forwarded = sent("x-forwarded-for");
  const shown = [layer("Browser", `this page, at ${location.host}`, [["remote address", told.remote_addr]])];
  if (/nginx/i.test(server)) shown.push(layer("nginx", "serves static files, passes the rest on", [["Server", server], ["X-Request-Id", sent("x-request-id")]]));
  if (via) shown.push(layer("Proxy", "picks an instance", [["Via", via], ["X-Forwarded-For", forwarded]]));
  shown.push(layer(`Instance ${told.instance}`, "answers", [["Host", told.host], ["X-Instance", answer.instance]]));
  return shown;
}

function layer(name, does, facts) {
  const rows = facts.filter(([, value]) => value).map(([key, value]) => el("div", {}, el("dt", { text: key }), el("dd", {}, el("bdi", { text: value }))));
  return el("li", { class: "layer" }, el("h3", { text: name }), el("p", { class: "note", text: does }), el("dl", { class: "told" }, rows));
}

function healthCard(signal) {
  const facts = el("dl", { class: "figures" });
  const problem = problemBox();
  const command = curlBox();
  command.show(curl("GET", "/healthz"));
  async function look() {
    try {
      const { status, instance, version, kernel } = await (await ask("GET", "/healthz", { signal })).json();
      problem.hide();
      clear(facts).append(...figures({ Status: status, Instance: instance, Version: version, "Codecs’ kernel": kernel }));
    } catch (error) {
      if (error.name !== "AbortError") problem.show(error);
    }
  }
  const blank = figures({ Status: null, Instance: null, Version: null, "Codecs’ kernel": null });
  facts.append(...blank);
  look();
  const button = el("button", { class: "button", type: "button", text: "Ask an instance", on: { click: look } });
  const links = el("p", { class: "row" }, [["/docs", "Documentation"], ["/openapi.json", "OpenAPI"], ["/healthz", "Health"]].map(([href, text]) => el("a", { href, text })));
  return el("div", { class: "card" }, el("div", { class: "row spread" }, el("h2", { text: "Health" }), button), facts, problem.node, command.node, links);
}

// The last answers that this page got.

function lastCard(signal) {
  const rows = el("tbody");
  const names = ["When", "Request", "Status", "Instance", "Time", "Size", "Request id"];
  const head = names.map((text) => el("th", { scope: "col", class: ["Time", "Size"].includes(text) ? "number" : "", text }));
  const draw = () => clear(rows).append(...recent.toReversed().map(row));
  let frame = 0;
  answers.addEventListener("answer", () => (frame ||= requestAnimationFrame(() => ((frame = 0), draw()))), { signal });
  draw();
  const table = el("table", { class: "table nowrap" }, el("thead", {}, el("tr", {}, head)), rows);
  return el("div", { class: "card" }, el("h2", { text: "The last answers" }),
    el("div", { class: "scroller answers", tabindex: "0", role: "region", "aria-label": "The last answers" }, table));
}

function row({ at, method, path, status, instance, ms, bytes: size, requestId }) {
  const kind = status >= 200 && status < 400 ? "good" : "bad";
  return el("tr", {},
    el("td", { text: clock(at) }),
    el("td", {}, el("code", { class: "user", text: `${method} ${path.slice(0, 80)}` })),
    el("td", {}, el("span", { class: `badge ${kind}`, text: status || "none" })),
    el("td", { text: instance ?? "–" }),
    el("td", { class: "number", text: milliseconds(ms) }),
    el("td", { class: "number", text: bytes(size) }),
    el("td", {}, el("code", { text: requestId ?? "–" })));
}
