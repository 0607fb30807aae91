// The documents, as a component would have them; relay-compiler reads them here. OWN_ID and GLOBAL_ID stand for what the
// server calls ids.
import { graphql } from "relay-runtime";

graphql`
  query documentsShelfQuery($count: Int!) {
    ...documentsShelf @arguments(count: $count)
    author(OWN_ID: "1") { GLOBAL_ID OWN_ID name }
    book(OWN_ID: "1") { GLOBAL_ID OWN_ID title isbn added _json ...documentsCover }
  }
`;

graphql`
  query documentsPlacesQuery {
    shelves(orderBy: [{ OWN_ID: ASC }]) { nodes { place { id room } } }
  }
`;

graphql`
  fragment documentsShelf on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" })
  @refetchable(queryName: "documentsShelfPaginationQuery") {
    books(first: $count, after: $cursor, orderBy: [{ title: ASC }]) @connection(key: "documentsShelf_books") {
      edges { node { OWN_ID title } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;

graphql`
  fragment documentsCover on Book @refetchable(queryName: "documentsCoverRefetchQuery") {
    title
    price
  }
`;

graphql`
  mutation documentsRepriceMutation($row: ID!, $patch: BookPatch!) {
    updateBook(OWN_ID: $row, patch: $patch) { title price }
  }
`;

graphql`
  subscription documentsBookSubscription($row: ID!) {
    book(OWN_ID: $row) { title price }
  }
`;
