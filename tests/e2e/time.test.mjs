// Repeating a request, looking back, and how lists are found, as real clients see them.

import { strict as assert } from "node:assert";
import { after, test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { Events } from "./events.mjs";
import { graphqlUrl, run, unique, webSocketUrl } from "./server.mjs";

const client = createClient({ url: webSocketUrl, webSocketImpl: WebSocket, lazy: true, retryAttempts: 0 });
after(() => client.dispose());

const send = async (request, headers = {}) => {
  const response = await fetch(graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json", ...headers },
    body: JSON.stringify(request),
  });
  return { status: response.status, text: await response.text() };
};

const create = (director) => ({
  query: "mutation ($director: String) { createMovie(input: {Director: $director}) { id Director _commitTs } }",
  variables: { director },
});

test("a repeated mutation gets the first answer, byte for byte, over HTTP and WebSocket", async () => {
  const director = unique("Once");
  const key = unique("key");
  const first = await send(create(director), { "idempotency-key": key });
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(await send(create(director), { "idempotency-key": key }), first);
  const extensions = { thalweg: { idempotencyKey: key } };
  assert.deepEqual(await send({ ...create(director), extensions }), first);
  const again = new Events((observer) => client.subscribe({ ...create(director), extensions }, observer));
  assert.deepEqual(await again.next(), JSON.parse(first.text));
  await again.completed();
  const { movies } = await run("query ($t: String) { movies(filter: {Director: {eq: $t}}) { totalCount } }", { t: director });
  assert.equal(movies.totalCount, 1);
  const other = await send(create(unique("Other")), { "idempotency-key": key });
  assert.equal(other.status, 400);
  assert.equal(JSON.parse(other.text).errors[0].extensions.code, "BAD_REQUEST");
});

test("a document is read, listed and restored as it was", async () => {
  const before = unique("Before");
  const { createMovie } = await run(
    "mutation ($t: String) { createMovie(input: {Director: $t}) { id _updatedAt } }",
    { t: before },
  );
  const { id, _updatedAt: at } = createMovie;
  await run("mutation ($id: ID!) { updateMovie(id: $id, patch: {Director: \"After\"}) { id } }", { id });
  const query = `query ($id: ID!, $at: DateTime) {
    now: movie(id: $id) { Director _history { nodes { version kind changed document { Director } } } }
    then: movie(id: $id, at: $at) { Director }
    list: movies(filter: {id: {eq: $id}}, at: $at) { nodes { Director } }
  }`;
  const { now, then, list } = await run(query, { id, at });
  assert.equal(now.Director, "After");
  assert.deepEqual(
    now._history.nodes.map(({ version, kind, document }) => [version, kind, document.Director]),
    [[2, "UPDATED", "After"], [1, "CREATED", before]],
  );
  assert.deepEqual(now._history.nodes[0].changed, ["Director"]);
  assert.deepEqual([then.Director, list.nodes[0].Director], [before, before]);
  const back = await run("mutation ($id: ID!, $at: DateTime) { restoreMovie(id: $id, at: $at) { Director } }", { id, at });
  assert.equal(back.restoreMovie.Director, before);
});

test("a declared index is built, used and explained, and a unique value has one document", async () => {
  const collection = unique("things").replace(" ", "");
  const type = collection[0].toUpperCase() + collection.slice(1);
  const documents = Array.from({ length: 300 }, (_, number) => ({ id: `${number}`, number, code: `c${number}` }));
  await run("mutation ($c: String!, $d: [JSON!]!) { insertDocuments(collection: $c, documents: $d) }", {
    c: collection,
    d: documents,
  });
  const sdl = `type ${type} @collection(name: "${collection}") @index(fields: ["number DESC"]) { code: String @unique }`;
  const applied = await run("mutation ($sdl: String!) { applySchema(sdl: $sdl) { changes } }", { sdl });
  assert.equal(applied.applySchema.changes.length, 2);
  const live = new Events((observer) =>
    client.subscribe({ query: "subscription { collections { name indexes { status } } }" }, observer));
  const ready = ({ data }) =>
    data.collections.find(({ name }) => name === collection).indexes.every(({ status }) => status === "READY");
  for (let event = await live.next(); !ready(event); event = await live.next());
  const { listField } = (await run("{ collections { name listField } }")).collections.find(({ name }) => name === collection);
  const list = `{ ${listField}(filter: {number: {lt: 50}}, orderBy: [{number: DESC}], first: 2) { nodes { number } } }`;
  const explained = JSON.parse((await send({ query: list, extensions: { thalweg: { explain: true } } })).text);
  assert.deepEqual(explained.data[listField].nodes, [{ number: 49 }, { number: 48 }]);
  const [{ path, index, rowsRead, rowsReturned }] = explained.extensions.thalweg.explain;
  assert.deepEqual([path, index, rowsReturned], [[listField], "(number DESC)", 2]);
  assert.ok(rowsRead < 10, `${rowsRead} rows`);
  const twice = await send({
    query: `mutation { insertDocuments(collection: "${collection}", documents: [{code: "c7"}]) }`,
  });
  const { code, fields, value, id } = JSON.parse(twice.text).errors[0].extensions;
  assert.deepEqual([code, fields, value, id], ["UNIQUE_VIOLATION", ["code"], "c7", "7"]);
});
