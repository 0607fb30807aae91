// What the server holds when the page opens.

import { buildSchema } from "graphql";
import { post } from "./fetcher.js";

const QUERY = /* GraphQL */ `
  query Console {
    schema { version sdl }
    collections { name count listField typeName }
  }
`;

/** `{ version, schema, collections }`; rejects when the server cannot be reached or answers with errors. */
export async function loadCatalog() {
  const { data, errors } = await post({ query: QUERY, operationName: "Console" });
  if (!data) throw new Error(errors?.[0]?.message ?? "no data");
  return {
    version: data.schema.version,
    schema: buildSchema(data.schema.sdl, { assumeValid: true }),
    collections: data.collections,
  };
}
