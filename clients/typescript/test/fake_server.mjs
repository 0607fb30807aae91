// A server of graphql-transport-ws that says what a test tells it to: each operation that is sent comes out of `subscribed`.

import { WebSocketServer } from "ws";

const WAIT_MS = 5_000;

/** Items that somebody waits for. */
export class Queue {
  #items = [];
  #waiting = [];

  push(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  get length() {
    return this.#items.length;
  }

  async next(what = "item") {
    if (this.#items.length > 0) return this.#items.shift();
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`no ${what} within ${WAIT_MS} ms`)), WAIT_MS);
      this.#waiting.push((item) => {
        clearTimeout(late);
        resolve(item);
      });
    });
  }
}

export async function startFakeServer() {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "graphql-transport-ws" });
  await new Promise((resolve) => server.once("listening", resolve));
  const operations = new Queue();
  let answersPings = true;

  server.on("connection", (socket) => {
    const running = new Map();
    socket.on("message", (text) => {
      const { id, type, payload } = JSON.parse(text);
      const send = (message) => socket.send(JSON.stringify(message));
      if (type === "connection_init") send({ type: "connection_ack" });
      else if (type === "ping" && answersPings) send({ type: "pong" });
      else if (type === "complete") running.get(id)?.completed.push(true);
      else if (type === "subscribe") {
        const operation = {
          payload,
          resumeFrom: payload.extensions?.thalweg?.resumeFrom,
          completed: new Queue(),
          next: (payload) => send({ id, type: "next", payload }),
          /** The complete result, as the first message of a live query with patches or after errors. */
          result: (commitTs, data, revision = 1) => operation.next({ data, revision, extensions: { thalweg: { commitTs } } }),
          patch: (commitTs, revision, patch) => operation.next({ patch, revision, extensions: { thalweg: { commitTs } } }),
          error: (...codes) => send({ id, type: "error", payload: codes.map((code) => ({ message: code, extensions: { code } })) }),
          complete: () => send({ id, type: "complete" }),
          cut: () => socket.terminate(),
          /** The server shuts down; all that it has told shows the state of that commit. */
          leave: (commitTs) => socket.close(1001, `Going away; resumeFrom=${commitTs}`),
        };
        running.set(id, operation);
        operations.push(operation);
      }
    });
  });

  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    subscribed: () => operations.next("operation"),
    operations,
    /** As if the network were gone. */
    fallSilent: () => (answersPings = false),
    async stop() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
