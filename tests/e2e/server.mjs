// The server under test, and the few requests that every test makes: THALWEG_URL names a running
// `thalweg dev --example movies` on a data directory that may be written to.

import { strict as assert } from "node:assert";

const url = process.env.THALWEG_URL;
if (!url) throw new Error("THALWEG_URL must name a running server, for example http://127.0.0.1:4000");

export const origin = new URL(url).origin;
export const graphqlUrl = `${origin}/graphql`;
export const webSocketUrl = graphqlUrl.replace(/^http/, "ws");

/** Runs an operation by POST and gives the whole result, errors included. */
export async function post(query, variables) {
  const response = await fetch(graphqlUrl, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** Runs an operation that must succeed and gives its data. */
export async function run(query, variables) {
  const { data, errors } = await post(query, variables);
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

export const TOP_RATED =
  "movies(filter: {IMDB_Rating: {gte: 8.5}}, orderBy: [{IMDB_Rating: DESC}], first: 5) { nodes { id Title Director } totalCount }";

export async function topRated() {
  return (await run(`{ ${TOP_RATED} }`)).movies;
}

/** A movie that no query for high ratings can show. */
export async function lowRated() {
  const { movies } = await run("{ movies(filter: {IMDB_Rating: {lt: 8}}, first: 1) { nodes { id Director } } }");
  return movies.nodes[0];
}

/** Sets fields of a movie; gives the `commitTs` of the change. */
export async function updateMovie(id, patch) {
  const { data, errors, extensions } = await post(
    "mutation ($id: ID!, $patch: MoviePatch!) { updateMovie(id: $id, patch: $patch) { id } }",
    { id, patch },
  );
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.equal(data.updateMovie.id, id);
  return extensions.thalweg.commitTs;
}

/** A name that no earlier run has used. */
export function unique(prefix) {
  return `${prefix} ${process.hrtime.bigint().toString(36)}`;
}
