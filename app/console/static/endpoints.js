// @ts-check
// The service's WebSockets: where each is, and which answer belongs to which message, for the round-trip time.

// Messages whose answers have not come. More than a user sends by hand; messages above it get no round-trip time.
const MAX_PENDING = 1000;

// `fields`: what to ask for (the token never is in a URL), `path`: where that is, `pairs`: makes a matcher for a connection.
export const ENDPOINTS = {
  echo: {
    title: "Echo", fields: [], sample: "Hello",
    note: "Every text or binary message comes back as it was.",
    path: () => "/ws/echo", pairs: inOrder,
  },
  ping: {
    title: "Ping", fields: [], sample: "ping",
    note: "“ping” is answered “pong!”, anything else by an error object.",
    path: () => "/ws/ping", pairs: inOrder,
  },
  codec: {
    title: "Codec", fields: ["codec", "direction", "options"], sample: "SOS",
    note: "A message in, the codec’s answer out; bad input is answered by a problem object, and the connection stays.",
    path: ({ codec, direction, options }) =>
      `/ws/codecs/${part(codec)}/${direction === "decode" ? "decode" : "encode"}${query(new URLSearchParams(options))}`,
    pairs: inOrder,
  },
  channel: {
    title: "Channel", fields: ["channel", "after", "token"], sample: '{"type": "publish", "data": "Hello", "ref": 1}',
    note: "Frames are JSON objects: “subscribed”, “message”, “lost”; the client may send “publish”.",
    path: ({ channel, after }) => `/ws/channels/${part(channel)}${query(after ? { after } : {})}`, pairs: byReference,
  },
  events: {
    title: "Plain texts", fields: ["channel", "token"], sample: "Hello",
    note: "What is published on the channel arrives, what is sent here is published.",
    path: ({ channel }) => `/events${query({ channel })}`, pairs: byText,
  },
};

// The meaning of close codes: RFC 6455, IANA's registry, and the service's own (3005, 3008).
export const CLOSE_CODES = {
  1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "kind of data not taken", 1005: "no code given",
  1006: "ended without a close frame", 1007: "not UTF-8", 1008: "policy", 1009: "message too long", 1011: "the server's error",
  1012: "the server restarts", 1013: "try again later", 3005: "the token has expired", 3008: "too slow",
};

// The plain request whose answer gives the reason of a refused handshake, which browsers hide: {method, path}, or null.
export function inquiry(name, values, path) {
  if (name === "codec") return { method: "POST", path: path.slice("/ws".length) };
  if (name === "channel") return { method: "GET", path: path.slice("/ws".length) };
  if (name === "events") return { method: "GET", path: `/channels/${part(values.channel)}` };
  return null;
}

// Pipelines have a "+", which paths may.
const part = (text) => encodeURIComponent(text).replaceAll("%2B", "+");

const query = (members) => {
  const text = new URLSearchParams(members).toString();
  return text && `?${text}`;
};

// A matcher: `sent(data, at)` for each message, `received(data)` gives when the message was sent that this answers, or null.

function inOrder() {
  const pending = [];
  return {
    sent: (_data, at) => pending.length < MAX_PENDING && pending.push(at),
    received: () => pending.shift() ?? null,
  };
}

function byText() {
  const pending = [];
  return {
    sent: (data, at) => pending.length < MAX_PENDING && pending.push({ data, at }),
    received(data) {
      const index = pending.findIndex((each) => each.data === data);
      return index < 0 ? null : pending.splice(index, 1)[0].at;
    },
  };
}

function byReference() {
  const pending = new Map();
  return {
    sent(data, at) {
      const ref = member(data, "ref");
      if (ref !== undefined && pending.size < MAX_PENDING) pending.set(JSON.stringify(ref), at);
    },
    received(data) {
      const ref = JSON.stringify(member(data, "ref"));
      const at = pending.get(ref) ?? null;
      pending.delete(ref);
      return at;
    },
  };
}

function member(data, name) {
  try {
    return JSON.parse(data)?.[name];
  } catch {
    return undefined;
  }
}
