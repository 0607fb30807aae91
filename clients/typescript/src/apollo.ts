// A link for Apollo Client 4.

import { ApolloLink } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { print } from "@apollo/client/utilities";
import { Observable } from "rxjs";
import { isLive } from "./is_live.js";
import { live, type LiveClient, type LiveOptions } from "./live.js";

/**
 * Takes subscriptions and queries that are `@live`, and passes all others on to the next link; it takes those as well where there
 * is none.
 *
 * ```ts
 * link: ApolloLink.from([new LiveLink(createLiveClient({ url: "ws://…/graphql" })), new HttpLink({ uri: "http://…/graphql" })])
 * ```
 */
export class LiveLink extends ApolloLink {
  readonly #client: LiveClient;
  readonly #options: Omit<LiveOptions<Record<string, unknown>>, "initial">;

  constructor(client: LiveClient, options: Omit<LiveOptions<Record<string, unknown>>, "initial"> = {}) {
    super();
    this.#client = client;
    this.#options = options;
  }

  override request(operation: ApolloLink.Operation, forward?: ApolloLink.ForwardFunction): Observable<ApolloLink.Result> {
    const { query, variables, operationName, extensions } = operation;
    if (forward && !isLive(query, operationName, variables)) return forward(operation);
    return new Observable((observer) =>
      live(
        this.#client,
        { query: print(query), variables, operationName, extensions },
        {
          next: (result) => observer.next(result as ApolloLink.Result),
          error: (error) => observer.error(asError(error)),
          complete: () => observer.complete(),
        },
        this.#options,
      ),
    );
  }
}

/** Apollo Client expects instances of `Error`. */
function asError(error: unknown): unknown {
  if (Array.isArray(error)) return new CombinedGraphQLErrors({ errors: error });
  if (error instanceof Error) return error;
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  return new Error(`the socket was closed${code === undefined ? "" : `: ${code} ${reason ?? ""}`.trimEnd()}`, { cause: error });
}
