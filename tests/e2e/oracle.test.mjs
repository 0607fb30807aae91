// graphql-js as an oracle: of operations made at random over the served schema, and of ones made invalid in some way, the
// server accepts and refuses exactly those that graphql-js does.
//
// THALWEG_SEED repeats a run, THALWEG_ORACLE_OPERATIONS says how many operations there are for each data set.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { buildSchema, parse, print, validate } from "graphql";
import { load } from "./data_sets.mjs";
import { accepted } from "./oracle/differences.mjs";
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
    before(async () => {
      server = await startServer();
      if (data) await load(server, data);
      schema = buildSchema(await server.sdl());
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
      const counts = { accepted: 0, refused: 0, differing: 0 };
      const reasons = new Map();
      const differences = [];
      await concurrently(cases, async ({ text, done }) => {
        const expected = judge(schema, text);
        if (done.length === 0) assert.deepEqual(expected, [], `the generator made an invalid operation:\n${text}`);
        const found = await ask(server, text);
        const reason = accepted(expected, found, text);
        if (reason === "same") counts[expected.length === 0 ? "accepted" : "refused"] += 1;
        else if (reason) {
          counts.differing += 1;
          reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
        } else differences.push({ text, done, expected, found });
      });
      context.diagnostic(`${JSON.stringify(counts)} ${JSON.stringify(Object.fromEntries(reasons))}`);
      differences.sort((a, b) => a.text.length - b.text.length);
      const shown = differences.slice(0, SHOWN).map(({ text, done, expected, found }) => {
        const said = (errors) => (errors.length ? errors.map((error) => `    ${error}`).join("\n") : "    accepted");
        return `${done.join(", ")}:\n${text}\n  graphql-js:\n${said(expected)}\n  server:\n${said(found)}`;
      });
      assert.equal(differences.length, 0, `THALWEG_SEED=${seed}: ${differences.length} of ${cases.length} differ\n${shown.join("\n\n")}`);
      assert.ok(counts.accepted > OPERATIONS / 5 && counts.refused > OPERATIONS / 5, "too few of one kind to say anything");
      assert.ok(counts.differing < OPERATIONS / 20, "more known differences than agreement can stand on");
    });
  });
}

/** What graphql-js says against it. */
function judge(schema, text) {
  let document;
  try {
    document = parse(text);
  } catch (error) {
    return [`syntax: ${error.message}`];
  }
  try {
    return validate(schema, document).map(({ message }) => message);
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
