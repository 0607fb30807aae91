// A server of a test's own, where the test needs other data or other options than the common one has.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const READY_MS = 60_000;

/**
 * Starts `thalweg COMMAND` on a free port, with an empty store, which `stop` removes; or with the one in the folder `data`, which
 * stays.
 */
export async function startServer({ command = "dev", options = [], data: given } = {}) {
  const binary = process.env.THALWEG_BIN;
  if (!binary) throw new Error("THALWEG_BIN must name the binary");
  const data = given ?? mkdtempSync(join(tmpdir(), "thalweg-e2e-"));
  const child = spawn(binary, [command, "--listen", "127.0.0.1:0", "--data", data, ...options], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  let log = "";
  child.stderr.on("data", (chunk) => (log = (log + chunk).slice(-20_000)));
  const origin = await new Promise((resolve, reject) => {
    let text = "";
    const late = setTimeout(() => reject(new Error(`not ready after ${READY_MS} ms:\n${log}`)), READY_MS);
    child.stdout.on("data", (chunk) => {
      text += chunk;
      const [, url] = /(http:\/\/[\w.:[\]]+)/.exec(text) ?? [];
      if (!url || !text.includes("\n")) return;
      clearTimeout(late);
      resolve(url);
    });
    ended.then((how) => {
      clearTimeout(late);
      reject(new Error(`ended with ${how} before it was ready:\n${log}`));
    });
  });
  const graphqlUrl = `${origin}/graphql`;

  async function post(query, variables, extra = {}) {
    const response = await fetch(graphqlUrl, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ query, variables, ...extra }),
    });
    return response.json();
  }

  return {
    origin,
    graphqlUrl,
    webSocketUrl: graphqlUrl.replace(/^http/, "ws"),
    /** What the server has logged, its end at most. */
    log: () => log,
    /** Whether it still runs. */
    isRunning: () => child.exitCode === null && child.signalCode === null,
    /** Runs an operation and gives the whole result. */
    post,
    /** Runs an operation that must succeed and gives its data. */
    async run(query, variables) {
      const { data, errors } = await post(query, variables);
      if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`);
      return data;
    },
    async sdl() {
      const response = await fetch(`${origin}/schema.graphql`);
      if (!response.ok) throw new Error(await response.text());
      return response.text();
    },
    /** Imports documents, all of which must be accepted. */
    async importInto(collection, documents, parameters = "") {
      const response = await fetch(`${origin}/import/${collection}${parameters}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof documents === "string" ? documents : JSON.stringify(documents),
      });
      const report = await response.json();
      if (!response.ok || report.failed !== 0) throw new Error(`${collection}: ${JSON.stringify(report)}`);
      return report;
    },
    /** kill -9. */
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const how = await ended;
      if (given === undefined) rmSync(data, { recursive: true, force: true });
      if (how !== 0) throw new Error(`after SIGTERM: ${how}\n${log}`);
    },
  };
}
