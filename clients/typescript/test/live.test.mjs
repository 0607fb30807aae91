// What a live operation makes of the messages of a server, and what it sends.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { createLiveClient, iterate, live } from "@thalweg/client";
import { Queue, startFakeServer } from "./fake_server.mjs";

const QUERY = "query @live(patch: true) { rows { id } }";

let server;
let client;

before(async () => {
  server = await startFakeServer();
  client = createLiveClient({ url: server.url, webSocketImpl: WebSocket, retryWait: () => Promise.resolve() });
});
after(async () => {
  await client.dispose();
  await server.stop();
});

/** Follows a query; the first operation that the server gets comes with it. */
async function follow(request = { query: QUERY }, options = {}) {
  const results = new Queue();
  const ends = new Queue();
  const gaps = [];
  let resent = 0;
  const stop = live(
    client,
    request,
    {
      next: (result) => results.push(result),
      error: (error) => ends.push({ error }),
      complete: () => ends.push({ complete: true }),
      resent: () => (resent += 1),
    },
    { onGap: (why) => gaps.push(why), pause: () => Promise.resolve(), ...options },
  );
  const operation = await server.subscribed();
  return { operation, results, ends, gaps, stop, next: () => results.next("result"), resent: () => resent };
}

const at = (commitTs) => ({ thalweg: { commitTs } });

describe("patches", () => {
  test("become complete results that share what has not changed", async () => {
    const { operation, next, stop } = await follow();
    operation.result("1", { rows: [{ id: "a" }, { id: "b" }], other: { x: 1 } });
    const first = await next();
    assert.deepEqual(first, { data: { rows: [{ id: "a" }, { id: "b" }], other: { x: 1 } }, extensions: at("1") });
    operation.patch("2", 2, [{ op: "add", path: "/rows/0", value: { id: "c" } }]);
    const second = await next();
    assert.deepEqual(second, { data: { rows: [{ id: "c" }, { id: "a" }, { id: "b" }], other: { x: 1 } }, extensions: at("2") });
    assert.equal(second.data.other, first.data.other);
    assert.equal(second.data.rows[1], first.data.rows[0]);
    operation.patch("3", 3, [{ op: "replace", path: "", value: { rows: [], other: { x: 1 } } }]);
    assert.deepEqual((await next()).data, { rows: [], other: { x: 1 } });
    assert.equal(first.data.rows.length, 2, "an earlier result was changed");
    stop();
  });

  for (const [what, send] of [
    ["a revision that is missing", (operation) => operation.patch("3", 3, [])],
    ["a revision that comes twice", (operation) => operation.patch("3", 1, [])],
    ["no revision", (operation) => operation.patch("3", undefined, [])],
    ["a patch that does not apply", (operation) => operation.patch("3", 2, [{ op: "remove", path: "/rows/7" }])],
    ["a patch that applies in part", (operation) => operation.patch("3", 2, [{ op: "remove", path: "/rows/0" }, { op: "remove", path: "/x" }])],
    ["a patch that is none", (operation) => operation.patch("3", 2, [null])],
  ]) {
    test(`${what}: the result is asked for anew, and nothing wrong is shown`, async () => {
      const { operation, results, next, gaps, stop } = await follow();
      operation.result("1", { rows: [{ id: "a" }] });
      const first = await next();
      send(operation);
      const again = await server.subscribed();
      await operation.completed.next("end of the first");
      assert.equal(again.resumeFrom, undefined);
      assert.equal(again.payload.query, QUERY);
      assert.equal(gaps.length, 1);
      // What the first subscription still has to say is not heard.
      operation.result("9", { rows: [{ id: "late" }] });
      again.result("4", { rows: [{ id: "a" }, { id: "d" }] });
      const second = await next();
      assert.deepEqual(second, { data: { rows: [{ id: "a" }, { id: "d" }] }, extensions: at("4") });
      assert.equal(second.data.rows[0], first.data.rows[0]);
      again.patch("5", 2, [{ op: "remove", path: "/rows/0" }]);
      assert.deepEqual((await next()).data, { rows: [{ id: "d" }] });
      assert.equal(results.length, 0);
      stop();
    });
  }

  test("of a server that never sends what they are for are an error, and no endless loop", async () => {
    const { operation, ends } = await follow();
    operation.patch("2", 2, []);
    const again = await server.subscribed();
    again.patch("2", 2, []);
    const { error } = await ends.next();
    assert.equal(error.name, "LiveProtocolError");
    await again.completed.next("end");
    assert.equal(server.operations.length, 0);
  });
});

describe("a lost connection", () => {
  test("resumes from the last commit; the first patch is for what the client has", async () => {
    const { operation, next, gaps, stop, resent } = await follow();
    assert.equal(operation.payload.extensions, undefined);
    operation.result("1", { rows: [{ id: "a" }] });
    operation.patch("2", 2, [{ op: "add", path: "/rows/1", value: { id: "b" } }]);
    operation.patch("3", 3, [{ op: "add", path: "/rows/2", value: { id: "c" } }]);
    for (let n = 0; n < 3; n += 1) await next();
    operation.cut();
    const again = await server.subscribed();
    assert.deepEqual(again.payload.extensions, { thalweg: { resumeFrom: "3" } });
    assert.equal(resent(), 1);
    again.patch("7", 2, [{ op: "remove", path: "/rows/0" }]);
    assert.deepEqual(await next(), { data: { rows: [{ id: "b" }, { id: "c" }] }, extensions: at("7") });
    // Nothing is told this time, so what the client has is still of that commit.
    again.cut();
    assert.equal((await server.subscribed()).resumeFrom, "7");
    assert.deepEqual(gaps, []);
    stop();
  });

  test("may begin with a complete result, where the server does not know any more", async () => {
    const { operation, next, gaps, stop } = await follow();
    operation.result("1", { rows: [{ id: "a" }], other: {} });
    const first = await next();
    operation.cut();
    const again = await server.subscribed();
    again.result("5", { rows: [{ id: "b" }], other: {} });
    const second = await next();
    assert.deepEqual(second.data, { rows: [{ id: "b" }], other: {} });
    assert.equal(second.data.other, first.data.other);
    again.patch("6", 2, [{ op: "remove", path: "/rows/0" }]);
    assert.deepEqual((await next()).data.rows, []);
    assert.deepEqual(gaps, []);
    stop();
  });

  test("without patches resumes as well", async () => {
    const { operation, next, stop } = await follow({ query: "subscription { rows { id } }", extensions: { other: 1, thalweg: { x: 2 } } });
    assert.deepEqual(operation.payload.extensions, { other: 1, thalweg: { x: 2 } });
    operation.next({ data: { rows: [] }, extensions: at("1") });
    const first = await next();
    operation.next({ data: { rows: [] }, extensions: at("2") });
    assert.equal((await next()).data, first.data);
    operation.cut();
    const again = await server.subscribed();
    assert.deepEqual(again.payload.extensions, { other: 1, thalweg: { x: 2, resumeFrom: "2" } });
    stop();
  });

  test("to a server that shuts down resumes from where that says, if it has told something", async () => {
    const { operation, next, stop } = await follow();
    operation.result("1", { rows: [] });
    await next();
    operation.leave("8");
    const again = await server.subscribed();
    assert.equal(again.resumeFrom, "8");
    // It may not have come to know of an operation of which it has told nothing.
    again.leave("9");
    assert.equal((await server.subscribed()).resumeFrom, "8");
    stop();
  });

  test("before the first result begins as it was begun", async () => {
    const { operation, stop } = await follow({ query: "subscription { changes { id } }", extensions: { thalweg: { resumeFrom: "5" } } });
    assert.equal(operation.resumeFrom, "5");
    operation.cut();
    assert.equal((await server.subscribed()).resumeFrom, "5");
    stop();
  });

  test("within a commit of the change stream resumes before it", async () => {
    const { operation, next, stop, resent } = await follow({ query: "subscription { changes { id } }" });
    operation.next({ data: { changes: [{ id: "snapshot" }] } });
    operation.next({ data: { changes: [{ id: "a" }] }, extensions: at("1") });
    operation.next({ data: { changes: [{ id: "b" }] }, extensions: at("1") });
    for (let n = 0; n < 3; n += 1) await next();
    assert.equal(resent(), 0);
    operation.cut();
    assert.equal((await server.subscribed()).resumeFrom, "1");
    assert.equal(resent(), 1);
    stop();
  });

  test("on which nothing comes back any more is found out", { timeout: 20_000 }, async () => {
    const silent = await startFakeServer();
    const impatient = createLiveClient({ url: silent.url, webSocketImpl: WebSocket, keepAlive: 50, retryWait: () => Promise.resolve() });
    const stop = live(impatient, { query: QUERY }, { next: () => {}, error: () => {} });
    await silent.subscribed();
    silent.fallSilent();
    await new Promise((resolve) => impatient.on("closed", resolve));
    stop();
    await impatient.dispose();
    await silent.stop();
  });
});

describe("errors", () => {
  test("come with their result; after them the client does not resume, and the base begins anew", async () => {
    const { operation, next, gaps, stop } = await follow();
    operation.result("1", { rows: [{ id: "a" }] });
    const first = await next();
    const errors = [{ message: "broken", path: ["rows"], extensions: { code: "TIMEOUT" } }];
    operation.next({ data: null, errors, extensions: at("2") });
    assert.deepEqual(await next(), { data: null, errors, extensions: at("2") });
    operation.cut();
    const again = await server.subscribed();
    assert.equal(again.resumeFrom, undefined);
    again.result("3", { rows: [{ id: "a" }] });
    const after = await next();
    assert.equal(after.errors, undefined);
    assert.equal(after.data, first.data);
    again.patch("4", 2, [{ op: "remove", path: "/rows/0" }]);
    assert.deepEqual((await next()).data, { rows: [] });
    assert.deepEqual(gaps, []);
    stop();
  });

  test("that end the operation reach the sink", async () => {
    const { operation, ends } = await follow();
    operation.error("SCHEMA_CHANGED");
    const { error } = await ends.next();
    assert.deepEqual(error.map(({ extensions }) => extensions.code), ["SCHEMA_CHANGED"]);
  });

  test("that say that the server is not available are waited out, and what was there is resumed", async () => {
    const waits = [];
    const pause = async (attempt) => waits.push(attempt);
    const { operation, next, ends, stop } = await follow({ query: QUERY }, { pause });
    operation.result("1", { rows: [] });
    await next();
    operation.cut();
    for (let n = 0; n < 2; n += 1) (await server.subscribed()).error("UNAVAILABLE");
    const again = await server.subscribed();
    assert.equal(again.resumeFrom, "1");
    again.patch("2", 2, [{ op: "add", path: "/rows/0", value: { id: "a" } }]);
    assert.deepEqual((await next()).data, { rows: [{ id: "a" }] });
    again.error("UNAVAILABLE");
    (await server.subscribed()).error("UNAVAILABLE", "LIMIT_EXCEEDED");
    assert.ok((await ends.next()).error);
    assert.deepEqual(waits, [0, 1, 0]);
    stop();
  });

  test("stopping while the server is waited for ends it", async () => {
    let go;
    const { operation, ends, stop } = await follow({ query: QUERY }, { pause: () => new Promise((resolve) => (go = resolve)) });
    operation.error("UNAVAILABLE");
    while (!go) await new Promise(setImmediate);
    stop();
    go();
    assert.deepEqual(await ends.next(), { complete: true });
    await new Promise(setImmediate);
    assert.equal(server.operations.length, 0);
  });
});

describe("the beginning and the end", () => {
  test("a result that is here already is followed", async () => {
    const initial = { data: { rows: [{ id: "a" }] }, extensions: at("5") };
    const { operation, next, gaps, stop } = await follow({ query: QUERY }, { initial });
    assert.equal(operation.resumeFrom, "5");
    operation.patch("6", 2, [{ op: "add", path: "/rows/0", value: { id: "b" } }]);
    const { data } = await next();
    assert.deepEqual(data, { rows: [{ id: "b" }, { id: "a" }] });
    assert.equal(data.rows[1], initial.data.rows[0]);
    assert.deepEqual(gaps, []);
    stop();
  });

  for (const [what, initial] of [
    ["that does not say of which commit it is", { data: { rows: [] } }],
    ["with errors", { data: { rows: [] }, errors: [{ message: "broken" }], extensions: at("5") }],
  ]) {
    test(`a result ${what} is not`, async () => {
      const { operation, stop } = await follow({ query: QUERY }, { initial });
      assert.equal(operation.resumeFrom, undefined);
      stop();
    });
  }

  test("variables and the operation's name are sent", async () => {
    const { operation, stop } = await follow({ query: QUERY, variables: { a: 1 }, operationName: "Q" });
    assert.deepEqual(operation.payload, { query: QUERY, variables: { a: 1 }, operationName: "Q" });
    stop();
  });

  test("stopping tells the server, and nothing comes after it", async () => {
    const { operation, results, ends, stop } = await follow();
    stop();
    stop();
    assert.deepEqual(await ends.next(), { complete: true });
    await operation.completed.next("end");
    operation.result("1", {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual([results.length, ends.length], [0, 0]);
  });

  test("the server's end reaches the sink", async () => {
    const { operation, ends } = await follow();
    operation.complete();
    assert.deepEqual(await ends.next(), { complete: true });
  });

  test("a client that calls back before it returns can be stopped, and begins anew after a gap", () => {
    const seen = [];
    let [subscribed, unsubscribed] = [0, 0];
    const synchronous = {
      subscribe(payload, sink) {
        subscribed += 1;
        if (subscribed === 1) sink.next({ patch: [], revision: 2 });
        else sink.next({ data: { n: 1 }, revision: 1 });
        return () => (unsubscribed += 1);
      },
    };
    const stop = live(synchronous, { query: QUERY }, { next: (result) => seen.push(result), error: assert.ifError });
    assert.deepEqual(seen, [{ data: { n: 1 } }]);
    assert.deepEqual([subscribed, unsubscribed], [2, 1]);
    stop();
    assert.equal(unsubscribed, 2);
  });
});

describe("iterate", () => {
  const begin = async (options) => {
    const results = iterate(client, { query: QUERY }, options);
    const first = results.next();
    return { results, first, operation: await server.subscribed() };
  };

  test("gives the newest result to who is slow, and ends with the loop", async () => {
    const { results, first, operation } = await begin();
    operation.result("1", { n: 1 });
    assert.deepEqual((await first).value.data, { n: 1 });
    for (const n of [2, 3, 4]) operation.patch(String(n), n, [{ op: "replace", path: "/n", value: n }]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for await (const { data } of results) {
      assert.deepEqual(data, { n: 4 });
      break;
    }
    await operation.completed.next("end");
    assert.deepEqual(await results.next(), { done: true, value: undefined });
  });

  test("can keep all", async () => {
    const { results, first, operation } = await begin({ keep: "all" });
    for (const n of [1, 2, 3]) operation.result(String(n), { n });
    operation.complete();
    const seen = [(await first).value.data.n];
    for await (const { data } of results) seen.push(data.n);
    assert.deepEqual(seen, [1, 2, 3]);
  });

  test("throws the error that ends the operation, once, after the results before it", async () => {
    const { results, first, operation } = await begin();
    operation.result("1", { n: 1 });
    operation.result("2", { n: 2 });
    operation.error("SCHEMA_CHANGED");
    await first;
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual((await results.next()).value.data, { n: 2 });
    await assert.rejects(results.next(), (errors) => errors[0].extensions.code === "SCHEMA_CHANGED");
    assert.equal((await results.next()).done, true);
  });

  test("who waits when it is ended is told", async () => {
    const { results, first, operation } = await begin();
    await results.return();
    assert.equal((await first).done, true);
    await operation.completed.next("end");
  });

  test("asks for nothing before it is asked", async () => {
    const results = iterate(client, { query: QUERY });
    await results.return();
    assert.equal((await results.next()).done, true);
    assert.equal(server.operations.length, 0);
  });
});
