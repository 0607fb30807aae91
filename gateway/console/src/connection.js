// The one WebSocket of the page (graphql-transport-ws), opened when first needed and kept alive by retrying,
// and its state as a store that components subscribe to.

import { createClient } from "graphql-ws";
import { createStore } from "./store.js";

const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 5_000;

/** "idle" → "connecting" → "open" → ("lost" → "open")*; "lost" while the client retries. */
export const connection = createStore("idle");

const client = createClient({
  url: () => Object.assign(new URL("/graphql", location.href), { protocol: location.protocol.replace("http", "ws") }).href,
  lazy: true,
  keepAlive: 15_000,
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true,
  retryWait: (retries) => {
    const wait = Math.min(RETRY_FIRST_MS * 2 ** retries, RETRY_MAX_MS);
    return new Promise((resolve) => setTimeout(resolve, wait));
  },
  on: {
    connecting: (isRetry) => connection.set(isRetry ? "lost" : "connecting"),
    connected: () => connection.set("open"),
    closed: (event) => connection.set(event?.wasClean && event.code === 1000 ? "idle" : "lost"),
  },
});

/**
 * Runs an operation over the WebSocket until the returned function is called or the server ends it.
 * `observer.error` gets an Error or the list of GraphQL errors.
 */
export function subscribe(payload, observer) {
  return client.subscribe(payload, {
    next: (result) => observer.next(result),
    error: (error) => observer.error(readable(error)),
    complete: () => observer.complete(),
  });
}

function readable(error) {
  if (error instanceof Error || Array.isArray(error)) return error;
  if (typeof error?.code === "number") {
    return new Error(`The server closed the connection: ${error.code} ${error.reason ?? ""}`.trim());
  }
  return new Error(String(error));
}
