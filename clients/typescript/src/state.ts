// What a client knows of one live operation: the data it has shown, which patch comes next, and from where to resume. It
// decides; `live.ts` does.

import type { GraphQLFormattedError } from "graphql";
import { applyPatch, type PatchOperation } from "./patch.js";
import { share } from "./share.js";

/** A complete result. It is never changed afterwards, and shares with the one before it whatever is equal in both. */
export interface LiveResult<Data = Record<string, unknown>> {
  readonly data?: Data | null | undefined;
  readonly errors?: readonly GraphQLFormattedError[] | undefined;
  readonly extensions?: LiveExtensions | undefined;
}

export interface LiveExtensions {
  readonly thalweg?: {
    /** The commit whose state the result shows. */
    readonly commitTs?: string;
    readonly [name: string]: unknown;
  };
  readonly [name: string]: unknown;
}

/** The payload of a `next` message: a result, or how its data follows from that of the last one. */
export interface LiveMessage<Data> extends LiveResult<Data> {
  readonly revision?: number;
  readonly patch?: readonly PatchOperation[];
}

/** What follows from a message. */
export type Taken<Data> =
  | { readonly kind: "result"; readonly result: LiveResult<Data> }
  /** The message does not continue what the client has, which must begin anew. */
  | { readonly kind: "gap"; readonly why: string };

export class LiveState<Data> {
  /** The newest data there was, for the next result to share with. */
  #shown: Data | null | undefined;
  /** What the next patch is for, if one may come. */
  #base: { readonly data: Data; readonly revision: number } | undefined;
  /** The commit whose result the client has. */
  #resumeFrom: string | undefined;
  /** Whether something has come since the operation was sent. */
  #isTold = false;

  /** `initial` is a result that the client has already; `resumeFrom` is a point that it was given without one. */
  constructor(initial?: LiveResult<Data>, resumeFrom?: string) {
    this.#resumeFrom = resumeFrom;
    if (initial) this.#takeComplete(initial, 1);
  }

  /** The operation is sent to the server; gives the commit from which to resume, if any. */
  begin(): string | undefined {
    this.#isTold = false;
    // A server that resumes takes what the client has for revision 1; one that does not begins with a complete result.
    this.#base = this.#base && this.#resumeFrom !== undefined ? { data: this.#base.data, revision: 1 } : undefined;
    return this.#resumeFrom;
  }

  /**
   * The server has said goodbye, and that all it has told shows the state of a later commit. It may not have known of an
   * operation of which it has told nothing.
   */
  close(shown: string): void {
    if (this.#isTold && this.#resumeFrom !== undefined && BigInt(shown) > BigInt(this.#resumeFrom)) this.#resumeFrom = shown;
  }

  /** What the client has cannot be continued. */
  forget(): void {
    this.#base = undefined;
    this.#resumeFrom = undefined;
  }

  take(message: LiveMessage<Data>): Taken<Data> {
    this.#isTold = true;
    const { patch, revision, ...result } = message;
    return patch ? this.#takePatch(patch, revision, result) : { kind: "result", result: this.#takeComplete(result, revision) };
  }

  #takePatch(patch: readonly PatchOperation[], revision: number | undefined, { extensions }: LiveResult<Data>): Taken<Data> {
    const base = this.#base;
    if (!base) return { kind: "gap", why: `revision ${revision} changes a result that is not here` };
    if (revision !== base.revision + 1) return { kind: "gap", why: `revision ${revision} came after ${base.revision}` };
    try {
      const data = applyPatch(base.data, patch) as Data;
      const result = extensions ? { data, extensions } : { data };
      this.#note(result, revision);
      return { kind: "result", result };
    } catch (error) {
      return { kind: "gap", why: `revision ${revision} does not apply: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  #takeComplete(given: LiveResult<Data>, revision: number | undefined): LiveResult<Data> {
    const { data } = given;
    const result = data == null ? given : { ...given, data: share(this.#shown, data) };
    this.#note(result, revision);
    return result;
  }

  #note({ data, errors, extensions }: LiveResult<Data>, revision: number | undefined): void {
    this.#shown = data ?? this.#shown;
    if (errors?.length) {
      // Errors may pass without any change to the data; a client that resumed would not hear of it.
      this.forget();
      return;
    }
    this.#base = data == null || revision === undefined ? undefined : { data, revision };
    // A part of an unfinished commit of the change stream has no point of its own, and leaves it where it was.
    this.#resumeFrom = extensions?.thalweg?.commitTs ?? this.#resumeFrom;
  }
}
