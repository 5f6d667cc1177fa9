"use strict";
// The page polls /status: an EventSource could not send the token.
const TOKEN = "heliograph-admin-token";
const previous = new Map();

async function ask(method, path, body) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers["Authorization"] = "Bearer " + token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) {
    const given = prompt("Admin token");
    if (given) { sessionStorage.setItem(TOKEN, given); return ask(method, path, body); }
  }
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.detail);
  return result;
}

function cell(row, text, kind) {
  const td = row.insertCell();
  td.textContent = text;
  if (kind) td.className = kind;
}

function button(td, text, backend, state) {
  const made = document.createElement("button");
  made.textContent = text;
  made.disabled = backend.state === state;
  made.addEventListener("click", async () => {
    try { await ask("PUT", "/backends/" + backend.name + "/state", { state }); } catch (error) { complain(error); }
    refresh();
  });
  td.append(made);
}

function rate(backend, uptime) {
  const before = previous.get(backend.name);
  previous.set(backend.name, { requests: backend.requests, uptime });
  return before && uptime > before.uptime ? ((backend.requests - before.requests) / (uptime - before.uptime)).toFixed(1) : "–";
}

function draw(status) {
  document.getElementById("summary").textContent =
    `${status.strategy} · up ${Math.round(status.uptime)} s · ${status.connections} connections · ${status.requests} requests`;
  const rows = document.createElement("tbody");
  rows.id = "backends";
  for (const backend of status.backends) {
    const row = rows.insertRow();
    const check = backend.last_check;
    for (const key of ["name", "address", "state"]) cell(row, backend[key]);
    cell(row, backend.healthy ? "up" : "down", backend.healthy ? "up" : "down");
    for (const key of ["weight", "active", "queued", "tunnels"]) cell(row, backend[key]);
    cell(row, rate(backend, status.uptime));
    for (const key of ["requests", "failures", "retries"]) cell(row, backend[key]);
    cell(row, (backend.response_time * 1000).toFixed(1) + " ms");
    cell(row, check ? `${check.detail} at ${new Date(check.time * 1000).toLocaleTimeString()}` : "–");
    const actions = row.insertCell();
    button(actions, "Drain", backend, "drain");
    button(actions, "Ready", backend, "ready");
  }
  document.getElementById("backends").replaceWith(rows);
}

function complain(error) {
  const problem = document.getElementById("problem");
  problem.textContent = error.message;
  problem.hidden = false;
}

async function refresh() {
  try {
    draw(await ask("GET", "/status"));
    document.getElementById("problem").hidden = true;
  } catch (error) { complain(error); }
}

async function live() {
  await refresh();
  setTimeout(live, 1000);
}

live();
