// Which view the page shows, kept in the address so that Back and a bookmark work: "editor" or "live".

import { createStore } from "./store.js";

export const LIVE_ADDRESS = "#live-queries";

const viewOf = (hash) => (hash === LIVE_ADDRESS ? "live" : "editor");

export const view = createStore(viewOf(location.hash));

addEventListener("hashchange", () => view.set(viewOf(location.hash)));

export function showEditor() {
  if (view.get() === "editor") return;
  // Without a trace of the other view in the address.
  history.pushState(null, "", location.pathname + location.search);
  view.set("editor");
}
