// The bar above GraphiQL: the name, the collections with counts that move as data arrives, the schema.

import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState } from "react";
import { connection, subscribe } from "./connection.js";
import { exampleQuery, isListed } from "./examples.js";
import { useStore } from "./store.js";
import { LIVE_ADDRESS, showEditor, view } from "./view.js";

const COLLECTIONS = "subscription ConsoleCollections { collections { name count listField typeName } }";

export function Header({ initial }) {
  const collections = useCollections(initial);
  const open = useOpenExample();
  return (
    <header className="console-header">
      <h1>
        <svg viewBox="0 0 32 32" width="20" height="20" aria-hidden="true">
          <path d="M3 10c7 0 7 5 13 5s6-5 13-5M3 19c7 0 7 5 13 5s6-5 13-5" />
        </svg>
        Thalweg
      </h1>
      <nav aria-label="Collections">
        {collections.length === 0 && <span className="console-empty">no collections yet</span>}
        {collections.map((collection) => (
          <button
            key={collection.name}
            type="button"
            title={`Open a live query of ${collection.name}`}
            onClick={() => open(collection)}
          >
            {collection.name} <Count value={collection.count} />
          </button>
        ))}
      </nav>
      <Connection />
      <a href={LIVE_ADDRESS} aria-current={useStore(view) === "live" ? "page" : undefined}>
        live queries
      </a>
      <a href="/schema.graphql" target="_blank" rel="noreferrer">
        schema.graphql
      </a>
    </header>
  );
}

const COUNT_FORMAT = new Intl.NumberFormat("en");

/** The key restarts the animation whenever the number moves. */
function Count({ value }) {
  const [first] = useState(value);
  return (
    <span key={value} className={value === first ? "console-count" : "console-count moved"}>
      {COUNT_FORMAT.format(value)}
    </span>
  );
}

function Connection() {
  const state = useStore(connection);
  return (
    <span className="console-connection" role="status">
      {state === "lost" ? "reconnecting…" : ""}
    </span>
  );
}

function useCollections(initial) {
  const [collections, setCollections] = useState(initial);
  useEffect(
    () =>
      subscribe(
        { query: COLLECTIONS },
        {
          next: ({ data }) => data && setCollections(data.collections),
          error: (error) => console.warn("The list of collections is not live:", error),
          complete: () => {},
        },
      ),
    [],
  );
  return collections;
}

/** Opens a collection's example in a tab of its own, or goes to the tab that already shows it. */
function useOpenExample() {
  const { addTab, changeTab, setOperationName } = useGraphiQLActions();
  const { tabs, schema, queryEditor } = useGraphiQL(({ tabs, schema, queryEditor }) => ({ tabs, schema, queryEditor }));
  return (collection) => {
    showEditor();
    if (!schema || !queryEditor || !isListed(schema, collection)) return;
    const query = exampleQuery(schema, collection);
    const index = tabs.findIndex((tab) => tab.query === query);
    if (index >= 0) {
      changeTab(index);
    } else {
      addTab();
      setOperationName("");
      queryEditor.setValue(query);
    }
    queryEditor.focus();
  };
}
