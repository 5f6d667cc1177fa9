// @ts-check
// The proxy's interface: the stream of events, with reconnecting, and the writes. Nothing here touches the page.
//
// EventSource cannot send a token, so the stream is read from a fetch.

import { delay } from "./lib/backoff.js";
import { readEvents } from "./lib/eventstream.js";

// Milliseconds: the first wait before another attempt, which doubles up to the longest; and of silence on a stream that
// sends an event every second, after which it counts as dead; and for the answer to a write.
export const FIRST = 500, LONGEST = 8000, SILENCE = 6000, ANSWER = 10000;

const TOKEN = "heliograph-admin-token";

const stored = () => sessionStorage.getItem(TOKEN);

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export const hasToken = () => Boolean(stored());

function fields(more = {}) {
  const token = stored();
  if (!token) return more;
  // A field's value is bytes: those of the token's UTF-8.
  return { ...more, Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(token))}` };
}

// A write was refused, or the proxy did not answer; `status` where it did.
export class Refused extends Error {
  /** @type {number | undefined} */
  status;
}

async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  return Object.assign(new Refused(problem.detail ?? `The proxy answered ${answer.status}.`), { status: answer.status });
}

export async function put(path, value) {
  const options = {
    method: "PUT",
    headers: fields({ "Content-Type": "application/json" }),
    body: JSON.stringify(value),
    signal: AbortSignal.timeout(ANSWER),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The proxy did not answer: the change may have been made. The table will show it.");
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

// Reads the stream until the page is left. `on(name, data)` gets the events. `connection(state, facts)` gets the connection's state:
// "connecting", "live", or "lost" with the `reason`, and `wait` milliseconds until the next attempt. `token(reason)` must resolve
// once a token is stored.
export class LiveStream {
  #wake = () => {};

  constructor({ on, connection, token }) {
    this.on = on;
    this.connection = connection;
    this.token = token;
  }

  // Start the next attempt at once.
  hurry() {
    this.#wake();
  }

  async run() {
    for (let failures = 0; ; ) {
      this.connection("connecting", {});
      let reason;
      try {
        await this.#read(() => (failures = 0));
        reason = "the proxy ended the stream";
      } catch (error) {
        if (error.status === 401) {
          await this.token(error.message);
          continue;
        }
        reason = error instanceof Refused ? error.message : "the proxy does not answer";
      }
      const wait = delay(failures++, { first: FIRST, longest: LONGEST });
      this.connection("lost", { reason, wait });
      await /** @type {Promise<void>} */ (new Promise((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.#wake = () => (clearTimeout(timer), resolve());
      }));
    }
  }

  async #read(good) {
    const controller = new AbortController();
    let timer = 0;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(), SILENCE);
    };
    try {
      alive();
      const answer = await fetch("/live", { headers: fields(), cache: "no-store", signal: controller.signal });
      if (!answer.ok) throw await refusal(answer);
      await readEvents(answer, {
        alive,
        on: (name, data) => {
          this.on(name, data);
          if (name !== "now") return;
          good();
          this.connection("live", {});
        },
      });
    } finally {
      clearTimeout(timer);
      controller.abort();
    }
  }
}
