// The documents, as a component would have them; relay-compiler reads them here.
import { graphql } from "relay-runtime";

graphql`
  query documentsShelfQuery($count: Int!) {
    ...documentsShelf @arguments(count: $count)
    author(id: "1") { nodeId id name }
    book(id: "1") { nodeId id title ...documentsCover }
  }
`;

graphql`
  fragment documentsShelf on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" })
  @refetchable(queryName: "documentsShelfPaginationQuery") {
    books(first: $count, after: $cursor, orderBy: [{ title: ASC }]) @connection(key: "documentsShelf_books") {
      edges { node { id title } }
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
  mutation documentsRepriceMutation($id: ID!, $patch: BookPatch!) {
    updateBook(id: $id, patch: $patch) { title price }
  }
`;

graphql`
  subscription documentsBookSubscription($id: ID!) {
    book(id: $id) { title price }
  }
`;
