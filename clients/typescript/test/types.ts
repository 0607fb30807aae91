// Compiles, as a program that uses the package would; `tsc -p test` checks it.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { cacheExchange, Client, fetchExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { applyPatch, createLiveClient, iterate, live, type LiveResult, type PatchOperation } from "@thalweg/client";
import { LiveLink } from "@thalweg/client/apollo";
import { liveExchange } from "@thalweg/client/urql";

interface Movies {
  movies: { nodes: { id: string; Title: string | null }[] };
}

const url = "ws://127.0.0.1:4000/graphql";
const socket = createLiveClient({ url, connectionParams: { token: "…" } });
const query = "query ($first: Int) @live(patch: true) { movies(first: $first) { nodes { id Title } } }";

const stop: () => void = live<Movies, { first: number }>(
  // A client of one's own will do.
  createClient({ url }),
  { query, variables: { first: 5 } },
  {
    next: ({ data, errors, extensions }) => {
      const title: string | null | undefined = data?.movies.nodes[0]?.Title;
      const message: string | undefined = errors?.[0]?.message;
      const commitTs: string | undefined = extensions?.thalweg?.commitTs;
      console.log(title, message, commitTs);
    },
    error: (error: unknown) => console.error(error),
  },
);
stop();

// @ts-expect-error: a result cannot be changed
live<Movies>(socket, { query }, { next: (result) => (result.data = null), error: console.error });
// @ts-expect-error: this is not what the query gives
live<Movies>(socket, { query }, { next: ({ data }) => data?.books, error: console.error });
// @ts-expect-error: these are not its variables
live<Movies, { first: number }>(socket, { query, variables: { first: "5" } }, { next: console.log, error: console.error });

export async function titles(initial: LiveResult<Movies>): Promise<void> {
  for await (const { data } of iterate<Movies>(socket, { query }, { initial, keep: "newest" })) {
    const nodes: { id: string }[] | undefined = data?.movies.nodes;
    console.log(nodes);
  }
}

const operations: PatchOperation[] = [{ op: "move", from: "/a/0", path: "/a/1" }];
export const patched: unknown = applyPatch({ a: [1, 2] }, operations);

export const apollo = new ApolloClient({
  cache: new InMemoryCache(),
  link: ApolloLink.from([new LiveLink(socket, { onGap: console.warn }), new HttpLink({ uri: "http://127.0.0.1:4000/graphql" })]),
});
export const urql = new Client({
  url: "http://127.0.0.1:4000/graphql",
  exchanges: [liveExchange(socket), cacheExchange, fetchExchange],
  preferGetMethod: false,
});
