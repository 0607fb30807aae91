// The audit suite of graphql-http: what the GraphQL over HTTP specification says a server MUST do.

import { strict as assert } from "node:assert";
import { test } from "node:test";
import { auditServer } from "graphql-http";
import { graphqlUrl } from "./server.mjs";

test("no MUST of GraphQL over HTTP fails", async (context) => {
  const results = await auditServer({ url: graphqlUrl });
  const of = (status) => results.filter((result) => result.status === status);
  context.diagnostic(
    `${results.length} audits: ${of("ok").length} ok, ${of("notice").length} MAY, ${of("warn").length} SHOULD, ${of("error").length} MUST not met`,
  );
  for (const { id, name, status, reason } of [...of("notice"), ...of("warn")]) {
    context.diagnostic(`${status} ${id} ${name}: ${reason}`);
  }
  assert.ok(results.length > 50, `only ${results.length} audits ran`);
  assert.deepEqual(
    of("error").map(({ id, name, reason }) => `${id} ${name}: ${reason}`),
    [],
  );
});
