// The types of heliograph.js. Checked against its use by check/types.ts.

export type Transport = "websocket" | "sse";

/** Seconds: the bound of the first wait between attempts, of all later ones, and after how long a connection counts as stable. */
export const FIRST: number;
export const LONGEST: number;
export const STABLE: number;

/** The wait in seconds before attempt `attempt`, counted from 0. */
export function delay(attempt: number, random?: () => number): number;

/** A message, once and in order. `data` is the JSON value, the text, or `{base64: …}`; `time` is in seconds since 1970. */
export interface MessageDetail {
  channel: string;
  cursor: string;
  offset: number;
  time: number;
  data: unknown;
}

/** Messages after the previous event are no longer stored. The stream continues behind `cursor`. */
export interface LostDetail {
  channel: string;
  cursor: string;
}

/** `reason` and `wait` (seconds) come with "waiting"; `error` comes with "closed" where the server refused for good. */
export interface StateDetail {
  state: "connecting" | "subscribed" | "waiting" | "closed";
  cursor: string | null;
  transport?: Transport;
  reason?: string;
  wait?: number;
  error?: ChannelError;
}

export interface ChannelEventMap {
  message: CustomEvent<MessageDetail>;
  lost: CustomEvent<LostDetail>;
  state: CustomEvent<StateDetail>;
}

export interface ChannelOptions {
  /** A cursor, "earliest", or null for messages from now on. */
  after?: string | null;
  /** A token, or a function that gives one for each connection. */
  token?: string | (() => string | Promise<string>) | null;
  /** A function that gives a ticket for each connection, for pages that have no token. */
  ticket?: (() => string | Promise<string>) | null;
  /** Which transports, in their order. */
  transports?: Transport[] | null;
  /** Numbers from 0 to 1. */
  random?: () => number;
}

export interface Published {
  channel: string;
  cursor: string;
  offset: number;
}

export class ChannelError extends Error {
  constructor(text: string, facts?: object);
  /** The status of the server's refusal. */
  status?: number;
  /** The server's problem document (RFC 9457). */
  problem?: Record<string, unknown>;
  /** Seconds that the server asks to wait. */
  retryAfter?: number;
  /** Whether the message may have been stored nevertheless. */
  uncertain?: boolean;
}

export class Channel extends EventTarget {
  /** `url` is the service's, also relative to the page. Throws a TypeError for a wrong argument. */
  constructor(url: string | URL, name: string, options?: ChannelOptions);
  readonly name: string;
  /** The cursor behind the last event; null before the first connection of a subscription without `after`. */
  readonly cursor: string | null;
  /** Publishes a text, or anything that JSON can express. Rejects with a ChannelError, TypeError or RangeError. */
  publish(data: unknown, options?: { timeout?: number }): Promise<Published>;
  /** Resolves once the connection has ended. */
  close(): Promise<void>;
  addEventListener<Name extends keyof ChannelEventMap>(
    type: Name,
    listener: (event: ChannelEventMap[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Name extends keyof ChannelEventMap>(
    type: Name,
    listener: (event: ChannelEventMap[Name]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
}
