// What the npm clients see: graphql-ws, graphql-sse and Apollo against a running server.

import { strict as assert } from "node:assert";
import { after, describe, test } from "node:test";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";
import { Events } from "./events.mjs";
import { TOP_RATED, graphqlUrl, lowRated, post, run, topRated, unique, updateMovie, webSocketUrl } from "./server.mjs";

const commitTsOf = (result) => BigInt(result.extensions.thalweg.commitTs);
const directorOf = (result, id) => result.data.movies.nodes.find((node) => node.id === id)?.Director;

/** The two clients that have the same interface: `subscribe(payload, observer)` returns how to stop. */
const streaming = {
  "graphql-ws": () => createWsClient({ url: webSocketUrl, webSocketImpl: WebSocket, lazy: true, retryAttempts: 0 }),
  "graphql-sse": () => createSseClient({ url: graphqlUrl, retryAttempts: 0 }),
};

for (const [name, create] of Object.entries(streaming)) {
  describe(name, () => {
    const client = create();
    after(() => client.dispose());
    const events = (payload) => new Events((observer) => client.subscribe(payload, observer));

    test("a query is answered once", async () => {
      const answer = events({ query: `{ ${TOP_RATED} }` });
      const { data } = await answer.next();
      await answer.completed();
      assert.deepEqual(data.movies, await topRated());
      assert.equal(data.movies.nodes.length, 5);
    });

    test("a mutation is answered once and is visible afterwards", async () => {
      const { id, Director } = (await topRated()).nodes[0];
      const director = unique("Director");
      const answer = events({
        query: "mutation ($id: ID!, $patch: MoviePatch!) { updateMovie(id: $id, patch: $patch) { id Director } }",
        variables: { id, patch: { Director: director } },
      });
      assert.deepEqual((await answer.next()).data, { updateMovie: { id, Director: director } });
      await answer.completed();
      assert.equal((await run("query ($id: ID!) { movie(id: $id) { Director } }", { id })).movie.Director, director);
      await updateMovie(id, { Director });
    });

    for (const [kind, query] of [
      ["subscription", `subscription { ${TOP_RATED} }`],
      ["query @live", `query @live { ${TOP_RATED} }`],
    ]) {
      test(`${kind}: the result now, then every change that matters, and nothing else`, async () => {
        const live = events({ query });
        const first = await live.next();
        assert.deepEqual(first.data.movies, await topRated());

        const { id, Director } = first.data.movies.nodes[1];
        const unrelated = await lowRated();
        await updateMovie(unrelated.id, { Director: unique("Nobody") });
        await updateMovie(id, { Release_Date: unique("Some day") });
        assert.equal(live.count, 1, "a write outside of the filter, or to a field not selected, was sent");

        const director = unique("Director");
        const committed = BigInt(await updateMovie(id, { Director: director }));
        const second = await live.next();
        assert.equal(directorOf(second, id), director);
        assert.ok(commitTsOf(second) >= committed, "the event is older than the change it shows");
        assert.ok(commitTsOf(second) > commitTsOf(first));
        assert.equal(live.count, 2);

        await updateMovie(id, { Director });
        const third = await live.next();
        assert.deepEqual(third.data, first.data);
        live.stop();
        await updateMovie(unrelated.id, { Director: unrelated.Director });
      });
    }

    test("what leaves and enters the filter changes the rows and the count", async () => {
      const live = events({ query: `query @live { ${TOP_RATED} }` });
      const before = (await live.next()).data.movies;
      const { createMovie } = await run("mutation { createMovie(input: {Title: \"Entered\", IMDB_Rating: 10.5}) { id } }");
      const entered = (await live.next()).data.movies;
      assert.equal(entered.totalCount, before.totalCount + 1);
      assert.deepEqual(entered.nodes[0], { id: createMovie.id, Title: "Entered", Director: null });
      await updateMovie(createMovie.id, { IMDB_Rating: 1.5 });
      assert.deepEqual((await live.next()).data.movies, before);
      live.stop();
      await run("mutation ($id: ID!) { deleteMovie(id: $id, permanent: true) { id } }", createMovie);
    });

    test("several root fields of one live query come at one timestamp", async () => {
      const { id, Director } = (await topRated()).nodes[2];
      const live = events({
        query: `query ($id: ID!) @live { movie(id: $id) { Director } ${TOP_RATED} }`,
        variables: { id },
      });
      await live.next();
      const director = unique("Director");
      await updateMovie(id, { Director: director });
      const changed = await live.next();
      assert.equal(changed.data.movie.Director, director);
      assert.equal(directorOf(changed, id), director);
      await updateMovie(id, { Director });
      live.stop();
    });

    test("an unknown field is an error with its code", async () => {
      assert.deepEqual(await codesOf(events({ query: "{ movies { nodes { noSuchField } } }" })), ["VALIDATION_FAILED"]);
    });

    test("text that is not GraphQL is an error with its code", async () => {
      // Every syntax error is reported, so there may be several.
      assert.deepEqual([...new Set(await codesOf(events({ query: "query {" })))], ["PARSE_FAILED"]);
    });
  });
}

/**
 * The codes of an operation that must fail. The clients differ in how they pass errors on: graphql-ws rejects with
 * the list, graphql-sse with the HTTP response or, where the server answered in the stream, with a result.
 */
async function codesOf(events) {
  let errors;
  try {
    ({ errors } = await events.next());
  } catch (error) {
    errors = Array.isArray(error) ? error : (await error.response?.json())?.errors;
    if (!errors) throw error;
  }
  return errors.map(({ extensions }) => extensions.code);
}

describe("Apollo Client", () => {
  const socket = createWsClient({ url: webSocketUrl, webSocketImpl: WebSocket });
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ query }) => query.definitions.some(({ operation, directives }) => operation === "subscription" || directives?.some(({ name }) => name.value === "live")),
      new GraphQLWsLink(socket),
      new HttpLink({ uri: graphqlUrl }),
    ),
  });
  after(async () => {
    client.stop();
    await socket.dispose();
  });

  test("query with variables and a fragment", async () => {
    const { data } = await client.query({
      query: gql`
        query Rated($least: Float!, $first: Int) {
          movies(filter: { IMDB_Rating: { gte: $least } }, orderBy: [{ IMDB_Rating: DESC }], first: $first) {
            nodes { ...Line }
            totalCount
          }
        }
        fragment Line on Movie { id Title Director }
      `,
      variables: { least: 8.5, first: 5 },
      fetchPolicy: "no-cache",
    });
    const plain = data.movies.nodes.map(({ id, Title, Director }) => ({ id, Title, Director }));
    assert.deepEqual(plain, (await topRated()).nodes);
  });

  test("mutation updates the normalised cache", async () => {
    const { id, Director } = (await topRated()).nodes[0];
    const MOVIE = gql`query Movie($id: ID!) { movie(id: $id) { id Director } }`;
    await client.query({ query: MOVIE, variables: { id } });
    const director = unique("Director");
    await client.mutate({
      mutation: gql`mutation Set($id: ID!, $patch: MoviePatch!) { updateMovie(id: $id, patch: $patch) { id Director } }`,
      variables: { id, patch: { Director: director } },
    });
    assert.equal(client.readQuery({ query: MOVIE, variables: { id } }).movie.Director, director);
    await updateMovie(id, { Director });
  });

  test("subscription", async () => {
    const { id, Director } = (await topRated()).nodes[0];
    const events = observe(client.subscribe({ query: gql`subscription { ${TOP_RATED} }`, fetchPolicy: "no-cache" }));
    await events.next();
    const director = unique("Director");
    await updateMovie(id, { Director: director });
    assert.equal(directorOf(await events.next(), id), director);
    events.stop();
    await updateMovie(id, { Director });
  });

  test("query @live through watchQuery", async () => {
    const { id, Director } = (await topRated()).nodes[0];
    const query = gql`query Live @live { ${TOP_RATED} }`;
    const events = observe(client.watchQuery({ query, fetchPolicy: "network-only" }));
    await events.until(({ data }) => data?.movies);
    const director = unique("Director");
    await updateMovie(id, { Director: director });
    await events.until((result) => result.data?.movies && directorOf(result, id) === director);
    events.stop();
    await updateMovie(id, { Director });
  });

  test("an error carries its code", async () => {
    const failing = client.query({ query: gql`{ movies { nodes { noSuchField } } }`, fetchPolicy: "no-cache" });
    await assert.rejects(failing, (error) => error.errors?.[0].extensions.code === "VALIDATION_FAILED");
  });

  function observe(observable) {
    return new Events((observer) => {
      const subscription = observable.subscribe(observer);
      return () => subscription.unsubscribe();
    });
  }
});

describe("the language", () => {
  test("aliases, fragments, variables, @skip and @include", async () => {
    const document = `
      query Sample($id: ID!, $with: Boolean!, $first: Int = 2) {
        one: movie(id: $id) { ...Names Director @include(if: $with) IMDB_Rating @skip(if: $with) }
        top: movies(first: $first, orderBy: [{IMDB_Rating: DESC}]) { rows: nodes { __typename key: id ... on Movie { Title } } }
      }
      fragment Names on Movie { key: id Title }`;
    const { id, Title, Director } = (await topRated()).nodes[0];
    const full = await run(document, { id, with: true, first: 3 });
    assert.deepEqual(full.one, { key: id, Title, Director });
    assert.equal(full.top.rows.length, 3);
    assert.deepEqual(Object.keys(full.top.rows[0]), ["__typename", "key", "Title"]);
    assert.equal(full.top.rows[0].__typename, "Movie");
    const bare = await run(document, { id, with: false });
    assert.deepEqual(Object.keys(bare.one), ["key", "Title", "IMDB_Rating"]);
    assert.equal(bare.top.rows.length, 2);
  });

  test("@live by POST is answered once and says so", async () => {
    const { data, extensions } = await post(`query @live { ${TOP_RATED} }`);
    assert.deepEqual(data.movies, await topRated());
    assert.equal(extensions.thalweg.live, false);
  });

  test("a missing variable and a wrong one are errors", async () => {
    const query = "query ($id: ID!) { movie(id: $id) { id } }";
    for (const variables of [{}, { id: { nested: true } }]) {
      const { data, errors } = await post(query, variables);
      assert.ok(data == null);
      assert.match(errors[0].message, /id/);
      assert.ok(["BAD_REQUEST", "VALIDATION_FAILED"].includes(errors[0].extensions.code), errors[0].extensions.code);
    }
  });

  test("a version that has moved on is VERSION_MISMATCH, a missing id is null", async () => {
    const { id, Director } = (await topRated()).nodes[0];
    const { errors } = await post("mutation ($id: ID!) { updateMovie(id: $id, patch: {Director: \"x\"}, ifVersion: 0) { id } }", { id });
    assert.equal(errors[0].extensions.code, "VERSION_MISMATCH");
    assert.deepEqual(errors[0].path, ["updateMovie"]);
    assert.equal((await topRated()).nodes[0].Director, Director);
    assert.deepEqual(await run("mutation { updateMovie(id: \"absent\", patch: {Director: \"x\"}) { id } }"), { updateMovie: null });
  });

  test("an id that exists already is UNIQUE_VIOLATION", async () => {
    const { id } = (await topRated()).nodes[0];
    const { data, errors } = await post("mutation ($id: ID!) { createMovie(id: $id, input: {Director: \"x\"}) { id } }", { id });
    assert.equal(data ?? null, null);
    assert.equal(errors[0].extensions.code, "UNIQUE_VIOLATION");
  });

  test("insertDocuments with a new field widens the type in the same commit", async () => {
    const collection = `e2e_${process.hrtime.bigint()}_wideners`;
    const insert = (documents) =>
      run("mutation ($c: String!, $d: [JSON!]!) { insertDocuments(collection: $c, documents: $d) }", { c: collection, d: documents });
    const entry = async () => (await run("{ collections { name listField } }")).collections.find(({ name }) => name === collection);
    await insert([{ text: "first" }]);
    const { listField } = await entry();
    await insert([{ text: "second", stars: 5 }]);
    const data = await run(`{ ${listField}(first: 10) { nodes { text stars } totalCount } }`);
    const rows = data[listField].nodes.toSorted((a, b) => (a.text < b.text ? -1 : 1));
    assert.deepEqual(rows, [{ text: "first", stars: null }, { text: "second", stars: 5 }]);
  });
});
