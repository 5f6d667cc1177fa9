// @ts-check
// Server-sent events read from a fetch: EventSource cannot send a token.

// Characters of one event: ten minutes of a backend have a hundredth of it. A longer one is not from our servers.
const MAX_EVENT = 1 << 22;

/** Cuts text into events, wherever the pieces were cut. */
export class EventStreamParser {
  #rest = "";

  /**
   * The events that this piece of text completes: name, and data as JSON.
   * @param {string} text
   * @returns {Generator<[string, any]>}
   */
  *feed(text) {
    const parts = (this.#rest + text).split("\n\n");
    this.#rest = parts.pop() ?? "";
    if (this.#rest.length > MAX_EVENT) throw new Error("an event has no end");
    for (const part of parts) {
      let name = "message", data = "";
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      yield [name, JSON.parse(data)];
    }
  }
}

/**
 * Reads an answer's events until it ends. `alive` is called for every piece that arrives, `on` for every event.
 * @param {Response} answer
 * @param {{alive: () => void, on: (name: string, data: any) => void}} listeners
 */
export async function readEvents(answer, { alive, on }) {
  const parser = new EventStreamParser(), decoder = new TextDecoder();
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    for (const [name, data] of parser.feed(decoder.decode(value, { stream: true }))) on(name, data);
  }
}
