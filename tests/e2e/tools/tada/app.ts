// What somebody writes who uses gql.tada: documents whose types follow from their text.
import { type ResultOf, type VariablesOf, initGraphQLTada, readFragment } from "gql.tada";
import { print } from "graphql";
import type { introspection } from "./graphql-env.js";

declare const process: { argv: string[] };

const graphql = initGraphQLTada<{
  introspection: introspection;
  scalars: { BigInt: number | string; DateTime: string; Date: string; Timestamp: string; JSON: unknown };
}>();

const Line = graphql(`fragment Line on Book { id title year }`);

const Shelf = graphql(
  `query Shelf($filter: BookFilter, $orderBy: [BookOrderBy!]) {
    books(filter: $filter, orderBy: $orderBy, first: 2) { totalCount nodes { ...Line isbn publisher { city } } }
  }`,
  [Line],
);

const variables: VariablesOf<typeof Shelf> = { filter: { year: { lt: 1984 } }, orderBy: [{ year: "DESC" }] };
// @ts-expect-error There is no such filter.
const wrong: VariablesOf<typeof Shelf> = { filter: { year: { near: 1984 } } };

const response = await fetch(`${process.argv[2]}/graphql`, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ query: print(Shelf), variables }),
});
const { data } = (await response.json()) as { data: ResultOf<typeof Shelf> };
const total: number = data.books.totalCount;
const lines = data.books.nodes.map((book) => readFragment(Line, book));
const titles: (string | null)[] = lines.map((line) => line.title);
const cities: (string | null | undefined)[] = data.books.nodes.map((book) => book.publisher?.city);
// @ts-expect-error A field that was not selected is not there.
const missing = data.books.nodes[0]?.price;

console.log(JSON.stringify({ total, titles, cities, isbn: data.books.nodes[0]?.isbn, missing: missing ?? null, wrong: wrong !== undefined }));
