// A client of `graphql-ws` with the settings that something live needs.

import { createClient, type Client, type ClientOptions } from "graphql-ws";
import { pause } from "./wait.js";

/** How often the connection is probed. */
const KEEP_ALIVE_MS = 10_000;
/** How long the answer may take. */
const ANSWER_MS = 5_000;

/**
 * `createClient` of `graphql-ws`, with other defaults: it opens a lost connection again for as long as there is something to
 * follow, with pauses of at most ten seconds; and takes one for lost on which nothing comes back. All options can be given.
 */
export function createLiveClient(options: ClientOptions): Client {
  const client = createClient({
    keepAlive: KEEP_ALIVE_MS,
    connectionAckWaitTimeout: KEEP_ALIVE_MS,
    retryAttempts: Infinity,
    // A connection that is refused is an error and no close, and would be given up.
    shouldRetry: () => true,
    retryWait: pause,
    ...options,
  });
  // A network that has gone says nothing: only a missing answer tells.
  let answer: ReturnType<typeof setTimeout> | undefined;
  client.on("ping", (received) => {
    if (received) return;
    clearTimeout(answer);
    answer = setTimeout(() => client.terminate(), ANSWER_MS);
  });
  client.on("pong", (received) => received && clearTimeout(answer));
  client.on("closed", () => clearTimeout(answer));
  return client;
}
