// GraphiQL's way to the server: what streams (subscriptions and `@live` operations) goes over the WebSocket,
// everything else is one POST.

import { Kind, parse } from "graphql";
import { activity } from "./activity.js";
import { subscribe } from "./connection.js";

const ACCEPT = "application/graphql-response+json, application/json;q=0.9";

/** One operation by POST; resolves to the GraphQL result, also when that holds errors. */
export async function post(payload, headers = {}) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: ACCEPT },
    body: JSON.stringify(payload),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 500) || response.statusText}`);
  }
}

export function fetcher(payload, options = {}) {
  if (payload.operationName === "IntrospectionQuery") return post(payload, options.headers);
  const { operation, request } = prepare(payload);
  return operation && streams(operation) ? stream(request) : once(request, options.headers);
}

async function once(payload, headers) {
  const started = performance.now();
  activity.set({ kind: "running" });
  try {
    const result = await post(payload, headers);
    activity.set({ kind: "answered", took: performance.now() - started, commitTs: commitTsOf(result) });
    return result;
  } catch (error) {
    activity.set({ kind: "none" });
    throw error;
  }
}

/** An observable in the sense of GraphiQL: `subscribe` returns `{ unsubscribe }`. */
function stream(payload) {
  return {
    subscribe(observer) {
      let events = 0;
      let commitTs = null;
      const end = () => activity.set({ kind: "ended", events, commitTs });
      activity.set({ kind: "live", events, commitTs });
      const dispose = subscribe(payload, {
        next(result) {
          events += 1;
          commitTs = commitTsOf(result) ?? commitTs;
          activity.set({ kind: "live", events, commitTs });
          observer.next(result);
        },
        error(error) {
          end();
          observer.error(error);
        },
        complete() {
          end();
          observer.complete();
        },
      });
      return { unsubscribe: dispose };
    },
  };
}

/**
 * The operation that will run, and the request for it. GraphiQL notices edits a moment late, so the name that it
 * passes may be of an operation that is gone; then the only operation is meant.
 */
function prepare(payload) {
  const operations = operationsIn(payload.query);
  const named = operations.find(({ name }) => name && name.value === payload.operationName);
  if (named || operations.length !== 1) return { operation: named, request: payload };
  const { operationName: _, ...request } = payload;
  return { operation: operations[0], request };
}

/** Text that does not parse is the server's to explain. */
function operationsIn(query) {
  try {
    return parse(query).definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  } catch {
    return [];
  }
}

function streams({ operation, directives }) {
  return operation === "subscription" || directives.some(({ name }) => name.value === "live");
}

function commitTsOf(result) {
  return result?.extensions?.thalweg?.commitTs ?? null;
}
