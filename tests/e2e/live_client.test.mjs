// @thalweg/client as it would be published, against the server: what it shows is what the server would answer, whatever happens to
// the network and to the server. `node ../../clients/typescript/scripts/install.mjs .` installs it here.
//
// Of every result that is shown it is asked afterwards, by `at`, whether it was the state at its `commitTs`.

import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Client as UrqlClient, cacheExchange, fetchExchange } from "@urql/core";
import { createClient as createSseClient } from "graphql-sse";
import WebSocket from "ws";
import { createLiveClient, iterate, live } from "@thalweg/client";
import { LiveLink } from "@thalweg/client/apollo";
import { liveExchange } from "@thalweg/client/urql";
import { startProxy } from "./cutting_proxy.mjs";
import { Events } from "./events.mjs";
import { commitTsOf, timeOf, withoutCursors } from "./live/past.mjs";
import { startServer } from "./own_server.mjs";

const ROWS = 40;
const WRITES = 600;
const WRITERS = 3;
const RESTARTS = 4;

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A query of several kinds of list, as it is now or as it was. */
function board(at = "") {
  return `
    top: items(${at} filter: {rank: {gte: 50}}, orderBy: [{rank: DESC}, {id: ASC}], first: 10) { nodes { id rank name } totalCount }
    pages: items(${at} orderBy: [{name: ASC}, {id: ASC}], first: 15) { edges { cursor node { nodeId name tags } } pageInfo { hasNextPage } }
    plain: items(${at} filter: {rank: {lt: 30}}, orderBy: [{id: ASC}], first: 20) { nodes { label: name rank } }
    one: item(${at} id: "row-1") { name rank tags }
    marks(${at} orderBy: [{id: ASC}], first: 3) { nodes { id text } }`;
}
const PATCHED = `query Board @live(patch: true) { ${board()} }`;
const WHOLE = `query Board @live { ${board()} }`;
/** A subscription has one root field. */
const SUBSCRIPTION = "subscription { marks(orderBy: [{id: ASC}], first: 3) { nodes { id text } } }";
const ONCE = `{ ${board()} }`;

const item = (n) => ({ id: `row-${n}`, name: `name ${n % 7}`, rank: (n * 37) % 100, tags: n % 2 ? ["odd"] : [] });

async function fill(server) {
  await server.importInto("items", Array.from({ length: ROWS }, (_, n) => item(n)));
  await server.importInto("marks", [{ id: "mark", text: "begun" }]);
}

/** A write of a random kind. What is not there is not written to. */
async function write(server) {
  const id = `row-${Math.floor(Math.random() * ROWS)}`;
  const patch = pick([{ rank: Math.floor(Math.random() * 100) }, { name: `name ${Math.floor(Math.random() * 9)}` }, { tags: pick([[], ["a"], ["b", "a"]]) }]);
  await pick([
    () => server.run("mutation ($id: ID!, $patch: ItemPatch!) { updateItem(id: $id, patch: $patch) { id } }", { id, patch }),
    () => server.run("mutation ($id: ID!, $patch: ItemPatch!) { updateItem(id: $id, patch: $patch) { id } }", { id, patch }),
    () => server.run("mutation ($id: ID!) { deleteItem(id: $id) { id } }", { id }),
    () => server.run("mutation ($id: ID!) { restoreItem(id: $id) { id } }", { id }),
  ])();
}

/** A write that every follower sees, so that it knows when it is up to date. */
async function mark(server) {
  const text = `mark ${process.hrtime.bigint()}`;
  await server.run("mutation ($text: String) { updateMark(id: \"mark\", patch: {text: $text}) { id } }", { text });
  return text;
}

/** Follows the board, keeps all it is shown, and counts what came over the wire. */
class Follower {
  results = [];
  gaps = [];
  error;
  #waiting = [];

  constructor(client, query = PATCHED, options = {}) {
    const sink = {
      next: (result) => this.#take(result),
      error: (error) => {
        this.error = error;
        this.#wake();
      },
    };
    this.stop = live(client, { query }, sink, { onGap: (why) => this.gaps.push(why), ...options });
  }

  get last() {
    return this.results.at(-1);
  }

  #take(result) {
    this.results.push(result);
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(expected, what) {
    const deadline = Date.now() + 20_000;
    while (!(this.last && expected(this.last))) {
      assert.equal(this.error, undefined);
      const left = deadline - Date.now();
      assert.ok(left > 0, `${what} was not shown; the last of ${this.results.length} is ${JSON.stringify(this.last)}`);
      await new Promise((resolve) => {
        const late = setTimeout(resolve, left);
        this.#waiting.push(() => {
          clearTimeout(late);
          resolve();
        });
      });
    }
  }

  /** Waits until it shows the mark, and then compares it with what a fresh query gives. */
  async agrees(server, text) {
    await this.until((result) => result.data.marks.nodes[0].text === text, text);
    assert.deepEqual(this.last.data, this.#fieldsOf(await server.run(ONCE)));
  }

  /** Of a whole board, the fields that this one follows. */
  #fieldsOf(whole) {
    return Object.fromEntries(Object.keys(this.last.data).map((field) => [field, whole[field]]));
  }

  /** Whether all that was shown was true when it was, and in order. */
  async wasRight(server) {
    assert.deepEqual(this.gaps, [], "messages of the server did not fit together");
    for (const [index, result] of this.results.entries()) {
      assert.equal(result.errors, undefined);
      assert.deepEqual(Object.keys(result).sort(), ["data", "extensions"]);
      const before = this.results[index - 1];
      if (before) assert.ok(BigInt(commitTsOf(result)) >= BigInt(commitTsOf(before)), "an older state was shown");
    }
    for (const result of this.results) {
      const then = await server.run(`{ ${board(`at: "${timeOf(commitTsOf(result))}",`)} }`);
      // A cursor is of the time at which it was made.
      assert.deepEqual(withoutCursors(result.data), withoutCursors(this.#fieldsOf(then)), `at ${commitTsOf(result)}`);
    }
  }
}

/** A client of the package, which is disposed of after the test `t`, and what came in its messages. */
function connect(t, url, webSocketImpl = WebSocket) {
  // `resumed`: how many connections began with a patch, for a client that follows one operation.
  const wire = { patches: 0, results: 0, resumed: 0 };
  let isFirst = true;
  const client = createLiveClient({
    url,
    webSocketImpl,
    retryWait: () => sleep(5 + Math.random() * 20),
    on: {
      connected: () => (isFirst = true),
      message: ({ type, payload }) => {
        if (type !== "next") return;
        if (payload.patch) wire.patches += 1;
        else wire.results += 1;
        if (payload.patch && isFirst) wire.resumed += 1;
        isFirst = false;
      },
    },
  });
  t.after(() => client.dispose());
  return { client, wire };
}

describe("patches", () => {
  let server;
  before(async () => {
    server = await startServer();
    await fill(server);
  });
  after(() => server.stop());

  test("give what a fresh query gives, at each commit that is shown, and share what has not changed", async (t) => {
    const { client, wire } = connect(t, server.webSocketUrl);
    const patched = new Follower(client);
    const whole = new Follower(client, WHOLE);
    await Promise.all([patched, whole].map((it) => it.until(() => true, "the first result")));
    for (let n = 0; n < 150; n += 1) {
      await write(server);
      if (n % 30 === 0) {
        const text = await mark(server);
        await patched.agrees(server, text);
        await whole.agrees(server, text);
      }
    }
    const text = await mark(server);
    for (const it of [patched, whole]) {
      await it.agrees(server, text);
      it.stop();
      await it.wasRight(server);
    }
    assert.ok(patched.results.length > 50, `${patched.results.length} results`);
    assert.ok(wire.patches >= patched.results.length - 2, `${wire.patches} of ${patched.results.length} results came as patches`);
    for (const { results } of [patched, whole]) {
      for (const [index, { data }] of results.entries()) {
        const before = results[index - 1]?.data ?? {};
        for (const field of Object.keys(before)) {
          const isEqual = JSON.stringify(data[field]) === JSON.stringify(before[field]);
          assert.equal(data[field] === before[field], isEqual, `${field} of result ${index}`);
        }
      }
    }
  });

  test("follow a result that a query over HTTP gave", async (t) => {
    const initial = await server.post(ONCE);
    assert.equal(initial.errors, undefined);
    const { client, wire } = connect(t, server.webSocketUrl);
    const follower = new Follower(client, PATCHED, { initial });
    await sleep(300);
    assert.equal(follower.results.length, 0, "what was there was sent");
    await follower.agrees(server, await mark(server));
    assert.deepEqual([wire.patches, wire.results], [1, 0]);
    assert.equal(follower.last.data.top, initial.data.top);
    follower.stop();
    await follower.wasRight(server);
  });

  test("for await", async (t) => {
    const { client } = connect(t, server.webSocketUrl);
    let text = await mark(server);
    let marks = 0;
    for await (const { data } of iterate(client, { query: PATCHED })) {
      if (data.marks.nodes[0].text !== text) continue;
      assert.deepEqual(data, await server.run(ONCE));
      marks += 1;
      if (marks === 5) break;
      text = await mark(server);
    }
  });

  test("an operation that is not valid is an error with its code", async (t) => {
    const { client } = connect(t, server.webSocketUrl);
    const follower = new Follower(client, "query @live(patch: true) { items { nodes { noSuchField } } }");
    await assert.rejects(follower.until(() => true));
    assert.equal(follower.error[0].extensions.code, "VALIDATION_FAILED");
  });

  test("a live query that a change of the schema makes invalid ends with SCHEMA_CHANGED", async (t) => {
    await server.importInto("passing", [{ id: "a" }]);
    const { client } = connect(t, server.webSocketUrl);
    const { collections } = await server.run("{ collections { name listField } }");
    const { listField } = collections.find(({ name }) => name === "passing");
    const ending = new Follower(client, `query @live(patch: true) { ${listField}(first: 1) { nodes { id } } }`);
    await ending.until(() => true, "the first result");
    await server.run("mutation { dropCollection(name: \"passing\") { name } }");
    await assert.rejects(ending.until(() => false));
    assert.equal(ending.error[0].extensions.code, "SCHEMA_CHANGED");
  });
});

describe("network cuts", () => {
  let server;
  let proxy;
  before(async () => {
    server = await startServer();
    await fill(server);
    proxy = await startProxy(server.origin);
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  /** Writes, while connections are cut off at random moments and places. */
  async function writeUnderCuts() {
    let [left, isWriting] = [WRITES, true];
    const before = proxy.cuts;
    const cutting = (async () => {
      while (isWriting) {
        await sleep(20 + Math.random() * 60);
        proxy.cut(pick([0, 0, 1, Math.ceil(Math.random() * 4000)]));
      }
    })();
    const writers = Array.from({ length: WRITERS }, async () => {
      while (left-- > 0) {
        await write(server);
        await sleep(Math.random() * 20);
      }
    });
    await Promise.all(writers);
    isWriting = false;
    await cutting;
    // Those that were still to be cut.
    proxy.cut();
    return proxy.cuts - before;
  }

  test("under writes: what is shown is right all the time, and in the end what a fresh query gives", async (t) => {
    const one = connect(t, proxy.webSocketUrl);
    const two = connect(t, proxy.webSocketUrl);
    const followers = [PATCHED, WHOLE, SUBSCRIPTION].map((query) => new Follower(one.client, query)).concat(new Follower(two.client));
    await Promise.all(followers.map((it) => it.until(() => true, "the first result")));
    const cuts = await writeUnderCuts();
    assert.ok(cuts > 40, `${cuts} cuts`);
    const text = await mark(server);
    for (const it of followers) {
      await it.agrees(server, text);
      it.stop();
      await it.wasRight(server);
    }
    assert.ok(two.wire.resumed > 5, `${two.wire.resumed} connections resumed with a patch`);
    assert.equal(two.wire.results, 1, "a complete result came where the difference was known");
  });

  test("a client of graphql-sse resumes as well", async (t) => {
    const retry = () => sleep(5 + Math.random() * 20);
    let patches = 0;
    const onMessage = ({ data }) => (patches += data?.patch ? 1 : 0);
    const client = createSseClient({ url: proxy.graphqlUrl, retryAttempts: Infinity, retry, onMessage });
    t.after(() => client.dispose());
    const follower = new Follower(client);
    await follower.until(() => true, "the first result");
    await writeUnderCuts();
    await follower.agrees(server, await mark(server));
    follower.stop();
    await follower.wasRight(server);
    assert.equal(patches, follower.results.length - 1, "a complete result came where the difference was known");
  });

  test("a message that is lost is noticed, and nothing wrong is shown", async (t) => {
    /** As if something between the two took patches away, which no network does. */
    class Lossy extends WebSocket {
      set onmessage(take) {
        super.onmessage = (event) => (event.data.includes("\"patch\":") && Math.random() < 0.2 ? undefined : take(event));
      }
    }
    const { client } = connect(t, server.webSocketUrl, Lossy);
    const follower = new Follower(client);
    await follower.until(() => true, "the first result");
    for (let n = 0; n < 150; n += 1) await write(server);
    const { length } = follower.gaps.splice(0);
    assert.ok(length > 5, `${length} gaps`);
    // The last message of all may have been lost, which only the next one shows.
    let text;
    const isUp = () => follower.last.data.marks.nodes[0].text === text;
    while (!isUp()) {
      text = await mark(server);
      await sleep(50);
    }
    assert.deepEqual(follower.last.data, await server.run(ONCE));
    follower.stop();
    follower.gaps = [];
    await follower.wasRight(server);
  });

  test("the change stream comes once, and in order, to who keeps apart what is not whole", async (t) => {
    const { client } = connect(t, proxy.webSocketUrl);
    const query = "subscription ($since: Timestamp) { changes(collections: [\"events\"], since: $since) { commitTs id } }";
    const since = commitTsOf(await server.post("mutation { createCollection(name: \"events\") { name } }"));
    const seen = [];
    let [commit, resent] = [[], 0];
    const told = new Events((observer) =>
      live(client, { query, variables: { since } }, {
        next: ({ data: { changes }, extensions }) => {
          commit.push(...changes);
          const resumeFrom = extensions?.thalweg?.commitTs;
          if (commit.at(-1)?.commitTs > (resumeFrom ?? "0")) return;
          seen.push(...commit);
          commit = [];
          observer.next(seen.length);
        },
        resent: () => {
          commit = [];
          resent += 1;
        },
        error: observer.error,
      }),
    );
    const expected = [];
    for (let n = 0; n < 150; n += 1) {
      // Now and then a commit that comes in several messages.
      const documents = Array.from({ length: n % 40 === 39 ? 2500 : 1 + (n % 3) }, (_, index) => ({ id: `${n}-${index}`, n }));
      await server.run("mutation ($d: [JSON!]!) { insertDocuments(collection: \"events\", documents: $d) }", { d: documents });
      expected.push(...documents.map(({ id }) => id));
      if (n % 4 === 0) proxy.cut(pick([0, 500, 100_000]));
      await sleep(Math.random() * 15);
    }
    proxy.cut();
    await told.until((count) => count >= expected.length);
    assert.deepEqual(seen.map(({ id }) => id), expected);
    assert.ok(resent > 10, `it was cut off ${resent} times`);
    told.stop();
  });
});

describe("a server that is killed", () => {
  test("and started again on its data: the client goes on, and is told the difference or nothing", async (t) => {
    const data = mkdtempSync(join(tmpdir(), "thalweg-e2e-"));
    let server = await startServer({ data });
    const proxy = await startProxy(server.origin);
    t.after(async () => {
      await proxy.stop();
      await server.kill();
      rmSync(data, { recursive: true, force: true });
    });
    const restart = async () => {
      server = await startServer({ data });
      proxy.retarget(server.origin);
    };
    await fill(server);
    const { client, wire } = connect(t, proxy.webSocketUrl);
    const [patched, whole] = [new Follower(client), new Follower(client, WHOLE)];
    const both = [patched, whole];
    await Promise.all(both.map((it) => it.until(() => true, "the first result")));

    for (let n = 0; n < RESTARTS; n += 1) {
      let isUp = true;
      const writing = Array.from({ length: WRITERS }, async () => {
        while (isUp) await write(server).catch((error) => assert.ok(!isUp, error));
      });
      await sleep(300 + Math.random() * 300);
      isUp = false;
      // The last of them is ended as an operator would.
      await (n === RESTARTS - 1 ? server.stop() : server.kill());
      await Promise.all(writing);
      const [results, shown] = [wire.results, whole.results.length];
      await restart();
      const text = await mark(server);
      for (const it of both) await it.agrees(server, text);
      assert.equal(wire.results - results, whole.results.length - shown, "who takes patches was sent a complete result");
    }

    // Nothing is written this time, so nothing is told.
    const connected = new Promise((resolve) => client.on("connected", resolve));
    const told = wire.patches + wire.results;
    await server.kill();
    await restart();
    await connected;
    await sleep(500);
    assert.equal(wire.patches + wire.results, told, "what the client had was sent once more");

    const text = await mark(server);
    for (const it of both) {
      await it.agrees(server, text);
      it.stop();
      await it.wasRight(server);
    }
  });
});

describe("with", () => {
  let server;
  let proxy;
  let socket;
  let disconnect;
  before(async () => {
    server = await startServer();
    await fill(server);
    proxy = await startProxy(server.origin);
    socket = connect({ after: (hook) => (disconnect = hook) }, proxy.webSocketUrl).client;
  });
  after(async () => {
    await disconnect();
    await proxy.stop();
    await server.stop();
  });

  /** A live query is shown, follows writes and cuts, and agrees in the end; `results` tell its data, `ask` gives a fresh one. */
  async function follows(results, ask) {
    for (let n = 0; n < 20; n += 1) {
      await write(server);
      if (n % 5 === 0) proxy.cut();
    }
    const text = await mark(server);
    const last = await results.until((data) => data.marks.nodes[0].text === text);
    assert.deepEqual(last, await ask());
    results.stop();
  }

  test("Apollo Client: watchQuery, its cache, and subscribe", async () => {
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([new LiveLink(socket), new HttpLink({ uri: server.graphqlUrl })]),
    });
    const shown = (observable) =>
      new Events((observer) => {
        const subscription = observable.subscribe((result) => {
          if (result.error) observer.error(result.error);
          else if (result.data) observer.next(result.data);
        });
        return () => subscription.unsubscribe();
      });
    const ask = async () => (await client.query({ query: gql(ONCE), fetchPolicy: "network-only" })).data;
    const watched = client.watchQuery({ query: gql(PATCHED), errorPolicy: "all" });
    await follows(shown(watched), ask);
    assert.equal(watched.getCurrentResult().networkStatus, 7);
    const bare = (data) => JSON.parse(JSON.stringify(data, (key, value) => (key === "__typename" ? undefined : value)));
    const { marks } = await server.run(ONCE);
    const told = shown(client.subscribe({ query: gql(SUBSCRIPTION), fetchPolicy: "no-cache" }));
    assert.deepEqual(bare(await told.next()), { marks });
    await follows(told, async () => ({ marks: (await ask()).marks }));
    client.stop();
  });

  test("urql: query and subscription", async () => {
    const client = new UrqlClient({
      url: server.graphqlUrl,
      exchanges: [liveExchange(socket), cacheExchange, fetchExchange],
      preferGetMethod: false,
    });
    const shown = (source) =>
      new Events((observer) => {
        const subscription = source.subscribe(({ data, error }) => {
          if (error) observer.error(error);
          else if (data) observer.next(data);
        });
        return () => subscription.unsubscribe();
      });
    const ask = async () => {
      const { data, error } = await client.query(ONCE, {}, { requestPolicy: "network-only" }).toPromise();
      assert.equal(error, undefined);
      return JSON.parse(JSON.stringify(data, (key, value) => (key === "__typename" ? undefined : value)));
    };
    await follows(shown(client.query(PATCHED, {})), ask);
    const told = shown(client.subscription(SUBSCRIPTION, {}));
    await told.next();
    await follows(told, async () => ({ marks: (await ask()).marks }));
  });
});
