// The change stream: clients that are cut off at random and resume get every commit exactly once, in order.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";
import { Events } from "./events.mjs";
import { graphqlUrl, origin, post, webSocketUrl } from "./server.mjs";

const COMMITS = 1000;
const WRITERS = 8;
const collection = `stream_${process.hrtime.bigint().toString(36)}`;

async function mutate(query, variables) {
  const { data, errors, extensions } = await post(query, variables);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return { data, commitTs: extensions.thalweg.commitTs };
}

const insert = (documents) =>
  mutate("mutation ($c: String!, $d: [JSON!]!) { insertDocuments(collection: $c, documents: $d) }", {
    c: collection,
    d: documents,
  });

/** The events of a stream of server-sent events, with the id that a browser would send back after each. */
async function* serverSentEvents(url, { lastEventId, signal } = {}) {
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const response = await fetch(url, { headers, signal });
  assert.equal(response.status, 200, await (response.ok ? "" : response.text()));
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name) => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
      const [id] = field("id");
      lastEventId = id ?? lastEventId;
      yield { name: field("event")[0] ?? "message", data: field("data").join("\n"), isResumable: id !== undefined, lastEventId };
    }
  }
}

/**
 * How a transport connects: gives batches `{changes, resumeFrom}`, where `resumeFrom` has moved when all changes before it
 * have been told; and `leave`, which cuts the connection off.
 */
const transports = {
  "GET /changes": (resumeFrom) => {
    const cut = new AbortController();
    // What the URL says is where the client began; the header beats it.
    const url = `${origin}/changes?collections=${collection}&since=${began}`;
    async function* batches() {
      for await (const event of serverSentEvents(url, { lastEventId: resumeFrom, signal: cut.signal })) {
        assert.equal(event.name, "message", event.data);
        yield { changes: event.data ? [JSON.parse(event.data)] : [], resumeFrom: event.lastEventId };
      }
    }
    return { batches: batches(), leave: () => cut.abort() };
  },
  "graphql-ws": (resumeFrom) =>
    subscription(createWsClient({ url: webSocketUrl, webSocketImpl: WebSocket, retryAttempts: 0 }), resumeFrom),
  "graphql-sse": (resumeFrom) => subscription(createSseClient({ url: graphqlUrl, retryAttempts: 0 }), resumeFrom),
};

function subscription(client, resumeFrom) {
  const query = `subscription ($c: [String!]) { changes(collections: $c) { commitTs collection id kind before after } }`;
  const payload = { query, variables: { c: [collection] }, extensions: { thalweg: { resumeFrom } } };
  const events = new Events((observer) => client.subscribe(payload, observer));
  async function* batches() {
    for (;;) {
      const { data, errors, extensions } = await events.next();
      assert.equal(errors, undefined, JSON.stringify(errors));
      yield { changes: data.changes, resumeFrom: extensions.thalweg.commitTs };
    }
  }
  const leave = () => {
    events.stop();
    client.dispose();
  };
  return { batches: batches(), leave };
}

/** Reads until a change of the document `last`, and is cut off at random meanwhile. */
async function readWithDisconnects(connect) {
  const seen = [];
  let resumeFrom = began;
  let connections = 0;
  const isDone = () => seen.at(-1)?.id === "last";
  while (!isDone()) {
    connections += 1;
    let patience = 1 + Math.floor(Math.random() * 80);
    let open = [];
    const { batches, leave } = connect(resumeFrom);
    for await (const batch of batches) {
      open.push(...batch.changes);
      if (batch.resumeFrom !== resumeFrom) {
        resumeFrom = batch.resumeFrom;
        seen.push(...open);
        open = [];
      }
      patience -= 1;
      // What has come of a commit that is not whole is thrown away, and comes again.
      if (patience === 0 || isDone()) break;
    }
    leave();
  }
  return { seen, connections };
}

let began;

describe("the change stream", () => {
  before(async () => {
    const query = "mutation ($c: String!) { createCollection(name: $c) { name } }";
    began = (await mutate(query, { c: collection })).commitTs;
  });
  after(() => mutate("mutation ($c: String!) { dropCollection(name: $c) { name } }", { c: collection }));

  test(`${COMMITS} commits reach clients that are cut off at random, each once and in order`, async () => {
    const readers = Object.values(transports).map(readWithDisconnects);
    const written = new Map();
    const write = async (documents) => written.set((await insert(documents)).commitTs, documents.map(({ id }) => id));
    let next = 0;
    const writers = Array.from({ length: WRITERS }, async () => {
      while (next < COMMITS - 1) {
        const n = next++;
        await write([{ id: `${n}-a`, n }, ...(n % 5 === 0 ? [{ id: `${n}-b`, n }] : [])]);
      }
    });
    await Promise.all(writers);
    await write([{ id: "last" }]);
    assert.equal(written.size, COMMITS);

    const order = [...written.keys()].sort((a, b) => Number(BigInt(a) - BigInt(b)));
    const expected = order.flatMap((commitTs) => written.get(commitTs).map((id) => `${commitTs} ${id}`));
    for (const [index, reader] of readers.entries()) {
      const { seen, connections } = await reader;
      const name = Object.keys(transports)[index];
      assert.ok(connections > 3, `${name} was cut off ${connections - 1} times only`);
      assert.deepEqual(seen.map(({ commitTs, id }) => `${commitTs} ${id}`), expected, name);
      assert.ok(seen.every((change) => change.kind === "CREATE" && change.collection === collection && change.before === null));
      assert.ok(seen.every((change) => change.after.id === change.id));
    }
  });

  test("a snapshot, and then what comes after it", async () => {
    const url = `${origin}/changes?collections=${collection}&snapshot=true`;
    const cut = new AbortController();
    const state = new Map();
    let changed = false;
    for await (const { data, lastEventId, isResumable } of serverSentEvents(url, { signal: cut.signal })) {
      const change = data && JSON.parse(data);
      if (change?.kind === "SNAPSHOT") {
        assert.equal(lastEventId, undefined, "a snapshot cannot be resumed");
        state.set(change.id, change.after);
      } else if (!change && isResumable && !changed) {
        changed = true;
        await insert([{ id: "after the snapshot" }]);
      } else if (change) {
        assert.equal(change.kind, "CREATE");
        state.set(change.id, change.after);
        break;
      }
    }
    cut.abort();
    const exported = await (await fetch(`${origin}/export/${collection}`)).text();
    const documents = exported.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(new Set(state.keys()), new Set(documents.map(({ id }) => id)));
  });

  test("what cannot be resumed is refused with a status that says so", async () => {
    for (const [query, status, code] of [
      ["since=99999999999999999", 400, "BAD_REQUEST"],
      ["since=x", 400, "BAD_REQUEST"],
      ["collections=no_such_collection", 400, "BAD_REQUEST"],
    ]) {
      const response = await fetch(`${origin}/changes?${query}`);
      const { errors } = await response.json();
      assert.deepEqual([response.status, errors[0].extensions.code], [status, code], query);
    }
  });
});
