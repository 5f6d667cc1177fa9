// @ts-check
// The page's state is the URL's fragment: #view=codecs&codec=huffman&text=… A fragment, because what users type must not
// reach any server's log. A view reads its values when it is mounted, sets them as they change, and follows `onChange`, which
// reports changes from outside: the back button, an edited or followed link.
//
//     const codec = get("codec", "huffman");
//     set({ codec: "morse", text: null });
//
// Values of other views are remembered while the page is open, and come back with their view.

// Characters of one value that the URL carries. Longer ones are kept by the page, but not in the link, and the page shows that
// (`shared`, event "written"): browsers and messengers cut long links.
export const MAX_SHARED = 2000;

// Milliseconds that a change waits for the next one: browsers allow some 200 changes of the URL in half a minute.
const PAUSE = 200;

// Dispatches an event when the URL has been written, `detail.withheld`: the keys that were too long for it.
export const shared = new EventTarget();

let values = parsed();
const remembered = new Map();
const listeners = new Set();
let timer = null;

export function get(key, fallback = null) {
  return values.get(key) ?? fallback;
}

// `changes`: texts by key, null takes one out. `push`: a new entry of the browser's history.
export function set(changes, { push = false } = {}) {
  if (push) write(); // what was typed before belongs to the entry that is left
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined) values.delete(key);
    else values.set(key, String(value));
  }
  if (push) write(true);
  else timer ??= setTimeout(write, PAUSE);
}

// `fn(keys)` is called with the set of keys that were changed from outside. Returns what ends that; an aborted `signal` does, too.
/**
 * @param {(keys: Set<string>) => void} fn
 * @param {{signal?: AbortSignal}} [options]
 */
export function onChange(fn, { signal } = {}) {
  listeners.add(fn);
  const end = () => listeners.delete(fn);
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

// Go to another view: its values as they were left, or `others` instead.
export function enter(view, others = null) {
  write();
  remembered.set(get("view", ""), values);
  values = new Map(others ? Object.entries(others) : (remembered.get(view) ?? []));
  values.set("view", view);
  write(true);
}

// The link to this state, complete as far as it may be.
export function link() {
  write();
  return location.href;
}

function parsed() {
  return new Map(new URLSearchParams(location.hash.slice(1)));
}

function write(push = false) {
  clearTimeout(timer);
  timer = null;
  const withheld = [...values].filter(([, value]) => value.length > MAX_SHARED).map(([key]) => key);
  const short = [...values].filter(([key]) => !withheld.includes(key));
  const hash = `#${new URLSearchParams(short)}`;
  if (hash !== location.hash) history[push === true ? "pushState" : "replaceState"](null, "", hash);
  shared.dispatchEvent(new CustomEvent("written", { detail: { withheld } }));
}

// A page that is left in the middle of a pause keeps its last change.
addEventListener("pagehide", () => write());

addEventListener("hashchange", () => {
  clearTimeout(timer);
  timer = null;
  const before = values;
  values = parsed();
  const keys = new Set([...before.keys(), ...values.keys()].filter((key) => before.get(key) !== values.get(key)));
  if (keys.has("view")) remembered.set(before.get("view") ?? "", before);
  for (const fn of [...listeners]) if (listeners.has(fn)) fn(keys);
});
