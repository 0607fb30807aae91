// The link and the exchange, with the real Apollo Client and urql, where the server must do what a real one does seldom.

import { strict as assert } from "node:assert";
import { after, before, beforeEach, describe, test } from "node:test";
import { ApolloClient, ApolloLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { Client, cacheExchange } from "@urql/core";
import { Observable } from "rxjs";
import { filter, map } from "wonka";
import WebSocket from "ws";
import { createLiveClient } from "@thalweg/client";
import { LiveLink } from "@thalweg/client/apollo";
import { liveExchange } from "@thalweg/client/urql";
import { Queue, startFakeServer } from "./fake_server.mjs";

const LIVE = "query Rows @live(patch: true) { rows { id } }";

let server;
let socket;

before(async () => {
  server = await startFakeServer();
  socket = createLiveClient({ url: server.url, webSocketImpl: WebSocket, retryWait: () => Promise.resolve() });
});
after(async () => {
  await socket.dispose();
  await server.stop();
});
beforeEach(() => assert.equal(server.operations.length, 0));

const failed = { data: null, errors: [{ message: "broken", extensions: { code: "TIMEOUT" } }], extensions: {} };

describe("Apollo Client", () => {
  const forwarded = [];
  let client;
  before(() => {
    const others = new ApolloLink(({ operationName }) => {
      forwarded.push(operationName);
      return new Observable((observer) => {
        observer.next({ data: { rows: [] } });
        observer.complete();
      });
    });
    client = new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.from([new LiveLink(socket), others]) });
  });
  after(() => client.stop());

  const watch = (options) => {
    const results = new Queue();
    const watched = client.watchQuery({ query: gql(LIVE), fetchPolicy: "no-cache", ...options });
    const subscription = watched.subscribe((result) => result.networkStatus !== 1 && results.push(result));
    return { results, stop: () => subscription.unsubscribe() };
  };

  test("what is not live goes to the next link", async () => {
    assert.deepEqual((await client.query({ query: gql`query Once { rows { id } }` })).data, { rows: [] });
    const once = gql`query Never($live: Boolean!) @live(if: $live) { rows { id } }`;
    await client.query({ query: once, variables: { live: false }, fetchPolicy: "no-cache" });
    assert.deepEqual(forwarded, ["Once", "Never"]);
  });

  test("a live query is followed, past an error, and left", async () => {
    const { results, stop } = watch({ errorPolicy: "all" });
    const operation = await server.subscribed();
    assert.match(operation.payload.query, /@live\(patch: true\)/);
    assert.equal(operation.payload.operationName, "Rows");
    operation.result("1", { rows: [{ __typename: "Row", id: "a" }] });
    const first = await results.next();
    assert.deepEqual([first.data.rows.length, first.loading], [1, false]);
    operation.next(failed);
    assert.ok(CombinedGraphQLErrors.is((await results.next()).error));
    operation.result("3", { rows: [{ __typename: "Row", id: "b" }] });
    const third = await results.next();
    assert.deepEqual([third.data.rows[0].id, third.error], ["b", undefined]);
    operation.patch("4", 2, [{ op: "remove", path: "/rows/0" }]);
    assert.deepEqual((await results.next()).data.rows, []);
    stop();
    await operation.completed.next("end");
  });

  test("the end by an error says its codes", async () => {
    const { results, stop } = watch();
    (await server.subscribed()).error("SCHEMA_CHANGED");
    const { error } = await results.next();
    assert.ok(CombinedGraphQLErrors.is(error));
    assert.equal(error.errors[0].extensions.code, "SCHEMA_CHANGED");
    stop();
  });

  test("the end by a closed socket is an error", async () => {
    const hopeless = new LiveLink(createLiveClient({ url: "ws://127.0.0.1:9", webSocketImpl: WebSocket, retryAttempts: 0 }));
    const lone = new ApolloClient({ cache: new InMemoryCache(), link: hopeless });
    // Alone, the link takes everything.
    await assert.rejects(lone.query({ query: gql`query Once { rows { id } }` }), Error);
    lone.stop();
  });
});

describe("urql", () => {
  const forwarded = [];
  let client;
  before(() => {
    const others = () => (operations$) =>
      map((operation) => {
        forwarded.push(operation.kind);
        return { operation, data: { rows: [] }, stale: false, hasNext: false };
      })(filter(({ kind }) => kind !== "teardown")(operations$));
    client = new Client({ url: "http://127.0.0.1:9", exchanges: [liveExchange(socket), cacheExchange, others], preferGetMethod: false });
  });

  const watch = (query = LIVE, context) => {
    const results = new Queue();
    const { unsubscribe } = client.query(query, {}, context).subscribe((result) => results.push(result));
    return { results, stop: unsubscribe };
  };

  test("what is not live goes to the next exchange", async () => {
    assert.deepEqual((await client.query("query Once { rows { id } }", {}).toPromise()).data, { rows: [] });
    await client.query(LIVE, {}, { requestPolicy: "cache-only" }).toPromise();
    assert.deepEqual(forwarded, ["query"]);
  });

  test("a live query is followed, past an error and without what was there before it, and left", async () => {
    const { results, stop } = watch();
    const operation = await server.subscribed();
    operation.result("1", { rows: [{ id: "a" }] });
    assert.deepEqual((await results.next()).data, { rows: [{ id: "a" }] });
    operation.next(failed);
    const second = await results.next();
    assert.deepEqual([second.data, second.error.graphQLErrors[0].extensions.code], [null, "TIMEOUT"]);
    operation.result("3", { rows: [{ id: "b" }] });
    const third = await results.next();
    assert.deepEqual([third.data, third.error], [{ rows: [{ id: "b" }] }, undefined]);
    operation.patch("4", 2, [{ op: "remove", path: "/rows/0" }]);
    const fourth = await results.next();
    assert.deepEqual([fourth.data, fourth.extensions.thalweg.commitTs], [{ rows: [] }, "4"]);
    stop();
    await operation.completed.next("end");
  });

  test("who comes later, or asks again, shares it and has the newest result", async () => {
    const one = watch();
    const operation = await server.subscribed();
    operation.result("1", { rows: [] });
    await one.results.next();
    const two = watch(LIVE, { requestPolicy: "network-only" });
    let result;
    do result = await two.results.next();
    while (result.stale);
    assert.deepEqual(result.data, { rows: [] });
    operation.patch("2", 2, [{ op: "add", path: "/rows/0", value: { id: "a" } }]);
    do result = await two.results.next();
    while (result.data.rows.length === 0);
    one.stop();
    operation.patch("3", 3, [{ op: "remove", path: "/rows/0" }]);
    assert.deepEqual((await two.results.next()).data, { rows: [] });
    assert.equal(server.operations.length, 0);
    two.stop();
    await operation.completed.next("end");
  });

  test("the first result is enough for who wants one", async () => {
    const result = client.query(LIVE, {}).toPromise();
    const operation = await server.subscribed();
    operation.result("1", { rows: [] });
    assert.deepEqual((await result).data, { rows: [] });
    await operation.completed.next("end");
  });

  test("the end by an error says its codes, and asking again begins anew", async () => {
    const { results, stop } = watch();
    (await server.subscribed()).error("SCHEMA_CHANGED");
    assert.equal((await results.next()).error.graphQLErrors[0].extensions.code, "SCHEMA_CHANGED");
    const again = watch(LIVE, { requestPolicy: "network-only" });
    (await server.subscribed()).result("1", { rows: [] });
    let result;
    do result = await again.results.next();
    while (result.stale || result.error);
    assert.deepEqual(result.data, { rows: [] });
    stop();
    again.stop();
  });

  test("a subscription ends when the server ends it", async () => {
    const results = new Queue();
    client.subscription("subscription { rows { id } }", {}).subscribe((result) => results.push(result));
    const operation = await server.subscribed();
    operation.next({ data: { rows: [] } });
    assert.deepEqual((await results.next()).data, { rows: [] });
    operation.complete();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(server.operations.length, 0);
  });
});
