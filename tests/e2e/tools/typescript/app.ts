// What somebody writes who uses the client preset: typed documents, a fragment with masking, a mutation.
import { type FragmentType, graphql, useFragment } from "./gql/index.js";
import type { TypedDocumentString } from "./gql/graphql.js";

declare const process: { argv: string[]; exitCode?: number };

const Line = graphql(`
  fragment Line on Book { id title year price }
`);

const Shelf = graphql(`
  query Shelf($filter: BookFilter, $orderBy: [BookOrderBy!], $first: Int = 2) {
    books(filter: $filter, orderBy: $orderBy, first: $first) {
      totalCount
      nodes { ...Line isbn added publisher { name city } editions { key value { copies } } _version }
    }
  }
`);

const Reprice = graphql(`
  mutation Reprice($id: ID!, $patch: BookPatch!) { updateBook(id: $id, patch: $patch) { ...Line pages } }
`);

const Anything = graphql(`
  query Anything($nodeId: ID!) { node(nodeId: $nodeId) { __typename nodeId ... on Book { title } ... on Author { name } } }
`);

const AnyBook = graphql(`
  query AnyBook { book(id: "1") { nodeId } }
`);

async function execute<Result, Variables>(document: TypedDocumentString<Result, Variables>, variables: Variables): Promise<Result> {
  const response = await fetch(`${process.argv[2]}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: String(document), variables }),
  });
  const { data, errors } = (await response.json()) as { data: Result; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const lineOf = (book: FragmentType<typeof Line>) => useFragment(Line, book);

const { books } = await execute(Shelf, { filter: { year: { gte: 1982 }, tags: { some: { eq: "novel" } } }, orderBy: [{ year: "DESC" }] });
const titles: (string | null | undefined)[] = books.nodes.map((book) => lineOf(book).title);
const copies: (number | null | undefined)[] = (books.nodes[0]?.editions ?? []).map((edition) => edition.value?.copies);
const isbn: number | string | null | undefined = books.nodes[0]?.isbn;

// Absent leaves alone, null removes: both can be said.
const { updateBook } = await execute(Reprice, { id: "2", patch: { price: 1.5, pages: null } });
// @ts-expect-error An unknown field of a patch is refused by the compiler.
const refused = { id: "2", patch: { prize: 1 } } satisfies Parameters<typeof execute<unknown, { patch: { price?: number } }>>[1];

const { book } = await execute(AnyBook, {});
const { node } = await execute(Anything, { nodeId: book!.nodeId });
const named: string | null | undefined = node?.__typename === "Book" ? node.title : node?.__typename === "Author" ? node.name : undefined;

console.log(JSON.stringify({
  total: books.totalCount,
  titles,
  copies,
  isbn,
  repriced: updateBook && { title: lineOf(updateBook).title, price: lineOf(updateBook).price, pages: updateBook.pages },
  named,
  refused: typeof refused,
}));
