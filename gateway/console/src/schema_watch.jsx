// Keeps GraphiQL's schema up to date: when the server says that the version has moved, it is introspected again.

import { useGraphiQLActions } from "@graphiql/react";
import { useEffect } from "react";
import { subscribe } from "./connection.js";

const VERSION = "subscription ConsoleSchema { schema { version } }";

/** An import can move the version many times in a second; one introspection after a pause is enough. */
const SETTLE_MS = 120;

/** `introspected` is the version that GraphiQL's first introspection has seen, or an older one. */
export function SchemaWatch({ introspected }) {
  const { introspect } = useGraphiQLActions();
  useEffect(() => {
    let known = introspected;
    let timer;
    const stop = subscribe(
      { query: VERSION },
      {
        next({ data }) {
          const version = data?.schema.version;
          if (!version || version === known) return;
          known = version;
          clearTimeout(timer);
          timer = setTimeout(introspect, SETTLE_MS);
        },
        error: (error) => console.warn("The schema is not live:", error),
        complete: () => {},
      },
    );
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [introspect, introspected]);
  return null;
}
