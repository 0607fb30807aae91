// The line under the result: whether it is live, when it changed last, and at which commit.

import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";
import { activity, clockOf } from "./activity.js";
import { connection } from "./connection.js";
import { useStore } from "./store.js";

export function StatusLine() {
  const state = useStore(activity);
  const socket = useStore(connection);
  useEndWhenStopped();
  return (
    <div className="console-status" role="status" data-state={state.kind}>
      {describe(state, socket)}
    </div>
  );
}

function describe(state, socket) {
  switch (state.kind) {
    case "live":
      return (
        <>
          <span className={socket === "lost" ? "console-badge lost" : "console-badge live"}>
            {socket === "lost" ? "reconnecting" : "live"}
          </span>
          <Changes {...state} />
        </>
      );
    case "ended":
      return (
        <>
          <span className="console-badge">stopped</span>
          <Changes {...state} />
        </>
      );
    case "answered":
      return (
        <>
          <span>{state.took < 10 ? state.took.toFixed(1) : Math.round(state.took)} ms</span>
          <Commit commitTs={state.commitTs} label="as of" />
        </>
      );
    case "running":
      return <span>running…</span>;
    default:
      return <span>Ctrl-Enter runs the operation; add @live and its result keeps up with the data</span>;
  }
}

function Changes({ kind, events, commitTs }) {
  if (events === 0) return <span>{kind === "live" ? "waiting for the first result" : "there was no result"}</span>;
  return (
    <>
      <Commit commitTs={commitTs} label="last change" />
      <span className="console-events">{events === 1 ? "1 event" : `${events} events`}</span>
    </>
  );
}

function Commit({ commitTs, label }) {
  if (!commitTs) return null;
  return (
    <span title={`commitTs ${commitTs}`}>
      {label} <time key={commitTs}>{clockOf(commitTs)}</time> <span className="console-commit">commit {commitTs}</span>
    </span>
  );
}

/** GraphiQL ends a stream without telling the fetcher why: its own state says when none runs any more. */
function useEndWhenStopped() {
  const { subscription, activeTabIndex } = useGraphiQL(({ subscription, activeTabIndex }) => ({ subscription, activeTabIndex }));
  useEffect(() => {
    const state = activity.get();
    if (!subscription && state.kind === "live") activity.set({ ...state, kind: "ended" });
  }, [subscription]);
  useEffect(() => activity.set({ kind: "none" }), [activeTabIndex]);
}
