// Responses in parts, against those of the reference implementation (graphql-js 17) on the same schema and data: the same
// first part, the same places announced, and the same result once all has been put together.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { buildSchema, experimentalExecuteIncrementally, legacyExecuteIncrementally, parse } from "graphql17";
import { graphqlUrl, origin, run } from "./server.mjs";

const COLLECTION = "oracle_rivers";
const RIVERS = [
  { id: "a", name: "Rhine", length: 1233, mouth: { name: "North Sea", country: { code: "NL" } }, tributaries: [{ name: "Aare", length: 288 }, { name: "Neckar", length: 362 }, { name: "Main", length: 527 }], tags: ["long", "busy"] },
  { id: "b", name: "Po", length: 652, mouth: { name: "Adriatic", country: { code: "IT" } }, tributaries: [{ name: "Adda", length: 313 }], tags: [] },
  { id: "c", name: "Spey", length: 172, mouth: null, tributaries: [], tags: ["whisky"] },
];

const QUERIES = [
  '{ R { nodes { id ... @defer(label: "a") { name } } } }',
  '{ R { nodes { id ... @defer(label: "a") { name ... @defer(label: "b") { length } } } totalCount } }',
  '{ ... @defer(label: "root") { R { totalCount } } __typename }',
  '{ R { totalCount ... @defer(label: "a") { nodes { id } } } }',
  '{ R { nodes { mouth { name ... @defer(label: "a") { country { code } } } } } }',
  '{ R { nodes { id tributaries { name ... @defer(label: "a") { length } } } } }',
  '{ R { nodes @stream(initialCount: 1, label: "s") { id name } totalCount } }',
  '{ R { nodes @stream(initialCount: 0, label: "s") { id } } }',
  '{ R { nodes @stream(initialCount: 9, label: "s") { id } } }',
  '{ R { nodes { id tributaries @stream(initialCount: 1, label: "s") { name length } } } }',
  '{ R { nodes @stream(initialCount: 1, label: "s") { id ... @defer(label: "a") { name } } } }',
  '{ R { nodes { id ...F @defer(label: "a") } } } fragment F on T { name tributaries { ...G @defer(label: "b") } } fragment G on U { name }',
  '{ R { nodes { id tags @stream(initialCount: 1, label: "s") ... @defer(label: "a") { length } } } }',
];

/** The parts of a response as this server sends them. */
async function parts(query, parameter) {
  const response = await fetch(graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", accept: `multipart/mixed;${parameter}` },
    body: JSON.stringify({ query }),
  });
  const text = await response.text();
  if (!response.headers.get("content-type").startsWith("multipart/mixed")) return [JSON.parse(text)];
  const pieces = text.split("\r\n--graphql").slice(1, -1);
  return pieces.map((piece) => JSON.parse(piece.slice(piece.indexOf("\r\n\r\n") + 4)));
}

/** The parts of the reference implementation's response. */
async function reference(execute, schema, query, rootValue) {
  const result = await execute({ schema, document: parse(query, { experimentalFragmentArguments: true }), rootValue });
  if (!("initialResult" in result)) return [JSON.parse(JSON.stringify(result))];
  const all = [result.initialResult];
  for await (const part of result.subsequentResults) all.push(part);
  return JSON.parse(JSON.stringify(all));
}

const at = (data, path) => path.reduce((value, step) => value[step], data);

function merge(into, from) {
  for (const [key, value] of Object.entries(from)) {
    if (value && typeof value === "object" && into[key] && typeof into[key] === "object") merge(into[key], value);
    else into[key] = value;
  }
}

/** The result that the parts come to, and which places were told in them. */
function together(all) {
  const data = structuredClone(all[0].data);
  const places = new Map();
  const told = new Set();
  for (const part of all) {
    for (const { id, path, label } of part.pending ?? []) {
      places.set(id, { path, label });
    }
    for (const entry of part.incremental ?? []) {
      const place = entry.id === undefined ? { ...entry } : { ...places.get(entry.id) };
      // Without an id, the path of items ends in the position of the first.
      if (entry.items && entry.id === undefined) place.path = place.path.slice(0, -1);
      // A list of which nothing was left to come may have been announced.
      told.add(JSON.stringify([place.path, place.label]));
      const into = at(data, [...place.path, ...(entry.subPath ?? [])]);
      if (entry.items) into.push(...structuredClone(entry.items));
      else merge(into, structuredClone(entry.data));
    }
    assert.equal(part.hasNext ?? false, part !== all.at(-1));
  }
  return { data, told: [...told].sort() };
}

describe("parts are those of graphql-js 17", () => {
  let names;
  let schema;
  before(async () => {
    await run("mutation ($documents: [JSON!]!) { insertDocuments(collection: \"" + COLLECTION + "\", documents: $documents) }", {
      documents: RIVERS,
    });
    const { collections } = await run("{ collections { name listField typeName } }");
    const found = collections.find(({ name }) => name === COLLECTION);
    const sdl = await (await fetch(`${origin}/schema.graphql`)).text();
    schema = buildSchema(sdl);
    const river = schema.getType(found.typeName);
    const tributary = String(river.getFields().tributaries.type).replace(/[[\]!]/g, "");
    names = { list: found.listField, type: found.typeName, tributary };
  });
  after(() => run(`mutation { dropCollection(name: "${COLLECTION}") { name } }`));

  for (const template of QUERIES) {
    test(template, async () => {
      const query = template.replace(/\bR\b/g, names.list).replace("on T ", `on ${names.type} `).replace("on U ", `on ${names.tributary} `);
      const plain = await run(query.replace(/@(defer|stream)\([^)]*\)/g, ""));
      const rootValue = { [names.list]: { nodes: RIVERS, totalCount: RIVERS.length } };
      for (const [parameter, execute] of [
        ["incrementalSpec=v0.2", experimentalExecuteIncrementally],
        ["deferSpec=20220824", legacyExecuteIncrementally],
      ]) {
        const ours = await parts(query, parameter);
        const theirs = await reference(execute, schema, query, rootValue);
        assert.deepEqual(ours[0].data, theirs[0].data, parameter);
        const [mine, other] = [together(ours), together(theirs)];
        assert.deepEqual(mine.data, plain, parameter);
        assert.deepEqual(mine.told, other.told, parameter);
        assert.deepEqual(other.data, plain);
      }
    });
  }
});
