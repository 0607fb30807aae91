// Nothing is lost and nothing comes twice: under steady writes connections are cut off a thousand times and the server is killed ten
// times. Live queries with patches and without, and readers of the change stream, come back each time; all that they were told is
// compared with the past of the server in the end, and with what writers were told.

import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import WebSocket from "ws";
import { createLiveClient, live } from "@thalweg/client";
import { startProxy } from "./cutting_proxy.mjs";
import { Follower } from "./live/audience.mjs";
import { commitTsOf, timeOf } from "./live/past.mjs";
import { Random, seedOfRun } from "./oracle/random.mjs";
import { startServer } from "./own_server.mjs";

const CUTS = Number(process.env.THALWEG_LOSSLESS_CUTS ?? 1000);
const KILLS = Number(process.env.THALWEG_LOSSLESS_KILLS ?? 10);
const WRITERS = 4;
/** It goes on until so many writes were acknowledged. */
const WRITES_MIN = 300;
const ROWS = 40;
/** Of each kind of follower. */
const FOLLOWERS = { patched: 12, whole: 6, subscription: 4, changes: 4, events: 4 };
/** How many states that were shown are asked for once more in the end. */
const COMPARED = 1500;
const WAIT_MS = 30_000;

const seed = seedOfRun();
const random = new Random(seed);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const board = (at = "") => `
  top: items(${at} filter: {rank: {gte: 40}}, orderBy: [{rank: DESC}, {id: ASC}], first: 10) { nodes { id rank n } totalCount }
  rest: items(${at} filter: {rank: {lt: 40}}, orderBy: [{n: ASC}], last: 8) { nodes { id rank n } pageInfo { hasPreviousPage } }
  sums: itemsAggregate(${at} filter: {id: {startsWith: "row"}}) { count sum { rank } max { n } }
  mark(${at} id: "mark") { text }`;
const one = (at = "") => `items(${at} orderBy: [{n: DESC}], first: 12) { nodes { id n } totalCount }`;
const OPERATIONS = {
  patched: { query: `query Board @live(patch: true) { ${board()} }`, isPatched: true, past: board },
  whole: { query: `query Board @live { ${board()} }`, isResumed: true, past: board },
  subscription: { query: `subscription { ${one()} }`, isResumed: true, past: one },
};

/** The server on its data, writers that know what they were told, and a network in between for everybody else. */
class Stage {
  /** What was acknowledged, by its number: `{commitTs, ids}`. */
  acknowledged = new Map();
  /** Numbers of writes that were answered by a broken connection. */
  inDoubt = new Set();
  /** How often a client has lost its connection. */
  lost = 0;
  isOver = false;
  #numbers = 0;
  #data = mkdtempSync(join(tmpdir(), "thalweg-e2e-"));
  #isUp = true;

  static async open() {
    const stage = new Stage();
    stage.server = await startServer({ data: stage.#data });
    stage.proxy = await startProxy(stage.server.origin);
    await stage.server.importInto("items", Array.from({ length: ROWS }, (_, id) => ({ id: `row-${id}`, rank: (id * 37) % 100, n: 0 })));
    await stage.server.importInto("marks", [{ id: "mark", text: "begun" }]);
    stage.began = commitTsOf(await stage.server.post("{ marks { totalCount } }"));
    return stage;
  }

  async close() {
    await this.proxy.stop();
    await this.server.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }

  /** kill -9, and a new one on its data. */
  async restart() {
    this.#isUp = false;
    await this.server.kill();
    await sleep(random.below(100));
    this.server = await startServer({ data: this.#data });
    this.proxy.retarget(this.server.origin);
    this.#isUp = true;
  }

  /** Writes one after the other until all is over. */
  async write() {
    while (!this.isOver) {
      const n = (this.#numbers += 1);
      const { query, variables } = this.#mutation(n);
      const { server } = this;
      try {
        const { data, errors, extensions } = await server.post(query, variables);
        assert.equal(errors, undefined, JSON.stringify(errors));
        // What is not there is not deleted.
        if (data.done === null) continue;
        const ids = [data.done].flat().map(({ id }) => id);
        this.acknowledged.set(n, { commitTs: commitTsOf({ extensions }), ids });
      } catch (error) {
        if (this.#isUp && server.isRunning()) throw error;
        this.inDoubt.add(n);
        while (!this.#isUp) await sleep(5);
      }
      await sleep(random.below(25));
    }
  }

  #mutation(n) {
    const id = `row-${random.below(ROWS)}`;
    const roll = random.next();
    if (roll < 0.15) return { query: "mutation ($id: ID!) { done: deleteItem(id: $id) { id } }", variables: { id } };
    if (roll < 0.35) {
      const documents = Array.from({ length: 1 + random.below(3) }, (_, part) => ({ id: `new-${n}-${part}`, rank: random.below(100), n }));
      return { query: "mutation ($documents: [JSON!]!) { done: insertDocuments(collection: \"items\", documents: $documents) }", variables: { documents } };
    }
    const input = { rank: random.below(100), n };
    return { query: "mutation ($id: ID!, $input: ItemInput!) { done: upsertItem(id: $id, input: $input) { id } }", variables: { id, input } };
  }

  async mark(text) {
    const { errors, extensions } = await this.server.post("mutation ($text: String) { updateMark(id: \"mark\", patch: {text: $text}) { id } }", { text });
    assert.equal(errors, undefined, JSON.stringify(errors));
    return commitTsOf({ extensions });
  }

  /** A client of the package on the broken network. */
  connect() {
    const client = createLiveClient({
      url: this.proxy.webSocketUrl,
      webSocketImpl: WebSocket,
      retryWait: () => sleep(5 + Math.random() * 20),
      on: { closed: () => (this.lost += this.isOver ? 0 : 1) },
    });
    return client;
  }
}

const COLLECTIONS = "items,marks";

/** Reads the change stream over a WebSocket, and keeps apart what is not whole. */
function changesOverWebSocket(stage) {
  const reader = { seen: [], stop: undefined, error: undefined };
  const client = stage.connect();
  const query = `subscription ($collections: [String!], $since: Timestamp) {
    changes(collections: $collections, since: $since) { commitTs collection id kind before after }
  }`;
  let commit = [];
  const stop = live(client, { query, variables: { collections: COLLECTIONS.split(","), since: stage.began } }, {
    next: ({ data, errors, extensions }) => {
      if (errors) reader.error = errors;
      commit.push(...data.changes);
      const resumeFrom = extensions?.thalweg?.commitTs;
      if (commit.at(-1)?.commitTs > (resumeFrom ?? "0")) return;
      reader.seen.push(...commit);
      commit = [];
    },
    resent: () => (commit = []),
    error: (error) => (reader.error = error),
  });
  reader.stop = async () => {
    stop();
    await client.dispose();
  };
  return reader;
}

/** Reads `GET /changes`, and goes on from its last position. */
function changesOverEvents(stage, url = stage.proxy.graphqlUrl.replace("/graphql", "")) {
  const reader = { seen: [], stop: undefined, error: undefined };
  let [position, isStopped, leave] = [undefined, false, () => {}];
  const connection = async () => {
    const cut = new AbortController();
    leave = () => cut.abort();
    const headers = position === undefined ? {} : { "last-event-id": position };
    const response = await fetch(`${url}/changes?collections=${COLLECTIONS}&since=${stage.began}`, { headers, signal: cut.signal });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    let [text, commit] = ["", []];
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const lines = text.slice(0, end).split("\n");
        text = text.slice(end + 2);
        const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        if (field("event") === "failed") reader.error = field("data");
        if (field("data")) commit.push(JSON.parse(field("data")));
        // Only the last change of a commit has an id.
        if (field("id") === undefined) continue;
        position = field("id");
        reader.seen.push(...commit);
        commit = [];
      }
    }
  };
  const reading = (async () => {
    while (!isStopped) {
      await connection().catch((error) => {
        if (/^4\d\d/.test(error.message)) reader.error = error;
      });
      stage.lost += stage.isOver ? 0 : 1;
      if (!isStopped) await sleep(5 + Math.random() * 20);
    }
  })();
  reader.stop = async () => {
    isStopped = true;
    leave();
    await reading;
  };
  return reader;
}

async function until(holds, what) {
  const deadline = Date.now() + WAIT_MS;
  while (!holds()) {
    assert.ok(Date.now() < deadline, what());
    await sleep(10);
  }
}

describe("nothing is lost and nothing comes twice", () => {
  test(`over ${CUTS} cuts and ${KILLS} kills under writes`, async (t) => {
    t.diagnostic(`THALWEG_SEED=${seed}`);
    const stage = await Stage.open();
    t.after(() => stage.close());
    const clients = [];
    const followers = Object.entries(OPERATIONS).flatMap(([kind, operation]) =>
      Array.from({ length: FOLLOWERS[kind] }, () => {
        const client = stage.connect();
        clients.push(client);
        return new Follower({ client }, operation);
      }),
    );
    const readers = [
      ...Array.from({ length: FOLLOWERS.changes }, () => changesOverWebSocket(stage)),
      ...Array.from({ length: FOLLOWERS.events }, () => changesOverEvents(stage)),
    ];
    await Promise.all(followers.map((it) => it.until(() => true, "the first result")));

    const writers = Array.from({ length: WRITERS }, () => stage.write());
    let kills = 0;
    while (stage.lost < CUTS || kills < KILLS || stage.acknowledged.size < WRITES_MIN) {
      await sleep(40 + random.below(200));
      // Half of them, each time others: at once, or in the middle of a message.
      stage.proxy.cut(random.pick([0, 0, 1, 1 + random.below(3000)]), () => random.chance(0.6));
      if (stage.lost >= (CUTS / KILLS) * (kills + 0.5) && kills < KILLS) {
        await stage.restart();
        kills += 1;
      }
    }
    await Promise.all([...writers, (async () => (stage.isOver = true))()]);
    t.diagnostic(JSON.stringify({ lost: stage.lost, kills, acknowledged: stage.acknowledged.size, inDoubt: stage.inDoubt.size }));

    // Whatever was still to be cut is.
    stage.proxy.cut();
    const last = await stage.mark("the end");
    const newest = ({ seen }) => seen.at(-1)?.commitTs;
    await Promise.all(readers.map((it) => until(() => it.error || newest(it) === last, () => `a reader came to ${newest(it)}, not to ${last}`)));
    const boards = followers.filter(({ operation }) => operation.past === board);
    await Promise.all(boards.map((it) => it.until(({ data }) => data?.mark?.text === "the end", "the end")));
    const full = await wholeStream(stage, last);
    checkStream(stage, full, last);
    for (const [index, reader] of readers.entries()) {
      assert.equal(reader.error, undefined, JSON.stringify(reader.error));
      checkReader(reader, full, `${index < FOLLOWERS.changes ? "subscription" : "GET /changes"} ${index}`);
    }
    await checkState(stage, full);
    await checkFollowers(stage, followers, t);
    for (const follower of followers) follower.stop();
    await Promise.all([...clients.map((it) => it.dispose()), ...readers.map((it) => it.stop())]);
  });
});

/** The stream from the beginning, by somebody who was not there before. */
async function wholeStream(stage, last) {
  const reader = changesOverEvents(stage, stage.server.origin);
  await until(() => reader.error || reader.seen.at(-1)?.commitTs === last, () => "the whole stream did not come");
  await reader.stop();
  assert.equal(reader.error, undefined);
  return reader.seen;
}

/** The stream has every acknowledged write, once and at its commit, and nothing that nobody wrote. */
function checkStream(stage, full, last) {
  const found = new Map();
  let before = BigInt(stage.began);
  for (const change of full) {
    const commitTs = BigInt(change.commitTs);
    assert.ok(commitTs >= before, "the stream is not in order");
    before = commitTs;
    const key = `${change.commitTs} ${change.id}`;
    assert.ok(!found.has(key), `${key} is in the stream twice`);
    found.set(key, change);
  }
  for (const [n, { commitTs, ids }] of stage.acknowledged) {
    for (const id of ids) {
      const change = found.get(`${commitTs} ${id}`);
      assert.ok(change, `write ${n} of ${id} was acknowledged at ${commitTs}, and is not in the stream`);
      assert.ok(change.after === null ? change.kind === "DELETE" : change.after.n === n, `write ${n}: ${JSON.stringify(change)}`);
      found.delete(`${commitTs} ${id}`);
    }
  }
  for (const change of found.values()) {
    if (change.commitTs === last && change.id === "mark") continue;
    // Of a delete its number is not to be seen.
    const isInDoubt = change.after === null ? stage.inDoubt.size > 0 : stage.inDoubt.has(change.after.n);
    assert.ok(isInDoubt, `nobody wrote ${JSON.stringify(change)}`);
  }
}

/** A reader that was cut off over and over has what one has that was not. */
function checkReader({ seen }, full, name) {
  const line = ({ commitTs, id, kind }) => `${commitTs} ${id} ${kind}`;
  for (let index = 0; index < Math.max(full.length, seen.length); index += 1) {
    const [told, expected] = [seen[index], full[index]].map((change) => change && line(change));
    assert.equal(told, expected, `${name}, change ${index} of ${full.length}`);
    assert.deepEqual(seen[index].after, full[index].after, `${name}, ${told}`);
  }
}

/** What the changes make of an empty database is the database. */
async function checkState(stage, full) {
  const state = new Map(Array.from({ length: ROWS }, (_, id) => [`row-${id}`, { id: `row-${id}`, rank: (id * 37) % 100, n: 0 }]));
  for (const { collection, id, after } of full.filter(({ collection }) => collection === "items")) {
    if (after === null) state.delete(id);
    else state.set(id, after);
  }
  const exported = await (await fetch(`${stage.server.origin}/export/items`)).text();
  const documents = exported.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(state, new Map(documents.map((document) => [document.id, document])));
}

async function checkFollowers(stage, followers, t) {
  // Asked once for each state and operation, whoever has shown it.
  const shown = new Map();
  for (const follower of followers) {
    assert.equal(follower.error, undefined, JSON.stringify(follower.error));
    assert.deepEqual(follower.gaps, [], "messages of the server did not fit together");
    for (const [index, event] of follower.events.entries()) {
      assert.equal(event.errors, undefined, JSON.stringify(event.errors));
      const before = follower.events[index - 1];
      if (before) {
        assert.ok(BigInt(commitTsOf(event)) >= BigInt(commitTsOf(before)), "an older state was shown");
        assert.ok(!isDeepStrictEqual(event.data, before.data), `the same was shown twice: ${JSON.stringify([before, event])}`);
      }
      const key = `${follower.operation.past === board} ${commitTsOf(event)}`;
      if (!shown.has(key)) shown.set(key, { past: follower.operation.past, commitTs: commitTsOf(event), data: event.data });
      else assert.deepEqual(event.data, shown.get(key).data, `two were told different states of ${commitTsOf(event)}`);
    }
    const now = await stage.server.run(`{ ${follower.operation.past()} }`);
    assert.deepEqual(follower.last.data, now);
  }
  const asked = random.some([...shown.values()], COMPARED);
  while (asked.length > 0) {
    await Promise.all(
      asked.splice(0, 8).map(async ({ past, commitTs, data }) => {
        assert.deepEqual(data, await stage.server.run(`{ ${past(`at: "${timeOf(commitTs)}",`)} }`), `at ${commitTs}`);
      }),
    );
  }
  t.diagnostic(`${followers.reduce((sum, { events }) => sum + events.length, 0)} events, ${shown.size} different`);
}
