// Rust's graphql_client, from the served introspection. What matters most is that setting one field of a patch leaves the
// others alone.

import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getIntrospectionQuery } from "graphql";
import { books, startLibrary } from "./tools/library.mjs";
import { runs, workOn } from "./tools/run.mjs";

const BOOK = "query ($id: ID!) { book(id: $id) { title year price pages publisher { name } tags } }";

let server;
let program;
before(async () => {
  server = await startLibrary();
  const directory = workOn("rust", server);
  const introspection = await server.post(getIntrospectionQuery());
  writeFileSync(join(directory, "schema.json"), JSON.stringify(introspection));
  // One folder for all runs, so that a second one compiles nothing but this.
  const target = join(directory, "..", "rust-target");
  await runs("cargo", ["build", "--locked", "--quiet", "--target-dir", target], directory);
  program = join(target, "debug", "thalweg-e2e-rust-client");
});
after(() => server.stop());

const send = async ({ query, variables, operationName }) => server.post(query, variables, { operationName });

test("what is None is left alone with skip_serializing_none, and removed without", async () => {
  const { careful, careless } = JSON.parse(await runs(program, ["request"], "."));
  const book = async (id) => (await server.run(BOOK, { id })).book;

  const before = await book("8");
  const { errors } = await send(careful);
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.deepEqual(await book("8"), { ...before, price: 1.5 });

  // This is what its nulls say, and why the documentation asks for the attribute.
  assert.equal(careless.variables.patch.title, null);
  await send(careless);
  assert.equal((await book("9")).title, null);
});

test("a response is read into types", async () => {
  const { shelf } = JSON.parse(await runs(program, ["request"], "."));
  const response = await send(shelf);
  const { status, stdout, stderr } = spawnSync(program, ["response"], { input: JSON.stringify(response), encoding: "utf8" });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [books.length, response.data.books.nodes.map(({ title }) => title), response.data.books.nodes[0].isbn]);
});
