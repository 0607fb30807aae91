// Running tools: in a copy of the application they work on, to the end, with what they printed in the message of a failure.

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the tests, which has the packages. */
export const here = fileURLToPath(new URL("..", import.meta.url));

/** An empty folder to work in, below the packages. */
export function workIn(name) {
  const directory = join(here, ".work", name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** A copy of an application to work on; `${SERVER}` in its configuration is filled in. */
export function workOn(application, server) {
  const directory = workIn(application);
  cpSync(join(here, "tools", application), directory, { recursive: true });
  for (const file of readdirSync(directory)) {
    const path = join(directory, file);
    if (!statSync(path).isFile()) continue;
    writeFileSync(path, readFileSync(path, "utf8").replaceAll("${SERVER}", server.origin));
  }
  return directory;
}

/** Runs a program to its end; gives its code, its standard output, and all that it printed. */
export async function start(program, options, directory) {
  const child = spawn(program, options, {
    cwd: directory,
    env: { ...process.env, NO_COLOR: "1", CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let printed = "";
  child.stdout.on("data", (chunk) => ((output += chunk), (printed += chunk)));
  child.stderr.on("data", (chunk) => (printed += chunk));
  const code = await new Promise((resolve, reject) => child.once("close", resolve).once("error", reject));
  return { code, output, printed };
}

/** Runs a program that must succeed, and gives its standard output. */
export async function runs(program, options, directory) {
  const { code, output, printed } = await start(program, options, directory);
  assert.equal(code, 0, `${program} ${options.join(" ")}: ${code}\n${printed}`);
  return output;
}

/** Where the program of an npm package is. */
export const tool = (name) => join(here, "node_modules", ".bin", name);
