// The operations that a first visit finds in its tabs, made from the collections that exist.

import { getNamedType, getNullableType, isLeafType, isRequiredArgument } from "graphql";

const FIELDS_MAX = 4;

const TOP_RATED = `query TopRated @live {
  movies(
    filter: {IMDB_Rating: {gte: 8.5}}
    orderBy: [{IMDB_Rating: DESC}]
    first: 5
  ) {
    nodes { id Title Director }
    totalCount
  }
}
`;

const ADD_MOVIE = `mutation AddMovie {
  insertDocuments(
    collection: "movies"
    documents: [
      {
        Title: "A Film of Your Own"
        Director: "You"
        IMDB_Rating: 9.9
      }
    ]
  )
}
`;

const ADD_NOTES = `mutation AddNotes {
  insertDocuments(
    collection: "notes"
    documents: [
      {text: "Rivers have a deepest line", stars: 5}
      {text: "It is called thalweg", stars: 4}
    ]
  )
}
`;

const LIVE_HINT = `# A live query. Run it (Ctrl-Enter), and its
# result follows the data: change something
# in a second window and see.
# Without @live it is an ordinary query.

`;

const EMPTY_HINT = `# There is no collection yet. Import a file
# (JSON array, NDJSON or CSV):
#
#   thalweg import FILE --collection NAME \\
#     --server ${location.origin}
#
# or run this mutation. New types appear here
# at once, without a reload.

`;

const INSERT_HINT = `# Documents of any shape: what they hold
# becomes types and fields at once.

`;

const COLLECTIONS = `subscription Collections {
  collections { name count }
}
`;

/** What GraphiQL shows when it has no tabs of an earlier visit. */
export function defaultTabs({ schema, collections }) {
  const listed = collections.filter((collection) => isListed(schema, collection));
  if (listed.length === 0) return [{ query: EMPTY_HINT + ADD_NOTES }, { query: COLLECTIONS }];
  const first = listed.find(({ name }) => name === "movies") ?? listed[0];
  const live = exampleQuery(schema, first);
  const insert = live === TOP_RATED ? ADD_MOVIE : ADD_NOTES;
  return [{ query: LIVE_HINT + live }, { query: INSERT_HINT + insert }, { query: COLLECTIONS }];
}

/** Whether the schema at hand has the collection: a new one may be announced before its types are known here. */
export function isListed(schema, { listField }) {
  return listField in (schema.getQueryType()?.getFields() ?? {});
}

/** A live query over a listed collection that selects its first plain fields. */
export function exampleQuery(schema, { name, listField, typeName }) {
  const fields = schema.getType(typeName)?.getFields?.() ?? {};
  if (name === "movies" && ["Title", "Director", "IMDB_Rating"].every((field) => field in fields)) return TOP_RATED;
  const plain = Object.values(fields)
    .filter((field) => isPlain(field))
    .map((field) => field.name)
    .slice(0, FIELDS_MAX);
  const operation = listField.charAt(0).toUpperCase() + listField.slice(1);
  return `query ${operation} @live {
  ${listField}(first: 10) {
    nodes { ${["id", ...plain].join(" ")} }
    totalCount
  }
}
`;
}

/** A leaf that can be selected as it is and that came from the documents: not a system field, not a list. */
function isPlain(field) {
  if (field.name === "id" || field.name === "nodeId" || field.name.startsWith("_")) return false;
  if (field.args.some(isRequiredArgument)) return false;
  return isLeafType(getNullableType(field.type)) && isLeafType(getNamedType(field.type));
}
