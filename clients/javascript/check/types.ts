// Never run: the type check of a program that uses every declaration, and of the module against its declarations.

import { Channel, ChannelError, delay, FIRST, LONGEST, STABLE } from "../heliograph.js";
import type { MessageDetail, Published } from "../heliograph.js";

const waits: number[] = [FIRST, LONGEST, STABLE, delay(3), delay(3, () => 0.5)];

const channel = new Channel("/", "orders", {
  after: "earliest",
  token: async () => "token",
  ticket: null,
  transports: ["websocket", "sse"],
  random: Math.random,
});
channel.addEventListener("message", ({ detail }) => show(detail));
channel.addEventListener("lost", ({ detail }) => console.log(detail.channel, detail.cursor));
channel.addEventListener("state", ({ detail }) => console.log(detail.state, detail.transport, detail.wait, detail.error?.status, waits));

function show({ channel, cursor, offset, time, data }: MessageDetail): void {
  console.log(channel.toUpperCase(), cursor.length, offset + time, data);
}

// @ts-expect-error a channel has a name
new Channel("/");
// @ts-expect-error the cursor is read-only
channel.cursor = "epoch:1";

try {
  const published: Published = await channel.publish({ id: 7 }, { timeout: 5 });
  console.log(published.offset, channel.name, channel.cursor);
  await channel.close();
} catch (error) {
  if (error instanceof ChannelError) console.log(error.status, error.problem?.title, error.uncertain, error.retryAfter);
}
