// Relay's runtime over the compiled documents, without React: an environment, its store, and what the hooks do inside.
// With `by-default` the store takes what it takes for an id by itself.
import {
  Environment,
  type GraphQLResponse,
  Network,
  type ReaderFragment,
  RecordSource,
  Store,
  commitMutation,
  createOperationDescriptor,
  fetchQuery,
  getSingularSelector,
} from "relay-runtime";
import cover, { type documentsCover$data } from "../relay/__generated__/documentsCover.graphql";
import coverRefetch, { type documentsCoverRefetchQuery } from "../relay/__generated__/documentsCoverRefetchQuery.graphql";
import places, { type documentsPlacesQuery } from "../relay/__generated__/documentsPlacesQuery.graphql";
import reprice, { type documentsRepriceMutation } from "../relay/__generated__/documentsRepriceMutation.graphql";
import shelf, { type documentsShelf$data } from "../relay/__generated__/documentsShelf.graphql";
import shelfPagination, { type documentsShelfPaginationQuery } from "../relay/__generated__/documentsShelfPaginationQuery.graphql";
import shelfQuery, { type documentsShelfQuery } from "../relay/__generated__/documentsShelfQuery.graphql";
import { getDataID } from "../relay/getDataID";

declare const process: { argv: string[] };
const [, , origin, byDefault] = process.argv;

const network = Network.create(async ({ text }, variables) => {
  const response = await fetch(`${origin}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: text, variables }),
  });
  return (await response.json()) as GraphQLResponse;
});
const store = new Store(new RecordSource());
const environment = byDefault ? new Environment({ network, store }) : new Environment({ network, store, getDataID });

function read<Data>(fragment: ReaderFragment, reference: unknown): Data {
  return environment.lookup(getSingularSelector(fragment, reference)).data as Data;
}

async function main() {
  // The first page, and then what `usePaginationFragment` does for `loadNext`.
  const variables = { count: 5 };
  await fetchQuery<documentsShelfQuery>(environment, shelfQuery, variables).toPromise();
  const root = createOperationDescriptor(shelfQuery, variables);
  environment.retain(root);
  const data = () => environment.lookup(root.fragment).data as unknown as documentsShelfQuery["response"];
  const page = () => read<documentsShelf$data>(shelf, data()).books;
  const pages = [page()];
  for (let last = page(); last.pageInfo.hasNextPage; last = page()) {
    const cursor = last.pageInfo.endCursor;
    const further = { count: 5, ...(cursor ? { cursor } : {}) };
    await fetchQuery<documentsShelfPaginationQuery>(environment, shelfPagination, further, { networkCacheConfig: { force: true } }).toPromise();
    pages.push(page());
  }

  // A mutation changes the record that the query holds; a refetch by `node` reads it again.
  const book = () => data().book!;
  const shown = () => read<documentsCover$data>(cover, book());
  const before = shown().price;
  await new Promise<void>((resolve, reject) => {
    commitMutation<documentsRepriceMutation>(environment, {
      mutation: reprice,
      variables: { row: "1", patch: { price: 3.25 } },
      onCompleted: (_, errors) => (errors ? reject(new Error(JSON.stringify(errors))) : resolve()),
      onError: reject,
    });
  });
  const after = shown().price;
  await fetchQuery<documentsCoverRefetchQuery>(environment, coverRefetch, { GLOBAL_ID: book().GLOBAL_ID }).toPromise();

  // Both places say `id: 1`, which the store refuses by default: it takes that for an id, and ids are texts.
  let rooms;
  if (!byDefault) {
    const root = createOperationDescriptor(places, {});
    await fetchQuery<documentsPlacesQuery>(environment, places, {}).toPromise();
    const found = environment.lookup(root.fragment).data as unknown as documentsPlacesQuery["response"];
    rooms = found.shelves.nodes.map(({ place }) => place?.room);
  }

  // What the compiler made of the scalars.
  const isbn: number | string | null | undefined = book().isbn;
  const added: string | null | undefined = book().added;
  const stored: unknown = book()._json;

  console.log(
    JSON.stringify({
      pages: pages.map((page) => page.edges.map(({ node }) => node.title)),
      sameId: data().author!.OWN_ID === book().OWN_ID,
      author: data().author!.name,
      book: book().title,
      before,
      after,
      refetched: shown().price,
      scalars: [typeof isbn, typeof added, typeof stored],
      rooms,
    }),
  );
}

main();
