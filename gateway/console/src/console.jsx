// The console's entry: asks the server what there is, then shows GraphiQL with the header and the status line.
// GraphiQL is composed of its parts here, so that the header lives inside its provider and can open tabs.

import "graphiql/graphiql.css";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "./console.css";
import "./workers.js";

import { GraphiQL, GraphiQLInterface, HISTORY_PLUGIN } from "graphiql";
import { GraphiQLProvider } from "@graphiql/react";
import { HistoryStore } from "@graphiql/plugin-history";
import { DOC_EXPLORER_PLUGIN, DocExplorerStore } from "@graphiql/plugin-doc-explorer";
import { createRoot } from "react-dom/client";
import { loadCatalog } from "./catalog.js";
import { defaultTabs } from "./examples.js";
import { fetcher } from "./fetcher.js";
import { Header } from "./header.jsx";
import { LiveQueries } from "./live_queries.jsx";
import { LiveResult } from "./live_result.jsx";
import { SchemaWatch } from "./schema_watch.jsx";
import { StatusLine } from "./status_line.jsx";
import { useStore } from "./store.js";
import { view } from "./view.js";

const PLUGINS = [DOC_EXPLORER_PLUGIN, HISTORY_PLUGIN];

function Console({ catalog }) {
  return (
    <GraphiQLProvider
      fetcher={fetcher}
      plugins={PLUGINS}
      referencePlugin={DOC_EXPLORER_PLUGIN}
      defaultTabs={defaultTabs(catalog)}
      defaultQuery=""
    >
      <HistoryStore>
        <DocExplorerStore>
          <Header initial={catalog.collections} />
          <SchemaWatch introspected={catalog.version} />
          <LiveResult />
          <View />
        </DocExplorerStore>
      </HistoryStore>
    </GraphiQLProvider>
  );
}

/** The editor stays behind the other view, with all that is written in it. */
function View() {
  const isLive = useStore(view) === "live";
  return (
    <>
      {isLive && <LiveQueries />}
      <div className="console-editor" hidden={isLive}>
        <GraphiQLInterface showPersistHeadersSettings={false}>
          <GraphiQL.Logo> </GraphiQL.Logo>
          <GraphiQL.Footer>
            <StatusLine />
          </GraphiQL.Footer>
        </GraphiQLInterface>
      </div>
    </>
  );
}

const root = createRoot(document.getElementById("console"));
loadCatalog().then(
  (catalog) => root.render(<Console catalog={catalog} />),
  (error) => root.render(<p className="console-notice">The server did not answer: {error.message}. Reload to try again.</p>),
);
