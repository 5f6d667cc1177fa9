// @ts-check
// A client of Heliograph's channels for web pages: subscribe, resume, publish. Nothing here writes into the page.
//
// One file of some 500 lines, since one file without dependencies is the product: a page includes it as it is.
//
//     import { Channel } from "/static/heliograph.js";
//     const channel = new Channel("/", "lebowski", { after: "earliest" });
//     channel.addEventListener("message", ({ detail }) => show(detail.data));
//     channel.addEventListener("lost", ({ detail }) => reload());
//     await channel.publish({ rug: "tied the room together" });
//
// Events, each with its facts in `detail`:
//   message  {channel, cursor, offset, time, data}: each message once, in order, without a gap
//   lost     {channel, cursor}: messages after the previous event are no longer stored; the stream continues behind the cursor
//   state    {state, transport, reason, wait, cursor, error}: connecting, subscribed, waiting (in `wait` seconds there is another
//            attempt), or closed (by close(), or, with an `error`, because the server refused for good)
//
// After any interruption it resumes by its cursor, with full jitter between attempts. Where WebSockets fail it uses server-sent
// events: an event says that there is something new, and the history has it in the same form as a WebSocket. This transport also
// gives the reason of a refused subscription, which browsers hide for a WebSocket.

// Seconds: the bound of the first wait between attempts and of all later ones; after how long a connection counts as stable.
export const FIRST = 0.5, LONGEST = 20, STABLE = 10;

// Seconds for a handshake, an answer or a first frame; of silence on a stream, where a comment comes every 15; and between checks
// whether a silent WebSocket is still alive, since browsers cannot send pings.
const PATIENCE = 10, SILENCE = 40, CHECK = 60;

// Bytes of a message. Characters of a frame: of a message that is all escapes, and what is around it; and of a stream's line.
const MAX_MESSAGE = 65536, MAX_FRAME = 6 * MAX_MESSAGE + 4096, MAX_LINE = 1 << 20;

// Messages of a page of the history; messages on their way to the server, and those that wait for a connection.
const PAGE = 100, MAX_PENDING = 1000;

// After so many failures of a WebSocket in a row every second attempt is a stream of events; one if none ever succeeded.
const FAILURES = 3;

const CURSOR = /^[A-Za-z0-9_-]{1,64}:(0|[1-9][0-9]{0,15})$/, NAME = /^[A-Za-z0-9_.:-]{1,128}$/;

// Statuses after which the same request may succeed; 401 is among them where there is a function to ask for another token.
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

// An error with the outcome of the request: `status` and `problem` if the server refused it, `uncertain` if it may have been done.
export class ChannelError extends Error {
  constructor(text, facts = {}) {
    super(text);
    this.name = "ChannelError";
    Object.assign(this, facts);
  }
}

// The wait before attempt `attempt`, counted from 0.
export function delay(attempt, random = Math.random) {
  return random() * Math.min(LONGEST, FIRST * 2 ** Math.min(attempt, 16));
}

/**
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
const sleep = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

const fail = (text, facts) => {
  throw new ChannelError(text, facts);
};

const shown = (value) => String(typeof value === "string" ? value : JSON.stringify(value)).slice(0, 300);

// A subscriber's position, and the rule that excludes gaps: only the next offset is accepted.
class Position {
  constructor(channel, cursor, emit) {
    this.channel = channel;
    this.cursor = cursor;
    this.emit = emit;
  }

  get offset() {
    return Number(this.cursor.slice(this.cursor.indexOf(":") + 1));
  }

  get epoch() {
    return this.cursor.slice(0, this.cursor.indexOf(":"));
  }

  covers(cursor) {
    return this.cursor?.split(":")[0] === cursor.split(":")[0] && this.offset >= Number(cursor.split(":")[1]);
  }

  move(cursor) {
    if (!CURSOR.test(cursor)) fail(`The server gave ${shown(cursor)} for a cursor.`);
    this.cursor = cursor;
  }

  lose(cursor) {
    this.move(cursor);
    this.emit("lost", { channel: this.channel, cursor });
  }

  take({ offset, time, data }) {
    if (offset !== this.offset + 1) fail(`Offset ${shown(offset)} came where ${this.offset + 1} was next.`);
    if (typeof time !== "number" || data === undefined) fail(`Message ${offset} has no time or no data.`);
    this.cursor = `${this.epoch}:${offset}`;
    this.emit("message", { channel: this.channel, cursor: this.cursor, offset, time, data });
  }
}

export class Channel extends EventTarget {
  #service; #position; #after; #token; #ticket; #transports; #random;
  #ending = new AbortController();
  #attempt = 0; #failures = 0; #worked = false; #unauthorized = false;
  #socket = null; #live = null; #refs = 0;
  #pending = new Map();
  #waiting = new Set();
  /** @type {(reason?: string) => void} */
  #interrupt = () => {};
  #finished;

  // `url`: the service's, also relative to the page. `after`: a cursor, "earliest", or null for what comes from now on.
  // `token`: a text, or a function that gives one (or a promise of one) for each connection. `ticket`: a function that gives a
  // ticket for each connection, for pages that have no token; without one there are WebSockets only. `transports`: which, in
  // their order. `random`: numbers from 0 to 1.
  constructor(url, name, { after = null, token = null, ticket = null, transports = null, random = Math.random } = {}) {
    super();
    if (!NAME.test(name)) throw new TypeError("A channel's name is 1 to 128 of the characters A-Z a-z 0-9 _ . : -.");
    if (after !== null && after !== "earliest" && !CURSOR.test(after)) throw new TypeError("A cursor is epoch:offset.");
    this.name = name;
    this.#service = new URL(url, globalThis.location?.href);
    if (!/^https?:$/.test(this.#service.protocol)) throw new TypeError("The URL begins with http: or https:.");
    this.#after = after;
    this.#token = token;
    this.#ticket = ticket;
    this.#transports = transports ?? (ticket && !token ? ["websocket"] : ["websocket", "sse"]);
    this.#random = random;
    this.#position = new Position(name, after !== "earliest" ? after : null, (type, detail) => this.#emit(type, detail));
    // The network is back: what was open is probably dead, and there is no need to wait.
    const online = () => this.#interrupt("The network was away.");
    globalThis.addEventListener?.("online", online, { signal: this.#ending.signal });
    this.#finished = Promise.resolve().then(() => this.#run());
  }

  // The cursor behind the last event. null before the first connection of a subscription without `after`.
  get cursor() {
    return this.#position.cursor;
  }

  // Publish a text, or anything that JSON can express; resolves with {channel, cursor, offset} when it is stored. Over a WebSocket it is sent once:
  // if the connection ends before the answer, the error is `uncertain`. Otherwise by HTTP, repeated with an idempotency key.
  async publish(data, { timeout = 30 } = {}) {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError("JSON cannot express that.");
    const size = new TextEncoder().encode(typeof data === "string" ? data : text).length;
    if (size > MAX_MESSAGE) throw new RangeError(`A message has at most ${MAX_MESSAGE} bytes, and this one ${size}.`);
    const deadline = Date.now() + timeout * 1000;
    while (!this.#live) {
      if (this.#ending.signal.aborted) fail("The channel is closed.");
      if (Date.now() >= deadline) fail(`Not published: there was no connection for ${timeout} s.`);
      if (this.#waiting.size >= MAX_PENDING) fail(`Not published: ${MAX_PENDING} messages wait for a connection.`);
      await this.#connection(deadline);
    }
    return this.#live === "sse" ? this.#post(data, text, deadline) : this.#send(text, deadline);
  }

  // Resolves once the connection has ended.
  close() {
    this.#ending.abort();
    this.#interrupt("closed");
    return this.#finished;
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #report(state, facts = {}) {
    this.#emit("state", { state, cursor: this.cursor, ...facts });
  }

  // Attempts, one after the other.

  async #run() {
    let error;
    while (!this.#ending.signal.aborted && !error) {
      const transport = this.#transport();
      this.#report("connecting", { transport });
      let began = null;
      const subscribed = () => {
        began = Date.now();
        this.#worked ||= transport === "websocket";
        this.#unauthorized = false;
        this.#live = transport;
        for (const wake of this.#waiting) wake();
        this.#report("subscribed", { transport });
      };
      try {
        await (transport === "sse" ? this.#followEvents(subscribed) : this.#followSocket(subscribed));
      } catch (problem) {
        error = await this.#interrupted(problem, transport, began);
      }
    }
    this.#ending.abort();
    for (const wake of this.#waiting) wake();
    this.#report("closed", { error });
  }

  // After a connection that failed or has ended: wait, or return the error that closes the channel.
  async #interrupted(problem, transport, began) {
    this.#live = null;
    if (this.#ending.signal.aborted) return undefined;
    if (this.#refusedForGood(problem)) return problem;
    this.#failures = transport === "websocket" && began === null ? this.#failures + 1 : 0;
    if (began !== null && Date.now() - began >= STABLE * 1000) this.#attempt = 0;
    const wait = delay(this.#attempt++, this.#random) + Math.min(LONGEST, problem.retryAfter ?? 0);
    this.#report("waiting", { transport, reason: String(problem.message ?? problem).slice(0, 500), wait });
    const woken = new AbortController();
    this.#interrupt = () => woken.abort();
    await sleep(wait, woken.signal);
    return undefined;
  }

  // A renewable token may have just expired; refused twice in a row it is wrong.
  #refusedForGood({ status }) {
    if (!status || TRANSIENT.has(status)) return false;
    const again = status === 401 && !this.#unauthorized && (typeof this.#token === "function" || this.#ticket);
    this.#unauthorized = status === 401;
    return !again;
  }

  #transport() {
    const [first, second] = this.#transports;
    if (!second) return first;
    const tries = this.#worked ? FAILURES : 1;
    return this.#failures >= tries ? second : first;
  }

  /** @returns {Promise<void>} */
  #connection(deadline) {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(0, deadline - Date.now()));
      this.#waiting.add(wake);
    });
  }

  // Requests.

  #url(path, query = {}) {
    const url = new URL(this.#service.pathname.replace(/\/$/, "") + path, this.#service);
    for (const [key, value] of Object.entries(query)) if (value !== null && value !== undefined) url.searchParams.set(key, value);
    return url;
  }

  // The JSON of an answer, or with a `signal` the answer itself, which is read until the signal aborts.
  /**
   * @param {string} path
   * @param {RequestInit & {query?: Record<string, any>, headers?: Record<string, string>}} [options]
   * @returns {Promise<any>}
   */
  async #fetch(path, { query, headers = {}, signal, ...options } = {}) {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    const impatience = new AbortController();
    const timer = setTimeout(() => impatience.abort(), PATIENCE * 1000);
    try {
      const answer = await fetch(this.#url(path, query), {
        ...options,
        headers: token === null ? headers : { ...headers, Authorization: `Bearer ${token}` },
        signal: AbortSignal.any([impatience.signal, signal ?? this.#ending.signal]),
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
      if (answer.ok) return signal ? answer : await answer.json();
      const problem = await answer.json().catch(() => ({}));
      const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
      const why = [problem?.title, problem?.detail].filter(Boolean).join(": ");
      return fail(`The server refused: ${answer.status} ${why}`.slice(0, 500), { status: answer.status, problem, retryAfter });
    } finally {
      clearTimeout(timer);
    }
  }

  async #ticketFor() {
    if (this.#ticket) return this.#ticket();
    if (this.#token === null) return null;
    const { ticket } = await this.#fetch("/channels/ticket", { method: "POST" });
    return ticket;
  }

  // By WebSocket.

  async #followSocket(subscribed) {
    const url = this.#url(`/ws/channels/${this.name}`, { after: this.cursor ?? this.#after, ticket: await this.#ticketFor() });
    url.protocol = url.protocol.replace("http", "ws");
    if (this.#ending.signal.aborted) return undefined;
    const socket = new WebSocket(url);
    return new Promise((_, reject) => {
      let open = false, ended = false, receivedAt = Date.now();
      const end = (error) => {
        if (ended) return;
        ended = true;
        clearTimeout(opening);
        clearInterval(checking);
        socket.onmessage = socket.onclose = null;
        // Browsers report a WebSocket that is closed before it is open as an error; closing a channel is none.
        if (this.#ending.signal.aborted && socket.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close();
        else socket.close();
        this.#socket = this.#live = null;
        const lost = new ChannelError("The connection ended before the message was acknowledged.", { uncertain: true });
        for (const { refuse } of this.#pending.values()) refuse(lost);
        this.#pending.clear();
        reject(error);
      };
      const opening = setTimeout(() => end(new ChannelError(`The server sent nothing for ${PATIENCE} s.`)), PATIENCE * 1000);
      const checking = setInterval(() => {
        if (open && Date.now() - receivedAt >= CHECK * 1000) this.#alive().catch((error) => error.status || end(error));
      }, CHECK * 1000);
      this.#interrupt = (reason) => end(new ChannelError(reason));
      socket.onclose = ({ code, reason }) => end(new ChannelError(`The WebSocket ended: ${code} ${reason}`.trim()));
      socket.onmessage = ({ data }) => {
        receivedAt = Date.now();
        try {
          if (open) return this.#receive(data);
          this.#begin(data);
          open = true;
          clearTimeout(opening);
          this.#socket = socket;
          subscribed();
        } catch (error) {
          end(error);
        }
        return undefined;
      };
    });
  }

  #members(frame) {
    if (typeof frame !== "string") fail("The server sent a binary frame.");
    if (frame.length > MAX_FRAME) fail(`The server sent a frame of ${frame.length} characters.`);
    let members = null;
    try {
      members = JSON.parse(frame);
    } catch {
      fail(`The server sent what is not JSON: ${shown(frame)}`);
    }
    return members !== null && typeof members === "object" ? members : fail(`The server sent no JSON object: ${shown(frame)}`);
  }

  // The first frame.
  #begin(frame) {
    const { type, channel, epoch, offset, recovered = null, problem } = this.#members(frame);
    if (type === "error") fail(`Subscribing failed: ${shown(problem?.detail)}`);
    if (type !== "subscribed" || channel !== this.name) fail(`The server began with ${shown(frame)}.`);
    const asked = this.cursor ?? this.#after;
    if (recovered === null && asked !== null) fail("The server does not state whether the subscription was resumed.");
    if (recovered === false) this.#position.lose(`${epoch}:${offset}`);
    else if (this.cursor === null) this.#position.move(`${epoch}:${offset}`);
    else if (epoch !== this.#position.epoch) fail(`The server resumed ${this.cursor} in another epoch.`);
  }

  #receive(frame) {
    const members = this.#members(frame);
    const { type, channel, ref, offset } = members;
    if (type === "message") {
      if (channel !== this.name) fail(`The server names channel ${shown(channel)}.`);
      this.#position.take(members);
    } else if (type === "lost") {
      this.#position.lose(`${members.epoch}:${offset}`);
    } else if (type === "published") {
      this.#pending.get(ref)?.accept({ channel: this.name, cursor: `${this.#position.epoch}:${offset}`, offset });
    } else if (type === "error") {
      const { problem } = members;
      const text = shown(problem?.detail ?? problem?.title ?? "no reason was given");
      const pending = this.#pending.get(ref);
      if (pending) pending.refuse(new ChannelError(`Not published: ${text}`, { status: problem?.status, problem }));
      else if (ref === null) fail(`The server reports: ${text}`);
    }
  }

  // Whether a silent WebSocket has missed something: its server may have gone without closing it.
  async #alive() {
    const before = this.cursor;
    if (this.#ticket && !this.#token) return;
    const { recovered, messages } = await this.#page(before);
    if (this.cursor === before && (!recovered || messages.length)) {
      await sleep(2, this.#ending.signal); // it may be in transit
      if (this.cursor === before) fail("The WebSocket is silent, and the history has more.");
    }
  }

  #send(text, deadline) {
    if (this.#pending.size >= MAX_PENDING) fail(`Not published: ${MAX_PENDING} messages wait for the server.`);
    const ref = ++this.#refs;
    return new Promise((resolve, reject) => {
      const settled = (how) => (result) => {
        clearTimeout(timer);
        this.#pending.delete(ref);
        how(result);
      };
      const [accept, refuse] = [settled(resolve), settled(reject)];
      const late = () => refuse(new ChannelError("There was no acknowledgement in time.", { uncertain: true }));
      const timer = setTimeout(late, Math.max(0, deadline - Date.now()));
      this.#pending.set(ref, { accept, refuse });
      this.#socket.send(`{"type": "publish", "ref": ${ref}, "data": ${text}}`);
    });
  }

  // By server-sent events and the history.

  async #followEvents(subscribed) {
    const stopping = new AbortController();
    let reason = null;
    const stop = (why) => {
      reason ??= why;
      stopping.abort();
    };
    this.#interrupt = stop;
    const silence = { timer: setTimeout(() => stop("The stream was silent."), SILENCE * 1000) };
    try {
      const answer = await this.#fetch(`/channels/${this.name}/events`, { signal: stopping.signal });
      await this.#follow(answer.body.getReader(), subscribed, () => {
        clearTimeout(silence.timer);
        silence.timer = setTimeout(() => stop("The stream was silent."), SILENCE * 1000);
      });
    } catch (error) {
      throw reason ? new ChannelError(reason) : error;
    } finally {
      clearTimeout(silence.timer);
      stopping.abort();
    }
    fail("The stream ended.");
  }

  // The stream is live only, and its first id is the top: what lies between our cursor and that, and all that is new, is read.
  async #follow(reader, subscribed, received) {
    const decoder = new TextDecoder();
    let rest = "", begun = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      received();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      if (rest.length > MAX_LINE) fail("The server sent a line without an end.");
      const ids = lines.filter((line) => line.startsWith("id: ")).map((line) => line.slice(4).trim());
      if (!ids.length) continue;
      const top = ids.at(-1);
      if (!CURSOR.test(top)) fail(`The server gave ${shown(top)} for an id.`);
      if (!begun && this.cursor === null && this.#after === null) this.#position.move(ids[0]);
      await this.#catchUp(top, begun ? null : subscribed);
      begun = true;
    }
  }

  // Read the history up to `top`, at least.
  async #catchUp(top, subscribed) {
    let first = subscribed;
    while (first || !this.#position.covers(top)) {
      const page = await this.#page(this.cursor ?? "earliest");
      if (page.recovered !== true) this.#position.lose(`${page.epoch}:${page.top}`);
      else if (this.cursor === null) this.#position.move(`${page.epoch}:${page.messages.length ? page.messages[0].offset - 1 : page.top}`);
      if (first) first();
      first = null;
      for (const message of page.recovered ? page.messages : []) {
        if (this.#ending.signal.aborted) return; // a listener closed us
        this.#position.take(message);
      }
      if (this.#position.offset >= page.top) return;
      if (page.recovered && !page.messages.length) fail("The server's page of the history is empty.");
    }
  }

  async #page(after) {
    const page = await this.#fetch(`/channels/${this.name}`, { query: { after, limit: PAGE } });
    const valid = Array.isArray(page?.messages) && page.messages.length <= PAGE && Number.isSafeInteger(page.top);
    return valid ? page : fail("The server's page of the history is none.");
  }

  async #post(data, text, deadline) {
    const plain = typeof data === "string";
    const headers = {
      "Content-Type": plain ? "text/plain; charset=utf-8" : "application/json",
      "Idempotency-Key": Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("-"),
    };
    for (let attempt = 0; ; attempt++) {
      try {
        const body = plain ? data : text;
        const { epoch, offset } = await this.#fetch(`/channels/${this.name}`, { method: "POST", headers, body });
        return { channel: this.name, cursor: `${epoch}:${offset}`, offset };
      } catch (error) {
        if (error.status && !TRANSIENT.has(error.status)) throw error;
        const wait = delay(attempt, this.#random) + Math.min(LONGEST, error.retryAfter ?? 0);
        if (this.#ending.signal.aborted || Date.now() + wait * 1000 > deadline) {
          throw new ChannelError(`There was no good answer in time: ${error.message}`, { uncertain: true });
        }
        await sleep(wait, this.#ending.signal);
      }
    }
  }
}
