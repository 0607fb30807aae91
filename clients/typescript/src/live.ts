// A live operation over a client of `graphql-ws`: patches become results, and whatever breaks is taken up where it was.

import type { Sink, SubscribePayload } from "graphql-ws";
import { LiveState, type LiveMessage, type LiveResult } from "./state.js";
import { pause } from "./wait.js";

/** What is needed of a client: that of `graphql-ws` is one, and that of `graphql-sse` another. */
export interface LiveClient {
  // Clients differ in what they take results for.
  subscribe(payload: SubscribePayload, sink: Sink<any>): () => void;
  /** Tells of closed sockets; a client that has none need not have this. */
  on?(event: "closed", listener: (event: unknown) => void): () => void;
}

/** An operation: `query … @live`, with `patch: true` if changes are to come as patches, or a `subscription`. */
export interface LiveRequest<Variables = Record<string, unknown>> {
  readonly query: string;
  readonly variables?: Variables | null | undefined;
  readonly operationName?: string | null | undefined;
  readonly extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

export interface LiveSink<Data> {
  /** A complete result, as new as the server's. */
  next(result: LiveResult<Data>): void;
  /**
   * The end, by an error: a list of GraphQL errors, for example with the code `SCHEMA_CHANGED`; or what has closed the connection,
   * once the client has given up to open it again.
   */
  error(error: unknown): void;
  /** The end: stopped, or told so by the server. */
  complete?(): void;
  /**
   * The operation has been sent once more. Who reads the change stream throws away what has come of a commit that is not whole;
   * it comes again.
   */
  resent?(): void;
}

export interface LiveOptions<Data> {
  /** A result of the same operation that is here already: it is followed, and not sent again. */
  readonly initial?: LiveResult<Data> | undefined;
  /** Is told when the server's messages did not fit together, and the result is fetched anew. */
  readonly onGap?: ((why: string) => void) | undefined;
  /** Waits before a server that said `UNAVAILABLE` is asked again; `attempt` counts from 0. */
  readonly pause?: ((attempt: number) => Promise<void>) | undefined;
}

/** The server does not keep to its protocol. */
export class LiveProtocolError extends Error {
  override readonly name = "LiveProtocolError";
}

/**
 * Follows a live operation: every result is passed to `sink`. Gives a function that ends it.
 *
 * ```ts
 * const stop = live(client, { query: "query @live(patch: true) { movies { nodes { id Title } } }" }, {
 *   next: ({ data, errors }) => show(data, errors),
 *   error: (error) => console.error(error),
 * });
 * ```
 *
 * After a lost connection the client of `graphql-ws` sends the operation again, and it resumes: the server tells what has
 * changed since, or nothing.
 */
export function live<Data = Record<string, unknown>, Variables = Record<string, unknown>>(
  client: LiveClient,
  request: LiveRequest<Variables>,
  sink: LiveSink<Data>,
  options: LiveOptions<Data> = {},
): () => void {
  const following = new Following(client, request, sink, options);
  following.start();
  return () => following.stop();
}

class Following<Data, Variables> {
  readonly #client: LiveClient;
  readonly #request: LiveRequest<Variables>;
  readonly #sink: LiveSink<Data>;
  readonly #options: LiveOptions<Data>;
  readonly #state: LiveState<Data>;
  /** Names the present subscription; what comes from an earlier one is not heard. 0 when all is over. */
  #subscription = 0;
  #subscriptions = 0;
  #unsubscribe: (() => void) | undefined;
  readonly #deafen: (() => void) | undefined;
  #hasBeenSent = false;
  /** Whether the present subscription began because of a gap, and has told nothing that fits yet. */
  #isRecovering = false;
  /** How often in a row the server was not available. */
  #refusals = 0;

  constructor(client: LiveClient, request: LiveRequest<Variables>, sink: LiveSink<Data>, options: LiveOptions<Data>) {
    this.#client = client;
    this.#request = request;
    this.#sink = sink;
    this.#options = options;
    this.#state = new LiveState(options.initial, thalwegOf(request)["resumeFrom"] as string | undefined);
    this.#deafen = client.on?.("closed", (event) => {
      const shown = /^Going away; resumeFrom=(\d+)$/.exec((event as { reason?: string } | undefined)?.reason ?? "")?.[1];
      if (shown) this.#state.close(shown);
    });
  }

  start(): void {
    this.#subscriptions += 1;
    const subscription = this.#subscriptions;
    const before = this.#unsubscribe;
    this.#subscription = subscription;
    const isPresent = () => this.#subscription === subscription;
    const unsubscribe = this.#client.subscribe(this.#payload(), {
      next: (message: LiveMessage<Data>) => isPresent() && this.#take(message),
      error: (error: unknown) => isPresent() && this.#fail(error),
      complete: () => isPresent() && this.#end(() => this.#sink.complete?.()),
    });
    // A client may call back before it returns.
    if (isPresent()) this.#unsubscribe = unsubscribe;
    else unsubscribe();
    // Only now: without any subscription the client of graphql-ws would close its socket.
    before?.();
  }

  stop(): void {
    if (this.#subscription === 0) return;
    const unsubscribe = this.#unsubscribe;
    this.#end(() => {
      unsubscribe?.();
      this.#sink.complete?.();
    });
  }

  #end(last: () => void): void {
    this.#subscription = 0;
    this.#unsubscribe = undefined;
    this.#deafen?.();
    last();
  }

  #take(message: LiveMessage<Data>): void {
    const taken = this.#state.take(message);
    if (taken.kind === "result") {
      this.#isRecovering = false;
      this.#refusals = 0;
      this.#sink.next(taken.result);
    } else if (this.#isRecovering) {
      // It would be so for ever.
      const unsubscribe = this.#unsubscribe;
      this.#end(() => {
        unsubscribe?.();
        this.#sink.error(new LiveProtocolError(`no result came before its changes: ${taken.why}`));
      });
    } else {
      this.#options.onGap?.(taken.why);
      this.#state.forget();
      this.#isRecovering = true;
      this.start();
    }
  }

  #fail(error: unknown): void {
    if (!isUnavailable(error)) return this.#end(() => this.#sink.error(error));
    // A server that is being started or stopped, or is full, says so. The connection may be good, so its client does not
    // try again.
    const subscription = this.#subscription;
    this.#unsubscribe = undefined;
    (this.#options.pause ?? pause)(this.#refusals++).then(() => {
      if (this.#subscription === subscription) this.start();
    });
  }

  /**
   * What is sent. A client makes text of it each time that it sends it, which is when it must say from where to resume; `toJSON`
   * tells us of that time as well.
   */
  #payload(): SubscribePayload {
    const { query, variables, operationName, extensions } = this.#request;
    const payload: SubscribePayload = {
      query,
      ...(variables && { variables: variables as Record<string, unknown> }),
      ...(operationName && { operationName }),
      ...(extensions && { extensions }),
    };
    const toJSON = () => {
      if (this.#hasBeenSent) this.#sink.resent?.();
      this.#hasBeenSent = true;
      return { ...payload, ...this.#extensions(this.#state.begin()) };
    };
    // Not enumerable, so that it is not mistaken for a part of what is sent.
    return Object.defineProperty(payload, "toJSON", { value: toJSON });
  }

  #extensions(resumeFrom: string | undefined): Pick<SubscribePayload, "extensions"> {
    const { resumeFrom: _, ...others } = thalwegOf(this.#request);
    const thalweg = resumeFrom === undefined ? others : { ...others, resumeFrom };
    const extensions = { ...this.#request.extensions, thalweg };
    const isEmpty = Object.keys(thalweg).length === 0 && Object.keys(extensions).length === 1;
    return isEmpty ? {} : { extensions };
  }
}

function thalwegOf({ extensions }: LiveRequest<unknown>): Record<string, unknown> {
  return (extensions?.["thalweg"] ?? {}) as Record<string, unknown>;
}

function isUnavailable(error: unknown): boolean {
  return (
    Array.isArray(error) &&
    error.length > 0 &&
    error.every((one: { extensions?: { code?: unknown } } | null) => one?.extensions?.code === "UNAVAILABLE")
  );
}
