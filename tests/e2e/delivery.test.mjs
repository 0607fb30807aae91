// How results get to clients: persisted queries, compression, and responses in parts, as Apollo's and urql's clients take them.

import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { describe, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { Defer20220824Handler, GraphQL17Alpha9Handler } from "@apollo/client/incremental";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { Client, fetchExchange } from "@urql/core";
import { Events } from "./events.mjs";
import { TOP_RATED, graphqlUrl, lowRated, origin, run, topRated, unique, updateMovie } from "./server.mjs";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** A `fetch` that remembers the bodies it has sent. */
function watched() {
  const sent = [];
  const watching = async (url, options) => {
    sent.push(options.method === "GET" ? decodeURIComponent(String(url)) : options.body);
    return fetch(url, options);
  };
  return { sent, watching };
}

describe("persisted queries of @apollo/client", () => {
  for (const useGETForHashedQueries of [false, true]) {
    test(useGETForHashedQueries ? "by GET" : "by POST", async () => {
      const { sent, watching } = watched();
      const link = new PersistedQueryLink({ sha256, useGETForHashedQueries });
      const http = new HttpLink({ uri: graphqlUrl, fetch: watching });
      const client = new ApolloClient({ link: link.concat(http), cache: new InMemoryCache() });
      const query = gql(`query ${unique("Q").replace(/\W/g, "_")} { ${TOP_RATED} }`);
      for (let time = 0; time < 2; time += 1) {
        const { data } = await client.query({ query, fetchPolicy: "no-cache" });
        assert.equal(data.movies.nodes.length, 5);
      }
      // The hash alone, then with the text, then the hash alone again.
      assert.equal(sent.length, 3);
      assert.deepEqual(sent.map((body) => body.includes("IMDB_Rating")), [false, true, false]);
      assert.ok(sent.every((body) => body.includes("sha256Hash")));
    });
  }
});

describe("compression", () => {
  /** What comes over the wire: `fetch` would take it apart. */
  const raw = (path, headers) =>
    new Promise((resolve, reject) => {
      request(`${origin}${path}`, { headers }, (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      })
        .on("error", reject)
        .end();
    });

  for (const path of [
    "/export/movies",
    "/schema.graphql",
    `/graphql?query=${encodeURIComponent("{ movies(first: 500) { nodes { id Title Director } } }")}`,
  ]) {
    test(path.split("?")[0], async () => {
      const plain = await raw(path, {});
      assert.equal(plain.headers["content-encoding"], undefined);
      assert.match(plain.headers.vary, /accept-encoding/);
      const packed = await raw(path, { "accept-encoding": "gzip" });
      assert.equal(packed.headers["content-encoding"], "gzip");
      assert.ok(packed.body.length * 2 < plain.body.length, `${packed.body.length} of ${plain.body.length}`);
      const unpacked = gunzipSync(packed.body).toString();
      const withoutTime = (text) => text.replace(/"commitTs":"\d+"/, "");
      assert.equal(withoutTime(unpacked), withoutTime(plain.body.toString()));
    });
  }

  test("what fits into a packet is left alone", async () => {
    const { headers } = await raw("/graphql?query=%7B__typename%7D", { "accept-encoding": "gzip" });
    assert.equal(headers["content-encoding"], undefined);
  });
});

describe("parts", () => {
  const PLAIN = `query Parts { movies(filter: {IMDB_Rating: {gte: 8.5}}, first: 4) { nodes { id Title Director } totalCount } }`;
  const DEFERRED = `query Parts { movies(filter: {IMDB_Rating: {gte: 8.5}}, first: 4) { nodes { id ...Later @defer(label: "later") } totalCount } } fragment Later on Movie { Title Director }`;
  const STREAMED = `query Parts { movies(filter: {IMDB_Rating: {gte: 8.5}}, first: 4) { nodes @stream(initialCount: 1, label: "rows") { id Title Director } totalCount } }`;

  const apollo = (incrementalHandler) => {
    const types = [];
    const watching = async (url, options) => {
      const response = await fetch(url, options);
      types.push(response.headers.get("content-type"));
      return response;
    };
    const link = new HttpLink({ uri: graphqlUrl, fetch: watching });
    const client = new ApolloClient({ link, cache: new InMemoryCache(), incrementalHandler });
    return { client, types };
  };

  for (const [name, handler, queries] of [
    ["Defer20220824Handler", () => new Defer20220824Handler(), [DEFERRED, STREAMED]],
    ["GraphQL17Alpha9Handler", () => new GraphQL17Alpha9Handler(), [DEFERRED, STREAMED]],
  ]) {
    for (const query of queries) {
      test(`${name}: ${query === DEFERRED ? "@defer" : "@stream"}`, async () => {
        const { client, types } = apollo(handler());
        const results = new Events((observer) => {
          const subscription = client
            .watchQuery({ query: gql(query), fetchPolicy: "no-cache", notifyOnNetworkStatusChange: true })
            .subscribe(observer);
          return () => subscription.unsubscribe();
        });
        // 7 is "ready"; while parts are still to come it is 9, "streaming".
        const last = await results.until((result) => result.networkStatus === 7);
        results.stop();
        assert.match(types[0], /^multipart\/mixed/);
        const bare = JSON.parse(JSON.stringify(last.data, (key, value) => (key === "__typename" ? undefined : value)));
        assert.deepEqual(bare, await run(PLAIN));
      });
    }
  }

  test("urql", async () => {
    const client = new Client({ url: graphqlUrl, exchanges: [fetchExchange], preferGetMethod: false });
    for (const query of [DEFERRED, STREAMED]) {
      const results = [];
      await new Promise((resolve) => {
        client.query(query, {}).subscribe((result) => {
          results.push(result);
          if (!result.hasNext) resolve();
        });
      });
      const last = results.at(-1);
      assert.equal(last.error, undefined);
      assert.deepEqual(last.data, await run(PLAIN));
      assert.ok(results.length > 1, "all came at once");
    }
  });

  test("a live query of @apollo/client over multipart", async () => {
    const client = new ApolloClient({
      link: ApolloLink.from([new HttpLink({ uri: graphqlUrl })]),
      cache: new InMemoryCache(),
    });
    const live = new Events((observer) => {
      const query = gql`subscription { ${TOP_RATED} }`;
      const subscription = client.subscribe({ query, fetchPolicy: "no-cache" }).subscribe(observer);
      return () => subscription.unsubscribe();
    });
    const first = await live.next();
    assert.equal(first.data.movies.nodes.length, 5);
    const { id, Director } = (await topRated()).nodes[0];
    const unrelated = await lowRated();
    await updateMovie(unrelated.id, { Director: unrelated.Director });
    const director = unique("Director");
    await updateMovie(id, { Director: director });
    const second = await live.next();
    assert.equal(second.data.movies.nodes.find((node) => node.id === id).Director, director);
    live.stop();
    await updateMovie(id, { Director });
  });
});
