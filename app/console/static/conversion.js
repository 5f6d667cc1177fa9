// @ts-check
// Requests that follow what a user types: only the last one counts, and large bodies go with a progress bar.

import { ask, upload } from "./api.js";
import { progressBar } from "./progress.js";

// Bytes above which a body goes with progress, and is not sent with every key.
export const LARGE = 1 << 20;

// Milliseconds that typing has to rest.
const PAUSE = 120,
  PAUSE_LARGE = 500;

// {node, send(path, {body, size, type}), stop()}. Results come by `onanswer(answer)`, `onproblem(problem)`, `oncancel()` (the
// user's), `onbusy(boolean)`.
/**
 * @param {{signal: AbortSignal, label: string, onanswer: (answer: any, ...more: any[]) => void, onproblem: (problem: any, ...more: any[]) => void,
 *   oncancel?: () => void, onbusy?: (is: boolean) => void}} options
 */
export function conversion({ signal, label, onanswer, onproblem, oncancel = () => {}, onbusy = () => {} }) {
  const bar = progressBar({ label, oncancel: () => (stop(), oncancel()) });
  let [running, timer] = [null, null];
  signal.addEventListener("abort", stop, { once: true });

  function stop() {
    clearTimeout(timer);
    running?.abort();
    running = null;
    bar.hide();
    onbusy(false);
  }

  function send(path, input, { at = "pause" } = {}) {
    stop();
    if (signal.aborted) return;
    onbusy(true);
    const wait = at === "once" ? 0 : input.size > LARGE ? PAUSE_LARGE : PAUSE;
    timer = setTimeout(() => run(path, input), wait);
  }

  async function run(path, { body, size, type }) {
    const own = (running = new AbortController());
    const options = { type, signal: own.signal };
    try {
      const answer = size > LARGE ? await uploaded(path, body, options) : await ask("POST", path, { body, ...options });
      if (running === own) await onanswer(answer);
    } catch (error) {
      if (running === own && error.name !== "AbortError") onproblem(error);
    } finally {
      if (running === own) {
        running = null;
        bar.hide();
        onbusy(false);
      }
    }
  }

  function uploaded(path, body, options) {
    bar.show({ phase: "sending", loaded: 0, total: 0 });
    return upload("POST", path, new Blob([body]), { ...options, onprogress: bar.show });
  }

  return { node: bar.node, send, stop };
}
