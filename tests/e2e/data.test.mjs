// Every document of the real data sets is accepted and comes back from `_json` equal to what went in.

import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { dataSets } from "./data_sets.mjs";
import { startServer } from "./own_server.mjs";

/** Small enough for pages of the largest documents. */
const PAGE = 500;

for (const [name, read] of Object.entries(dataSets)) {
  describe(name, () => {
    let server;
    before(async () => (server = await startServer()));
    after(() => server.stop());

    for (const [collection, documents] of Object.entries(read())) {
      test(`${collection}: ${documents.length} documents`, async (context) => {
        const report = await server.importInto(collection, documents);
        // Equal ids are one document: the last one stays.
        const byId = new Map();
        const withoutId = [];
        for (const document of documents) {
          if (["string", "number"].includes(typeof document.id)) byId.set(String(document.id), document);
          else withoutId.push(document);
        }
        assert.equal(report.inserted, byId.size + withoutId.length);
        assert.equal(report.replaced, documents.length - report.inserted);
        if (report.replaced) context.diagnostic(`${report.replaced} documents have the id of an earlier one`);

        const generated = [];
        for await (const { id, _json } of everyDocument(server, collection)) {
          if (byId.has(id)) {
            assert.deepEqual(_json, byId.get(id), `${collection} ${id}`);
            byId.delete(id);
          } else {
            generated.push(_json);
          }
        }
        assert.deepEqual([...byId.keys()], [], "these did not come back");
        // Ids that the server gives sort by time, so these come back in the order in which they went in.
        assert.equal(generated.length, withoutId.length);
        generated.forEach((document, at) => assert.deepEqual(document, withoutId[at], `${collection}, document ${at}`));
      });
    }
  });
}

async function* everyDocument(server, collection) {
  const { collections } = await server.run("{ collections { name listField } }");
  const { listField } = collections.find(({ name }) => name === collection);
  const query = `query ($after: String) {
    ${listField}(first: ${PAGE}, after: $after) { nodes { id _json } pageInfo { hasNextPage endCursor } }
  }`;
  for (let cursor = null; ; ) {
    const { nodes, pageInfo } = (await server.run(query, { after: cursor }))[listField];
    yield* nodes;
    if (!pageInfo.hasNextPage) return;
    cursor = pageInfo.endCursor;
  }
}
