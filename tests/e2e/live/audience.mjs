// Who follows live operations over several WebSockets, and keeps all that it was told, to be judged afterwards.

import { strict as assert } from "node:assert";
import { isDeepStrictEqual } from "node:util";
import WebSocket from "ws";
import { createLiveClient, live } from "@thalweg/client";
import { commitTsOf } from "./past.mjs";

const WAIT_MS = 20_000;
const MARK = 'subscription { marks(filter: {id: {eq: "mark"}}) { nodes { text } } }';

/** One WebSocket. What its messages show only ever becomes newer. */
export class Connection {
  #newest = 0n;
  #marked;
  /** What is wrong with its messages. */
  faults = [];

  constructor(url) {
    this.client = createLiveClient({
      url,
      webSocketImpl: WebSocket,
      on: {
        message: ({ type, payload }) => {
          if (type !== "next" || payload.extensions?.thalweg?.commitTs === undefined) return;
          const commitTs = BigInt(commitTsOf(payload));
          if (commitTs < this.#newest) this.faults.push(`${commitTs} came after ${this.#newest}: ${JSON.stringify(payload)}`);
          this.#newest = commitTs;
        },
      },
    });
    this.#marked = new Follower(this, { query: MARK });
  }

  /** Waits until it has been told of the mark. */
  until(text) {
    return this.#marked.until(({ data }) => data.marks.nodes[0]?.text === text, `the mark ${text}`);
  }

  async dispose() {
    this.#marked.stop();
    await this.client.dispose();
  }
}

/** A subscription and all that it was told. */
export class Follower {
  events = [];
  /** How many of them have been judged. */
  judged = 0;
  /** What it ended with. */
  error;
  gaps = [];
  #waiting = [];
  #stop;

  constructor(connection, operation) {
    this.connection = connection;
    this.operation = operation;
    const { query, variables } = operation;
    const sink = {
      next: (result) => this.#take(() => this.events.push(result)),
      error: (error) => this.#take(() => (this.error = error)),
      complete: () => {},
    };
    // What has no patches, and does not come back, is taken as it comes, without the package.
    this.#stop = operation.isPatched || operation.isResumed
      ? live(connection.client, { query, variables }, sink, { onGap: (why) => this.gaps.push(why) })
      : connection.client.subscribe({ query, variables }, sink);
  }

  get last() {
    return this.events.at(-1);
  }

  stop() {
    this.#stop();
  }

  async until(expected, what) {
    const deadline = Date.now() + WAIT_MS;
    while (!(this.last && expected(this.last)) && this.error === undefined) {
      const left = deadline - Date.now();
      assert.ok(left > 0, `${what} was not told within ${WAIT_MS} ms; the last of ${this.events.length} events is ${JSON.stringify(this.last)}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(late);
          resolve();
        });
      });
    }
  }

  #take(note) {
    note();
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** Whether two results show the same; where they were, and how a cursor was made, aside. */
export function isSame(one, other) {
  return isDeepStrictEqual(one.data, other.data) && isDeepStrictEqual(errorsOf(one), errorsOf(other));
}

const errorsOf = ({ errors = [] }) => errors.map(({ message, path }) => ({ message, path }));
