// What the operation in the current tab is doing; the status line and the result pane read it.
//
//   { kind: "none" }                            nothing has run
//   { kind: "running" }                         a request is on its way
//   { kind: "answered", took, commitTs }        one answer came, after `took` milliseconds
//   { kind: "live", events, commitTs }          a stream is open
//   { kind: "ended", events, commitTs }         the stream was stopped, by us or by the server
//
// `commitTs` is the server's commit timestamp of the newest result: microseconds since the Unix epoch as a
// decimal string, or null.

import { createStore } from "./store.js";

export const activity = createStore({ kind: "none" });

/** "14:03:07.123" in local time. */
export function clockOf(commitTs) {
  const date = new Date(Number(BigInt(commitTs) / 1000n));
  const two = (number) => String(number).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}
