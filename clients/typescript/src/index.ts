// Live queries of Thalweg over clients of `graphql-ws`.

export { createLiveClient } from "./client.js";
export { iterate, type IterateOptions } from "./iterate.js";
export { live, LiveProtocolError, type LiveClient, type LiveOptions, type LiveRequest, type LiveSink } from "./live.js";
export { applyPatch, PatchError, type PatchOperation } from "./patch.js";
export type { LiveExtensions, LiveResult } from "./state.js";
