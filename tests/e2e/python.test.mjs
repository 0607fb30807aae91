// Tools from Python run on the served schema unchanged. `THALWEG_PYTHON` and `THALWEG_PYTHON_ARIADNE` name the Pythons of virtual
// environments that have what the files of requirements in `tools/python` say.

import { strict as assert } from "node:assert";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { runs, workOn } from "./tools/run.mjs";
import { books, startLibrary } from "./tools/library.mjs";

const { THALWEG_PYTHON: python, THALWEG_PYTHON_ARIADNE: ariadne } = process.env;

let server;
let directory;
before(async () => {
  server = await startLibrary();
  directory = workOn("python", server);
});
after(() => server.stop());

test("gql: operations checked against the schema, and a subscription", async () => {
  const found = JSON.parse(await runs(python, ["gql_client.py", server.origin], directory));
  assert.match(found.refused, /nothing/);
  assert.deepEqual(found, {
    total: 10,
    titles: ["Book 12", "Book 11"],
    refused: found.refused,
    live: ["Book 05", "Fifth"],
    code: "UNIQUE_VIOLATION",
  });
});

test("ariadne-codegen: the generated client", async () => {
  await runs(join(dirname(ariadne), "ariadne-codegen"), [], directory);
  const found = JSON.parse(await runs(ariadne, ["ariadne_app.py", server.origin], directory));
  assert.deepEqual(found, {
    total: 10,
    titles: ["Book 12", "Book 11"],
    isbn: books[11].isbn,
    added: "2024-01-12T10:00:00+00:00",
    repriced: ["Book 06", 1.5, null].with(2, books[5].pages),
    emptied: ["Book 06", 1.5, null],
    node: "Book 01",
    live: ["Book 07"],
  });
});
