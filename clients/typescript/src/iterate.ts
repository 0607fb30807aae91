// The results of a live operation for `for await`.

import { live, type LiveClient, type LiveOptions, type LiveRequest } from "./live.js";
import type { LiveResult } from "./state.js";

export interface IterateOptions<Data> extends LiveOptions<Data> {
  /**
   * What becomes of results that nobody has asked for yet: `newest` keeps the last one only, which shows everything before it
   * too; `all` keeps each, as the change stream needs. `newest` unless told otherwise.
   */
  readonly keep?: "newest" | "all" | undefined;
}

/**
 * The results of a live operation, from the first call of `next` on. Leaving the loop ends it.
 *
 * ```ts
 * for await (const { data } of iterate(client, { query })) show(data);
 * ```
 */
export function iterate<Data = Record<string, unknown>, Variables = Record<string, unknown>>(
  client: LiveClient,
  request: LiveRequest<Variables>,
  { keep = "newest", ...options }: IterateOptions<Data> = {},
): AsyncIterableIterator<LiveResult<Data>> {
  type Step = IteratorResult<LiveResult<Data>, undefined>;
  interface Waiting {
    resolve(step: Step): void;
    reject(error: unknown): void;
  }
  const kept: LiveResult<Data>[] = [];
  const waiting: Waiting[] = [];
  let end: { readonly error?: unknown } | undefined;
  let stop: (() => void) | undefined;

  const done = (): Step => ({ done: true, value: undefined });
  const finish = (how: { readonly error?: unknown }) => {
    end ??= how;
    for (const { resolve, reject } of waiting.splice(0)) {
      if ("error" in end) {
        reject(end.error);
        // An error is told once; then the iterator has ended.
        end = {};
      } else resolve(done());
    }
  };
  const start = () =>
    live<Data, Variables>(
      client,
      request,
      {
        next: (result) => {
          const first = waiting.shift();
          if (first) return first.resolve({ done: false, value: result });
          if (keep === "newest") kept.length = 0;
          kept.push(result);
        },
        error: (error) => finish({ error }),
        complete: () => finish({}),
      },
      options,
    );

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next(): Promise<Step> {
      if (!end) stop ??= start();
      const value = kept.shift();
      if (value) return { done: false, value };
      if (end && "error" in end) {
        const { error } = end;
        end = {};
        throw error;
      }
      if (end) return done();
      return new Promise<Step>((resolve, reject) => waiting.push({ resolve, reject }));
    },
    async return(): Promise<Step> {
      kept.length = 0;
      finish({});
      stop?.();
      return done();
    },
  };
}
