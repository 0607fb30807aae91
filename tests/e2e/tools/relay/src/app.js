// Relay's runtime over the compiled documents, without React: an environment, its store, and what the hooks do inside.
const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery, getSingularSelector, commitMutation } = require("relay-runtime");
const cover = require("./__generated__/documentsCover.graphql.js");
const coverRefetch = require("./__generated__/documentsCoverRefetchQuery.graphql.js");
const reprice = require("./__generated__/documentsRepriceMutation.graphql.js");
const shelf = require("./__generated__/documentsShelf.graphql.js");
const shelfPagination = require("./__generated__/documentsShelfPaginationQuery.graphql.js");
const shelfQuery = require("./__generated__/documentsShelfQuery.graphql.js");

const network = Network.create(async ({ text }, variables) => {
  const response = await fetch(`${process.argv[2]}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: text, variables }),
  });
  return response.json();
});
const environment = new Environment({ network, store: new Store(new RecordSource()), getDataID: (record) => record.nodeId });
const read = (fragment, reference) => environment.lookup(getSingularSelector(fragment, reference)).data;

async function main() {
  // The first page, and then what `usePaginationFragment` does for `loadNext`.
  const variables = { count: 5 };
  await fetchQuery(environment, shelfQuery, variables).toPromise();
  const root = createOperationDescriptor(shelfQuery, variables);
  environment.retain(root);
  const data = () => environment.lookup(root.fragment).data;
  const pages = [read(shelf, data()).books];
  while (pages.at(-1).pageInfo.hasNextPage) {
    const { endCursor } = pages.at(-1).pageInfo;
    await fetchQuery(environment, shelfPagination, { count: 5, cursor: endCursor }, { networkCacheConfig: { force: true } }).toPromise();
    pages.push(read(shelf, data()).books);
  }

  // A mutation changes the record that the query holds; a refetch by `node` reads it again.
  const before = read(cover, data().book);
  await new Promise((resolve, reject) => {
    commitMutation(environment, {
      mutation: reprice,
      variables: { id: "1", patch: { price: 3.25 } },
      onCompleted: (_, errors) => (errors ? reject(new Error(JSON.stringify(errors))) : resolve()),
      onError: reject,
    });
  });
  const after = read(cover, data().book);
  await fetchQuery(environment, coverRefetch, { nodeId: data().book.nodeId }).toPromise();

  console.log(JSON.stringify({
    pages: pages.map((page) => page.edges.map(({ node }) => node.title)),
    sameId: data().author.id === data().book.id,
    author: data().author.name,
    book: data().book.title,
    before: before.price,
    after: after.price,
    refetched: read(cover, data().book).price,
  }));
}

main();
