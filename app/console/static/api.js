// @ts-check
// All requests of the page: `answers` dispatches an event for each answer, and each error is a Problem.
//
//     const answer = await ask("POST", "/codecs/huffman/encode", { body: "SOS", signal });
//     show(await answer.bytes(), answer.ms);

// Event "answer", detail {at, method, path, status, requestId, instance, ms, bytes, server, background}: also of errors; status 0
// where there was no answer. `instance` is null where the answer does not name one; `background`: not started by the user.
export const answers = new EventTarget();

// The last answers by the same facts, newest last: what a view shows that is opened later. So many fit on a screen or two.
export const recent = [];
const MAX_RECENT = 50;

// An error in words for users: an error answer (RFC 9457), or no answer at all (status 0). Further members of the
// problem object, such as `position`, `known` or `limit`, are members here too.
export class Problem extends Error {
  constructor(members) {
    super(members.detail || members.title);
    for (const [key, value] of Object.entries(members)) if (!["name", "message", "stack"].includes(key)) this[key] = value;
    this.name = "Problem";
  }
}

// Resolves with {status, headers, blob, bytes(), text(), json(), requestId, instance, ms}: the whole answer has been read. Bodies
// are texts, Blobs or byte arrays; texts go as text/plain unless `type` says otherwise. Rejects with a Problem, or with an
// AbortError when `signal` was aborted. `background`: for what a view asks again and again by itself.
/**
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, type?: string, headers?: Record<string, string>, signal?: AbortSignal, background?: boolean}} [options]
 */
export async function ask(method, path, { body, type, headers = {}, signal, background = false } = {}) {
  const began = performance.now();
  const fields = body === undefined ? headers : { "Content-Type": type ?? typeOf(body), ...headers };
  try {
    const response = await fetch(path, { method, body, headers: fields, signal, cache: "no-store", redirect: "error" });
    return await finished({ method, path, began, background }, response.status, response.headers, await response.blob());
  } catch (error) {
    throw failure(error, { method, path, began, background });
  }
}

// The same for a large body: `onprogress({phase: "sending" | "receiving", loaded, total})`, `total` 0 where it is not known.
/**
 * @param {string} method
 * @param {string} path
 * @param {Blob} blob
 * @param {{type?: string, signal?: AbortSignal, onprogress?: (progress: {phase: string, loaded: number, total: number}) => void}} [options]
 */
export function upload(method, path, blob, { type, signal, onprogress = () => {} } = {}) {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const asked = { method, path, began, background: false };
    const failed = (error) => reject(failure(error, asked));
    const tell = (phase) => ({ loaded, total, lengthComputable }) =>
      onprogress({ phase, loaded, total: lengthComputable ? total : 0 });
    const cancel = () => request.abort();
    request.open(method, path);
    request.responseType = "blob";
    request.setRequestHeader("Content-Type", type ?? typeOf(blob));
    request.upload.onprogress = tell("sending");
    request.onprogress = tell("receiving");
    request.onload = () =>
      finished(asked, request.status, headersOf(request), request.response).then(resolve, failed);
    request.onerror = () => failed(new TypeError("The connection ended before there was an answer."));
    request.onabort = () => failed(new DOMException("Cancelled.", "AbortError"));
    request.onloadend = () => signal?.removeEventListener("abort", cancel);
    if (signal?.aborted) return failed(new DOMException("Cancelled.", "AbortError"));
    signal?.addEventListener("abort", cancel, { once: true });
    return request.send(blob);
  });
}

const typeOf = (body) => (typeof body === "string" ? "text/plain; charset=utf-8" : body.type || "application/octet-stream");

function headersOf(request) {
  const pairs = request.getAllResponseHeaders().trim().split("\r\n").filter(Boolean);
  return new Headers(pairs.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
}

async function finished(asked, status, headers, blob) {
  const ms = performance.now() - asked.began;
  const requestId = headers.get("X-Request-Id");
  const [instance, server] = [headers.get("X-Instance"), headers.get("Server")];
  tell(asked, { status, requestId, instance, ms, bytes: blob.size, server });
  if (status >= 400) throw await problem(status, headers, blob, requestId);
  const text = () => blob.text();
  const bytes = async () => new Uint8Array(await blob.arrayBuffer());
  return { status, headers, blob, bytes, text, json: async () => JSON.parse(await text()), requestId, instance, ms };
}

async function problem(status, headers, blob, requestId) {
  let members = {};
  if ((headers.get("Content-Type") ?? "").includes("json")) members = JSON.parse(await blob.text().catch(() => "{}"));
  const title = members.title ?? `The server answered ${status}.`;
  return new Problem({ type: "about:blank", detail: "", ...members, title, status, requestId });
}

function failure(error, asked) {
  if (error instanceof Problem || error.name === "AbortError") return error;
  tell(asked, { status: 0, requestId: null, instance: null, ms: performance.now() - asked.began, bytes: 0, server: null });
  return new Problem({ type: "about:blank", title: "No answer", status: 0, detail: String(error.message), requestId: null });
}

function tell({ method, path, background }, facts) {
  const detail = { at: new Date(), method, path, background, ...facts };
  if (!background && recent.push(detail) > MAX_RECENT) recent.shift();
  answers.dispatchEvent(new CustomEvent("answer", { detail }));
}
