// An exchange for urql.
//
// `subscriptionExchange` of `@urql/core` merges results as parts of one, as `@defer` needs it: an error would stay when it
// has passed, and data that has become null would not. So this is one of its own.

import {
  type AnyVariables,
  type Exchange,
  type ExecutionResult,
  makeErrorResult,
  makeOperation,
  makeResult,
  type Operation,
  type OperationResult,
  stringifyDocument,
} from "@urql/core";
import { filter, make, merge, mergeMap, pipe, type Source, takeUntil } from "wonka";
import { isLive } from "./is_live.js";
import { live, type LiveClient, type LiveOptions } from "./live.js";

/** An operation that is being followed. */
interface Running {
  operation: Operation;
  /** The newest result, of whatever operation asked for it. */
  newest: OperationResult | undefined;
}

/**
 * Takes subscriptions and queries that are `@live`, and passes all others on. It stands before `cacheExchange`: what is live
 * needs no cache to be new, and would not be asked for if the cache had it.
 *
 * ```ts
 * exchanges: [liveExchange(createLiveClient({ url: "ws://…/graphql" })), cacheExchange, fetchExchange]
 * ```
 */
export function liveExchange(client: LiveClient, options: Omit<LiveOptions<Record<string, unknown>>, "initial"> = {}): Exchange {
  return ({ client: urql, forward }) => {
    const running = new Map<number, Running>();

    const follow = (operation: Operation): Source<OperationResult> =>
      make((observer) => {
        const own: Running = { operation, newest: undefined };
        running.set(operation.key, own);
        const tell = (result: OperationResult) => {
          own.newest = result;
          observer.next(result);
        };
        const leave = () => running.get(operation.key) === own && running.delete(operation.key);
        const stop = live(
          client,
          {
            query: stringifyDocument(operation.query),
            variables: operation.variables as Record<string, unknown>,
            extensions: operation.extensions as Record<string, unknown> | undefined,
          },
          {
            next: (result) => tell(makeResult(own.operation, result as ExecutionResult)),
            error: (error) => {
              leave();
              tell(failure(own.operation, error));
              observer.complete();
            },
            complete: () => {
              if (!leave()) return;
              // Who waits for a subscription is told of its end by urql, and not by a result.
              if (own.operation.kind === "subscription") {
                urql.reexecuteOperation(makeOperation("teardown", own.operation, own.operation.context));
              }
              observer.complete();
            },
          },
          options,
        );
        return () => {
          leave();
          stop();
        };
      });

    return (operations$) => {
      const results$ = pipe(
        operations$,
        filter(isOurs),
        mergeMap((operation: Operation): Source<OperationResult> => {
          const present = running.get(operation.key);
          if (!present) {
            const ends$ = filter(({ kind, key }: Operation) => kind === "teardown" && key === operation.key)(operations$);
            return pipe(follow(operation), takeUntil(ends$));
          }
          // It is asked for once more while it is live: the newest result is what the server has.
          present.operation = operation;
          return make<OperationResult>((observer) => {
            if (present.newest) observer.next({ ...present.newest, operation });
            observer.complete();
            return () => {};
          });
        }),
      );
      const others$ = forward(filter((operation: Operation) => !isOurs(operation))(operations$));
      return merge([results$, others$]);
    };
  };
}

function isOurs({ kind, query, variables, context }: Operation): boolean {
  if (kind !== "query" && kind !== "subscription") return false;
  return context.requestPolicy !== "cache-only" && isLive(query, undefined, (variables ?? {}) as Record<string, unknown>);
}

function failure(operation: Operation, error: unknown): OperationResult<unknown, AnyVariables> {
  return Array.isArray(error)
    ? { ...makeResult(operation, { errors: error }), hasNext: false }
    : makeErrorResult(operation, error instanceof Error ? error : new Error("the socket was closed", { cause: error }));
}
