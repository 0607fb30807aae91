// graphql-js as an oracle of execution: over the same data, documents made at random give the same response, to the byte.
//
// The server gives everything that can be selected once; graphql-js then runs the documents over that as plain objects. So
// this is about what happens between the data and the response: aliases, fragments, merging, conditions, nulls, lists,
// `__typename`, abstract types, the order of keys. THALWEG_SEED repeats a run.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { buildSchema, executeSync, getNamedType, isAbstractType, isCompositeType, isLeafType, isObjectType, isRequiredArgument, print } from "graphql";
import { load } from "./data_sets.mjs";
import { Generator } from "./oracle/generator.mjs";
import { Random, seedOfRun } from "./oracle/random.mjs";
import { startServer } from "./own_server.mjs";

const OPERATIONS = Number(process.env.THALWEG_ORACLE_OPERATIONS ?? 500);
/** Selections nest as deep as this below the root. */
const DEPTH = 5;
const seed = seedOfRun();

/** Roots whose result is the same without arguments, however often they are asked for. */
const ROOTS = {
  movies: ["movies", "collections"],
  "world-countries": ["countries"],
  pokedex: ["pokemon", "types", "items"],
};

for (const [data, roots] of Object.entries(ROOTS)) {
  describe(`graphql-js and the server run documents over ${data}`, () => {
    let server;
    let schema;
    let everything;

    /** Whether a field is part of what is compared: it gives itself without arguments, and does not go round in circles. */
    const mayUse = (parent, field, depth) =>
      parent === schema.getQueryType()
        ? roots.includes(field.name)
        : !field.args.some(isRequiredArgument) && isTree(field) && depth <= DEPTH;
    // Histories and relations lead to documents again, and lists of a document's own have arguments.
    const isTree = (field) => field.args.length === 0 && !implementsNode(getNamedType(field.type)) ? true : /^(node|nodes)$/.test(field.name);
    const implementsNode = (type) => isObjectType(type) && type.getInterfaces().some(({ name }) => name === "Node");

    before(async () => {
      server = await startServer();
      await load(server, data);
      schema = buildSchema(await server.sdl());
      const all = (type, depth) =>
        Object.values(type.getFields())
          .filter((field) => mayUse(type, field, depth))
          .map((field) => {
            const inner = getNamedType(field.type);
            if (isLeafType(inner)) return field.name;
            const selection = isAbstractType(inner) || depth >= DEPTH + 2 ? "" : all(inner, depth + 1);
            return selection ? `${field.name} { __typename ${selection} }` : "";
          })
          .join(" ");
      everything = await server.run(`{ ${all(schema.getQueryType(), 0)} }`);
    });
    after(() => server.stop());

    test(`the same response to ${OPERATIONS} documents`, async (context) => {
      context.diagnostic(`THALWEG_SEED=${seed}`);
      const random = new Random(seed);
      const generator = new Generator(schema, random, {
        mayUse: (parent, field, depth) => mayUse(parent, field, depth) && (depth < DEPTH || !isCompositeType(getNamedType(field.type))),
        roots: ["query"],
        depth: DEPTH,
        withArguments: false,
      });
      let bytes = 0;
      for (let number = 0; number < OPERATIONS; number += 1) {
        const { ast, conditions } = generator.document();
        const text = print(ast);
        const expected = executeSync({ schema, document: ast, rootValue: everything, variableValues: conditions });
        assert.equal(expected.errors, undefined, `${text}\n${expected.errors}`);
        const found = await server.post(text, conditions);
        assert.equal(found.errors, undefined, `THALWEG_SEED=${seed}\n${text}\n${JSON.stringify(found.errors)}`);
        const [mine, theirs] = [JSON.stringify(found.data), JSON.stringify(expected.data)];
        if (mine !== theirs) assert.fail(`THALWEG_SEED=${seed}\n${text}\n${firstDifference(theirs, mine)}`);
        bytes += mine.length;
      }
      context.diagnostic(`${bytes} bytes compared`);
      assert.ok(bytes > 100 * OPERATIONS, "the documents selected next to nothing");
    });
  });
}

function firstDifference(expected, found) {
  let at = 0;
  while (expected[at] === found[at]) at += 1;
  const around = (text) => text.slice(Math.max(0, at - 80), at + 80);
  return `  graphql-js: …${around(expected)}\n  server:     …${around(found)}`;
}
