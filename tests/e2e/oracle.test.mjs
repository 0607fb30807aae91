// graphql-js as an oracle: of operations made at random over the served schema, and of ones made invalid in some way, the
// server accepts and refuses exactly those that graphql-js does. That is version 17, which is of the specification of 2025:
// version 16 takes `@skip` and `@include` at the root of a subscription, where it does not fail on them.
//
// THALWEG_SEED repeats a run, THALWEG_ORACLE_OPERATIONS says how many operations there are for each data set.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { buildSchema, print } from "graphql";
import { buildSchema as buildReferenceSchema, parse, validate } from "graphql17";
import { load } from "./data_sets.mjs";
import { Generator } from "./oracle/generator.mjs";
import { mutated } from "./oracle/mutations.mjs";
import { Random, seedOfRun } from "./oracle/random.mjs";
import { startServer } from "./own_server.mjs";

const OPERATIONS = Number(process.env.THALWEG_ORACLE_OPERATIONS ?? 2_000);
/** How many requests are under way at a time. */
const WIDTH = 16;
/** How many differences a failure shows. */
const SHOWN = Number(process.env.THALWEG_ORACLE_SHOWN ?? 5);
const seed = seedOfRun();

for (const data of [undefined, "movies", "airports", "world-countries", "caniuse"]) {
  describe(`graphql-js and the server, over ${data ?? "an empty database"}`, () => {
    let server;
    let schema;
    let referenceSchema;
    before(async () => {
      server = await startServer();
      if (data) await load(server, data);
      const sdl = await server.sdl();
      schema = buildSchema(sdl);
      referenceSchema = buildReferenceSchema(sdl);
    });
    after(() => server.stop());

    test(`accept the same ${OPERATIONS} operations`, async (context) => {
      context.diagnostic(`THALWEG_SEED=${seed}`);
      const random = new Random(seed);
      const generator = new Generator(schema, random);
      const cases = [];
      for (let number = 0; number < OPERATIONS; number += 1) {
        const { ast } = generator.document();
        const made = random.chance(0.4) ? { text: print(ast), done: [] } : mutated(random, ast, schema);
        // Half a surrogate pair cannot be sent, so both judge what arrives.
        cases.push({ ...made, text: made.text.toWellFormed() });
      }
      const counts = { accepted: 0, refused: 0, limited: 0 };
      const differences = [];
      await concurrently(cases, async ({ text, done }) => {
        const expected = judge(referenceSchema, text);
        if (done.length === 0) assert.deepEqual(expected, [], `the generator made an invalid operation:\n${text}`);
        const found = await ask(server, text);
        const isLimited = found.length > 0 && found.every((error) => error.startsWith("LIMIT_EXCEEDED"));
        if ((expected.length === 0) === (found.length === 0)) counts[expected.length === 0 ? "accepted" : "refused"] += 1;
        // A validator has no limits.
        else if (isLimited) counts.limited += 1;
        else differences.push({ text, done, expected, found });
      });
      context.diagnostic(JSON.stringify(counts));
      differences.sort((a, b) => a.text.length - b.text.length);
      const shown = differences.slice(0, SHOWN).map(({ text, done, expected, found }) => {
        const said = (errors) => (errors.length ? errors.map((error) => `    ${error}`).join("\n") : "    accepted");
        return `${done.join(", ")}:\n${text}\n  graphql-js:\n${said(expected)}\n  server:\n${said(found)}`;
      });
      assert.equal(differences.length, 0, `THALWEG_SEED=${seed}: ${differences.length} of ${cases.length} differ\n${shown.join("\n\n")}`);
      assert.ok(counts.accepted > OPERATIONS / 5 && counts.refused > OPERATIONS / 5, "too few of one kind to say anything");
      assert.ok(counts.limited < OPERATIONS / 20, "more is past a limit than agreement can stand on");
    });
  });
}

/** A selection set that selects nothing is no GraphQL yet. What might have been meant instead is not asked: that takes long. */
const OPTIONS = { allowEmptySelectionSets: false, hideSuggestions: true };

/** What graphql-js says against it. */
function judge(schema, text) {
  let document;
  try {
    document = parse(text, OPTIONS);
  } catch (error) {
    return [`syntax: ${error.message}`];
  }
  try {
    return validate(schema, document, undefined, OPTIONS).map(({ message }) => message);
  } catch (error) {
    return [`thrown: ${error.message}`];
  }
}

/**
 * What the server says against it. It is asked for an operation that the text does not have, so nothing is run: that is
 * refused after validation, with another code.
 */
async function ask(server, text) {
  const { errors = [] } = await server.post(text, undefined, { operationName: "NotInTheText" });
  return errors
    .filter(({ extensions }) => extensions.code !== "BAD_REQUEST")
    .map(({ message, extensions }) => `${extensions.code}: ${message}`);
}

async function concurrently(items, work) {
  let at = 0;
  const worker = async () => {
    while (at < items.length) await work(items[at++]);
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
}
